"""`manage.py serve_models`: starts, watches and stops the model servers that deployments want."""

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from models_registry.serving.manager import AnotherManager, Manager


class Command(BaseCommand):
    help = (
        "Keeps a server running for every wanted deployment. One such process per var/ folder; TERM stops all servers."
    )
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_caught: stop.set())
        try:
            with Manager() as manager:
                manager.serve(stop)
        except AnotherManager as error:
            raise CommandError(str(error)) from error
