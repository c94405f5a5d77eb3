"""Real processes on the test's own database: supervisors, ticks, workers. Everything a Fleet started ends with its test."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from django.conf import settings
from django.db import connection

from jobs import processes
from jobs.models import Job
from tests.jobs.fakes import folder_of


def database_url() -> str:
    """The address of the test database, for a process that is not a test."""
    known = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{known['NAME']}"
    account = known["USER"] + (f":{known['PASSWORD']}" if known["PASSWORD"] else "")
    port = f":{known['PORT']}" if known["PORT"] else ""
    return f"postgres://{account}@{known['HOST']}{port}/{known['NAME']}"


def process_environment(**more: str) -> dict[str, str]:
    """What a process needs to share this test's database and var/, and to be quick about it."""
    return {
        "DATABASE_URL": database_url(),
        "DJANGO_SETTINGS_MODULE": "tests.jobs.settings",
        "PLUMBLINE_VAR": str(settings.VAR),
        "PLUMBLINE_JOB_LEASE_SECONDS": "2",
        "PLUMBLINE_JOB_POLL_SECONDS": "0.05",
        "PLUMBLINE_JOB_RETRY_SECONDS": "0",
        "PLUMBLINE_TICK_SECONDS": "0.1",
        **more,
    }


def wait_for(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    """The first true value of `condition`. AssertionError when it does not come; generous, for slow machines."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.03)
    raise AssertionError(f"waited {seconds} s in vain")


class Fleet:
    """Starts manage.py commands and kills them."""

    def __init__(self, **environment: str) -> None:
        self.environment = {**os.environ, **process_environment(**environment)}
        self.started: list[subprocess.Popen[bytes]] = []

    def manage(self, *arguments: str, **environment: str) -> "subprocess.Popen[bytes]":
        log = (Path(settings.VAR) / "fleet.log").open("ab")
        process = subprocess.Popen(
            [sys.executable, str(settings.BASE_DIR / "manage.py"), *arguments],
            env={**self.environment, **environment},
            cwd=settings.BASE_DIR,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def supervise(self, job: Job, **environment: str) -> "subprocess.Popen[bytes]":
        return self.manage("supervise", job.public_id, **environment)

    def end(self) -> None:
        """Kill what was started, then whatever the jobs' supervisors started themselves."""
        for process in self.started:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for job in Job.objects.all():
            kill(stamp_of(job, "supervisor"))
            processes.end_run(job)


def stamp_of(job: Job, name: str) -> dict[str, Any] | None:
    """`supervisor` or `launcher` of the job, as its row says now."""
    return Job.objects.values_list("process", flat=True).get(pk=job.pk).get(name)


def kill(stamp: dict[str, Any] | None) -> None:
    """kill -9, and wait until it is gone."""
    process = processes.alive(stamp)
    if process is None:
        return
    with suppress(psutil.NoSuchProcess):
        process.kill()
    wait_for(lambda: processes.alive(stamp) is None)


def lines_of(job: Job, name: str) -> list[int]:
    """The numbers in one of the fake engine's logs."""
    path = folder_of(job) / name
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def state_of(job: Job) -> str:
    return Job.objects.values_list("state", flat=True).get(pk=job.pk)


def still_runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
