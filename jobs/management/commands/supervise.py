"""Take one job and see it through. Started by a nudge or by the tick; by hand it is harmless."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from jobs.models import Job
from jobs.supervisor import supervise


class Command(BaseCommand):
    help = "Run one queued or abandoned job to its end."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("job", help="the job's public id, job_…")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self.stdout.write(supervise(options["job"]))
        except Job.DoesNotExist as error:
            raise CommandError(f"There is no job {options['job']}.") from error
