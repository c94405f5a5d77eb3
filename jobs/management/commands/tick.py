"""The heart: does the periodic duties of every floor, for ever. Several may run; each duty is done once."""

import signal
import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from jobs.ticks import run_due


class Command(BaseCommand):
    help = "Do the periodic duties: nudge, reap, seal, and what the other floors registered."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="do what is due now, then leave")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["once"]:
            self.stdout.write("\n".join(run_due()))
            return
        over = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: over.set())
        while not over.is_set():
            run_due()
            over.wait(settings.TICK_SECONDS)
