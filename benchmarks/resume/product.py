"""The product as it runs anywhere: a worker and a tick, started again when they die, and ways to kill what a run lives on."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from benchmarks.queue.machine import ROOT
from benchmarks.resume.compare import last_step, rows
from jobs import processes
from jobs.models import Job

PATIENCE_SECONDS = 900.0


class Product:
    """`with Product(var) as product:`; every process it started ends with it."""

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> "Product":
        self.logs.mkdir(parents=True, exist_ok=True)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self.running):
            self.kill(name)
        for job in Job.objects.running():
            _kill(processes.alive(job.process.get("supervisor")))
            processes.end_run(job)

    def start(self) -> None:
        """Whatever does not run. The worker has one process: a second would hide the death of the first."""
        for name, command in (("worker", ["worker", "--concurrency=1"]), ("tick", ["tick"])):
            if name not in self.running or self.running[name].poll() is not None:
                with (self.logs / f"{name}.log").open("ab") as log:
                    self.running[name] = subprocess.Popen(
                        [sys.executable, str(ROOT / "manage.py"), *command],
                        cwd=ROOT,
                        stdout=log,
                        stderr=log,
                        start_new_session=True,
                    )

    def kill(self, name: str) -> None:
        process = self.running.pop(name)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _kill(process: psutil.Process | None) -> None:
    if process is not None:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def _named(job: Job, word: str) -> list[psutil.Process]:
    return [process for process in processes.of_job(job) if any(word in part for part in process.cmdline())]


def rank(product: Product, job: Job, chance: random.Random) -> None:
    """One of the processes that train."""
    _kill(chance.choice([found for found in _named(job, "--local_rank") if "launch.py" not in str(found.cmdline())]))


def launcher(product: Product, job: Job, chance: random.Random) -> None:
    """DeepSpeed's runner, or the process per machine that it starts: each leaves the ranks computing."""
    ranks = {process.pid for process in _named(job, "--local_rank")}
    _kill(chance.choice([found for found in processes.of_job(job) if found.pid not in ranks]))


def supervisor(product: Product, job: Job, chance: random.Random) -> None:
    job.refresh_from_db()
    _kill(processes.alive(job.process.get("supervisor")))


def worker(product: Product, job: Job, chance: random.Random) -> None:
    product.kill("worker")
    product.start()


def machine(product: Product, job: Job, chance: random.Random) -> None:
    """Everything at once, as when the power goes; then the machine starts its services again."""
    for name in list(product.running):
        product.kill(name)
    supervisor(product, job, chance)
    for process in list(processes.of_job(job)):
        _kill(process)
    product.start()


def saving(product: Product, job: Job, chance: random.Random) -> None:
    """The ranks, while a checkpoint is half written."""
    staging = Path(job.run.folder) / "work" / "staging"
    wait_for(lambda: any(staging.glob("checkpoint-*/*")), every=0.002)
    for process in _named(job, "--local_rank"):
        _kill(process)


WAYS: dict[str, Callable[[Product, Job, random.Random], None]] = {
    "rank": rank,
    "launcher": launcher,
    "supervisor": supervisor,
    "worker": worker,
    "saving": saving,
    "machine": machine,
}


def wait_for(condition: Callable[[], object], *, every: float = 0.1) -> None:
    """Errors: TimeoutError after a quarter of an hour."""
    over = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > over:
            raise TimeoutError(f"waited {PATIENCE_SECONDS:.0f} s in vain")
        time.sleep(every)


def step_of(job: Job) -> int:
    return last_step(rows(Path(job.run.folder), "metric"))


def has_come_to(job: Job, step: int) -> bool:
    """It has done this step, or is over."""
    return step_of(job) >= step or is_over(job)


ENDING = ("rank", "launcher", "saving", "machine")
"""After these the processes that compute are started again; a dead supervisor's are adopted, a dead worker's left alone."""


def goes_on(job: Job, at: int, starts: int) -> bool:
    """It was started that often, came further than step `at`, and a living supervisor watches it; or it is over."""
    job.refresh_from_db()
    watched = processes.alive(job.process.get("supervisor")) is not None
    further = starts_of(job) >= starts and step_of(job) > at
    return job.is_final or (job.state == Job.State.RUNNING and watched and further)


def starts_of(job: Job) -> int:
    """How often its processes began."""
    return sum(row["data"]["name"] == "starting" for row in rows(Path(job.run.folder), "phase"))


def is_over(job: Job) -> bool:
    job.refresh_from_db()
    return job.is_final
