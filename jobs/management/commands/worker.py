"""A Celery worker with our defaults: it only listens for `jobs.wake`."""

from typing import Any

from celery import current_app
from django.core.management.base import BaseCommand, CommandParser

from ground.collecting import settle


class Command(BaseCommand):
    help = "Listen for nudges and start jobs."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--concurrency", type=int, default=2, help="short jobs done at once (default 2)")
        parser.add_argument("--loglevel", default="INFO")

    def handle(self, *args: Any, **options: Any) -> None:
        quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        chosen = [f"--concurrency={options['concurrency']}", f"--loglevel={options['loglevel']}"]
        settle()
        current_app.worker_main(["worker", *chosen, *quiet])
