"""`manage.py gateway`: the OpenAI-compatible door, in a process of its own."""

import os
import socket
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _


class Command(BaseCommand):
    help = "Serves /v1/chat/completions, /v1/models and the feedback API for applications."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8001)

    def handle(self, *args: Any, host: str, port: int, **options: Any) -> None:
        listening = _listen(host, port)
        listening.set_inheritable(True)
        self.stdout.write(
            _("Gateway on http://%(host)s:%(port)d/v1") % {"host": host, "port": listening.getsockname()[1]}
        )
        self.stdout.flush()
        # A fresh interpreter: the gateway has settings of its own, and Django reads settings once.
        argv = [sys.executable, "-m", "models_registry.gateway", str(listening.fileno())]
        os.execv(sys.executable, argv)  # noqa: S606


def _listen(host: str, port: int) -> socket.socket:
    """Bound before anything else starts, so that a taken port is one sentence."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(1024)
    except (OSError, OverflowError) as error:
        values = {"host": host, "port": port, "why": getattr(error, "strerror", None) or error}
        raise CommandError(
            _("Cannot listen on %(host)s:%(port)d: %(why)s. Stop what runs there, or give another --port.") % values
        ) from error
    return listening
