"""Start the product: web, gateway, worker, tick and model servers under one command."""

import os
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser
from django.db import DatabaseError, connection

from jobs import programs
from jobs.keeper import CannotStart, Keeper, stop_on_signals


class Command(BaseCommand):
    help = "Start everything, and start again what dies, until Ctrl-C. Runs in training go on without us and are found again."
    requires_system_checks: list[str] = []
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--prepare-only", action="store_true", help="check, migrate, collect assets, then leave")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            programs.check_machine(settings.VAR)
            prepare()
            if not options["prepare_only"]:
                self._run()
        except CannotStart as error:
            self.stderr.write(str(error))
            raise SystemExit(1) from error

    def _run(self) -> None:
        environment = dict(os.environ)
        ports = programs.Ports.from_environment(environment)
        keeper = Keeper(
            programs.programs(ports),
            settings.VAR,
            {**programs.environment_for(ports, environment), "PLUMBLINE_VAR": str(settings.VAR)},
            self.stdout.write,
        )
        stop_on_signals(keeper.over)
        with keeper:
            self.stdout.write(
                f"Pages: {ports.web_url}   Models: {ports.gateway_url}/v1   Logs: {settings.VAR / 'logs'}"
            )
            keeper.watch()
            self.stdout.write("Stopping.")


def prepare() -> None:
    """Migrate and collect the assets. Errors: CannotStart when the database does not answer or refuses to write."""
    try:
        connection.ensure_connection()
    except DatabaseError as error:
        raise CannotStart(
            f"The database does not answer: {_first_line(error)}. Start it, or correct DATABASE_URL."
        ) from error
    try:
        call_command("migrate", verbosity=0, interactive=False)
        call_command("collectstatic", verbosity=0, interactive=False)
    except DatabaseError as error:
        raise CannotStart(
            f"The database cannot be brought up to date: {_first_line(error)}. Look at the free disk space and at DATABASE_URL."
        ) from error
    except OSError as error:
        raise CannotStart(programs.disk_sentence(settings.VAR, error)) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
