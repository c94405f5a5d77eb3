"""Kinds of work that exist only in tests. As an app they are known to supervisors and workers that tests start."""

import json
import sys
import time
from pathlib import Path
from typing import Any

from django.conf import settings

from jobs.data import LaunchPlan
from jobs.errors import JobError
from jobs.kinds import Kind, register
from jobs.models import Job, Outbox

ENGINE = Path(__file__).with_name("fake_engine.py")


def folder_of(job: Job) -> Path:
    return Path(settings.RUNS) / job.public_id


def check_run(spec: dict[str, Any]) -> None:
    if not isinstance(spec.get("steps"), int):
        raise ValueError("steps: must be a whole number")


def prepare_run(job: Job) -> LaunchPlan:
    folder = folder_of(job)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "spec.json").write_text(json.dumps(job.spec))
    interpreter = job.spec.get("interpreter", sys.executable)
    return LaunchPlan(argv=[interpreter, str(ENGINE), str(folder)], environment={}, folder=folder)


def finish_run(job: Job, result: dict[str, Any]) -> dict[str, Any]:
    """One row for every time it commits."""
    Outbox.objects.create(consumer="fake", topic="finished", object_id=job.pk)
    if job.spec.get("finish_fails"):
        raise JobError("registry", "The registry refused.")
    return {"steps": result["steps"], "text": result.get("text", "")}


def count(job: Job) -> dict[str, Any]:
    """Says in the run directory that it ran, after `seconds`."""
    time.sleep(job.spec.get("seconds", 0))
    folder_of(job).mkdir(parents=True, exist_ok=True)
    with (folder_of(job) / "work.log").open("a") as stream:
        stream.write("1\n")
    if job.spec.get("error"):
        raise JobError("refused", job.spec["error"], hint="Ask again.")
    return {"steps": 1}


def register_fakes() -> None:
    register(
        Kind(
            name="fake-run",
            label="Fake run",
            check=check_run,
            prepare=prepare_run,
            finish=finish_run,
            devices=lambda spec: spec.get("devices", 0),
        )
    )
    register(Kind(name="fake-short", label="Fake short", run=count, short=True))
    register(Kind(name="fake-long", label="Fake long", run=count))
