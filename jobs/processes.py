"""Processes of this machine: start them apart, know them again by pid and start time, end all that belongs to a job."""

import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import psutil
from django.conf import settings

from jobs.data import LaunchPlan
from jobs.errors import JobError
from jobs.models import Job

log = logging.getLogger(__name__)
MARK = "PLUMBLINE_JOB"
"""In the environment of every process of a run: how orphans are found when their parents are gone."""
SECRET_PREFIXES = ("DATABASE_", "BROKER_", "DJANGO_", "PLUMBLINE_", "TEST_", "PG", "REDIS_")
SAME_START_SECONDS = 0.05
KILL_SECONDS = 30.0
"""A process that waits for a dead disk cannot be killed; do not wait with it."""


def stamp(pid: int) -> dict[str, Any]:
    """A process's name for good: pids come round again, start times do not."""
    return {"pid": pid, "started": psutil.Process(pid).create_time()}


def alive(known: dict[str, Any] | None) -> psutil.Process | None:
    """The process with this stamp, if it still runs. One that waits to be buried does not."""
    if not known:
        return None
    try:
        process = psutil.Process(known["pid"])
        same = abs(process.create_time() - known["started"]) < SAME_START_SECONDS
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.Error:
        return None


def spawn_supervisor(job: Job) -> int:
    """`manage.py supervise <job>` in a session of its own: it outlives the worker that starts it."""
    logs = settings.VAR / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "supervise", job.public_id]
    with (logs / f"{job.public_id}.log").open("ab") as stream:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
            cwd=settings.BASE_DIR,
        )
    log.info("%s: supervisor %s", job, process.pid)
    return process.pid


def start_launcher(job: Job, plan: LaunchPlan, visible: dict[str, str]) -> subprocess.Popen[bytes]:
    """The run's own session and process group, so that a signal to the group reaches every rank. Errors: OSError."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(SECRET_PREFIXES)}
    environment = {**kept, **visible, **plan.environment, MARK: job.public_id}
    with (plan.folder / "launcher.log").open("ab") as stream:
        return subprocess.Popen(
            plan.argv,
            cwd=plan.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )


def of_job(job: Job) -> Iterator[psutil.Process]:
    """Every live process of the run, whoever its parent is now."""
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(MARK) == job.public_id and _runs(process):
                yield process
        except (psutil.Error, OSError):
            continue


def describe(job: Job) -> str:
    """What each process of the run is doing, ranks by their number: in a hang one is stopped and the others wait for it."""
    found = []
    for process in of_job(job):
        with suppress(psutil.Error):
            words = " ".join(process.cmdline())
            rank = re.search(r"--local_rank[= ](\d+)", words)
            name = f"rank {rank[1]}" if rank else f"{process.name()} {process.pid}"
            found.append(f"{name} {process.status()}")
    return ", ".join(sorted(found))


def _runs(process: psutil.Process) -> bool:
    return process.status() != psutil.STATUS_ZOMBIE


def signal_run(job: Job, number: signal.Signals) -> int:
    """Send to every process of the run; how many there were."""
    found = list(of_job(job))
    for process in found:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue
    return len(found)


def end_run(job: Job, patience: float = 0.0) -> None:
    """TERM, up to `patience` seconds, KILL; returns when nothing of the run is left. A stopped process dies of KILL too."""
    if patience and signal_run(job, signal.SIGTERM):
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline and any(of_job(job)):
            time.sleep(0.05)
    deadline = time.monotonic() + KILL_SECONDS
    while signal_run(job, signal.SIGKILL):
        if time.monotonic() > deadline:
            raise JobError("immortal", "A process of the run survives SIGKILL.", hint="Look at its disk, then restart.")
        time.sleep(0.05)
