"""The kind of work that only this benchmark has, known to the supervisor it starts."""

import sys
from pathlib import Path
from typing import Any

from django.apps import AppConfig
from django.conf import settings

from jobs.data import LaunchPlan
from jobs.kinds import Kind, register

CHATTER = Path(__file__).with_name("chatter.py")


def prepare(job: Any) -> LaunchPlan:
    folder = Path(settings.RUNS) / job.public_id
    folder.mkdir(parents=True, exist_ok=True)
    return LaunchPlan([sys.executable, str(CHATTER), str(folder), str(job.spec["events"])], {}, folder)


class ChatterConfig(AppConfig):
    name = "benchmarks.training"
    label = "bench_training"

    def ready(self) -> None:
        register(Kind(name="chatter", label="Chatter", prepare=prepare))
