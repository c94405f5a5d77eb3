"""Watches one run from its start to its result, and can be replaced at any moment by another that knows only the row.

What decides is the run directory's `result.json`; what protects is the lease: a supervisor that lost it touches nothing more.
"""

import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

from ground import clock
from jobs import devices, processes, services
from jobs.data import Failure, LaunchPlan
from jobs.errors import JobError, LeaseLost, UnknownKind
from jobs.inprocess import as_failure, renewing, run_in_process
from jobs.journal import Journal
from jobs.kinds import INSPECTED, get_kind, must_inspect
from jobs.models import Device, Job
from jobs.patience import Patience
from jobs.rundir import RunDir

log = logging.getLogger(__name__)
Answer = TypeVar("Answer")
DATABASE_PATIENCE_SECONDS = 600.0
EXIT_SECONDS = 15.0
"""A run that wrote its result may take this long to leave; then it is ended."""
RETRYABLE_CLASSES = ("peer_lost", "disk_full")
SILENCE_HINT = (
    "It goes on from its newest checkpoint. If this comes again, ranks wait for one that never comes: see that none is stopped and"
    " that they reach each other, or allow longer steps with PLUMBLINE_RUN_STEP_SILENCE_SECONDS, longer loading and saving with"
    " PLUMBLINE_RUN_SILENCE_SECONDS."
)
GONE_HINT = (
    "It goes on from its newest checkpoint. If this comes again, its log says why; a process that the kernel ended for want of"
    " memory leaves no word there."
)
DATABASE_AWAY = (OperationalError, InterfaceError)


def supervise(public_id: str) -> str:
    """Take the job if it is queued or abandoned, and see it through. Says why not, when another process has it."""
    job = Job.objects.get(public_id=public_id)
    taken_over = job.state == Job.State.RUNNING
    me = {"host": settings.MACHINE, "supervisor": processes.stamp(os.getpid())}
    mine = services.take_over(job=job, holder=me) if taken_over else services.claim(job=job)
    if mine is None:
        return f"{public_id} is {job.get_state_display()}; there is nothing to do."
    try:
        _see_through(mine, taken_over)
    except LeaseLost:
        return f"{public_id} was taken over by another supervisor."
    mine.refresh_from_db()
    return f"{public_id} is {mine.get_state_display()}."


def _see_through(job: Job, taken_over: bool) -> None:
    try:
        kind = get_kind(job.kind)
    except UnknownKind as error:
        services.fail(job=job, failure=Failure("unknown_kind", str(error), "Start workers of the same release."))
        return
    if kind.run is None:
        Supervisor(job, taken_over).run()
    elif not taken_over or services.count_attempt(job=job, progressed=False):
        run_in_process(job)
    else:
        services.fail(job=job, failure=ABANDONED)


ABANDONED = Failure(
    "abandoned",
    "The process that ran this ended without a word, as often as it was started.",
    "See its log in var/logs; the machine may be short of memory.",
)


class Supervisor:
    """One attempt, or the rest of one that another supervisor began."""

    def __init__(self, job: Job, taken_over: bool) -> None:
        self.job = job
        self.taken_over = taken_over
        self.child: subprocess.Popen[bytes] | None = None
        self.renewed = 0.0
        self.last_line = self.last_progress = time.monotonic()
        self.result_seen: float | None = None
        self.stop_asked: float | None = None
        self.signalled = False
        self.silence = ""
        self.patience = Patience(settings.RUN_SILENCE_SECONDS, settings.RUN_STEP_SILENCE_SECONDS)

    def run(self) -> None:
        try:
            self._inspect()
            held = self._acquire()
            if held is None:
                return
            self._attach(held)
            self._watch()
            self._conclude()
        except LeaseLost:
            raise
        except Exception as error:
            self._give_up(error)

    # Beginning

    def _inspect(self) -> None:
        """Before a device is held. A job that was launched already has passed."""
        if self.job.process.get("folder") or not must_inspect(self.job):
            return
        inspect = get_kind(self.job.kind).inspect
        assert inspect is not None
        processes.end_run(self.job)  # of a supervisor that died while it did this
        services.renew(job=self.job, progress={**self.job.progress, "phase": devices.INSPECTING})
        with renewing(self.job):
            inspect(self.job)
        self.job.progress = {**self.job.progress, INSPECTED: True}
        services.renew(job=self.job, progress=self.job.progress)

    def _acquire(self) -> list[Device] | None:
        if self.job.devices == 0:
            return []
        held = devices.acquire(self.job)
        if not held:
            progress = {**self.job.progress, "phase": devices.WAITING}
            services.postpone(job=self.job, seconds=devices.WAIT_SECONDS, progress=progress)
            return None
        return held

    def _attach(self, held: list[Device]) -> None:
        """Go on with the launcher that runs, or with the result that is there, or start anew."""
        known = self.job.process
        folder = Path(known["folder"]) if known.get("folder") else None
        running = processes.alive(known.get("launcher"))
        if folder and (running or RunDir(folder).result()):
            log.info("%s: adopting %s", self.job, running or "its result")
            self._follow(RunDir(folder), known)
        else:
            self._start(held)

    def _follow(self, directory: RunDir, known: dict[str, Any]) -> None:
        self.directory = directory
        self.journal = Journal(self.job, directory.events)
        self.known = {**known, "host": settings.MACHINE, "supervisor": processes.stamp(os.getpid())}
        services.renew(job=self.job, process=self.known)

    def _start(self, held: list[Device]) -> None:
        processes.end_run(self.job)
        if self.taken_over and not services.count_attempt(job=self.job, progressed=self._progressed(self.job.process)):
            raise JobError(ABANDONED.code, ABANDONED.message, hint=ABANDONED.hint)
        prepare = get_kind(self.job.kind).prepare
        assert prepare is not None
        plan = prepare(self.job)
        directory = RunDir(Path(plan.folder))
        known = {"folder": str(plan.folder), "checkpoint_before": self.job.progress.get("checkpoint", -1)}
        if (directory.result() or {}).get("state") != "succeeded":
            directory.clear_for_attempt(self.job.attempt)
            directory.write_launch(plan, self.job.attempt)
            known["said_before"] = directory.said()
            self.child = self._launch(plan, held)
            known["launcher"] = processes.stamp(self.child.pid)
        self._follow(directory, known)

    def _launch(self, plan: LaunchPlan, held: list[Device]) -> "subprocess.Popen[bytes]":
        gpus = ",".join(str(device.ordinal) for device in held if device.kind == "gpu")
        try:
            return processes.start_launcher(self.job, plan, {"CUDA_VISIBLE_DEVICES": gpus} if gpus else {})
        except (FileNotFoundError, PermissionError) as error:
            message = f"{plan.argv[0]} cannot be started: {error.strerror}."
            raise JobError("launcher_missing", message, hint="Run `make setup`, then start it again.") from error

    # Watching

    def _watch(self) -> None:
        while not self._over():
            try:
                self._read()
                self._renew()
                self._heed_cancel()
            except DATABASE_AWAY as error:
                log.warning("%s: the database is away (%s); the run goes on.", self.job, error)
                connection.close()
            self._judge_silence()
            time.sleep(settings.JOB_POLL_SECONDS)

    def _over(self) -> bool:
        if not self._launcher_runs():
            return True
        if self.result_seen is None and self.directory.result() is not None:
            self.result_seen = time.monotonic()
        return self.result_seen is not None and time.monotonic() - self.result_seen > EXIT_SECONDS

    def _launcher_runs(self) -> bool:
        if self.child is not None:
            return self.child.poll() is None
        return processes.alive(self.known.get("launcher")) is not None

    def _read(self) -> int:
        rows, end = self.journal.lines()
        if rows:
            self.last_line = time.monotonic()
            news = [self.patience.heed(row) for row in rows]
            if any(news):
                self.last_progress = self.last_line
            if end <= self.known.get("said_before", 0):  # by earlier attempts; this one still loads
                self.patience.begin()
            self.journal.store(rows, end)
            self.renewed = 0.0  # fresh news: write progress now
        return len(rows)

    def _renew(self) -> None:
        if time.monotonic() - self.renewed < settings.JOB_LEASE_SECONDS / 4:
            return
        changes = {"progress": {**self.job.progress, **self.journal.progress}} if self.journal.progress else {}
        services.renew(job=self.job, **changes)
        self.renewed = time.monotonic()

    def _heed_cancel(self) -> None:
        """Stop file, then TERM, then KILL, each after its grace."""
        if self.stop_asked is None:
            if not Job.objects.filter(pk=self.job.pk, cancel_requested_at__isnull=False).exists():
                return
            self.stop_asked = time.monotonic()
            self._ask_to_stop()
        waited = time.monotonic() - self.stop_asked
        if waited > settings.RUN_STOP_GRACE_SECONDS + settings.RUN_TERM_GRACE_SECONDS:
            processes.end_run(self.job)
        elif waited > settings.RUN_STOP_GRACE_SECONDS and not self.signalled:
            self.signalled = True
            processes.signal_run(self.job, signal.SIGTERM)

    def _ask_to_stop(self) -> None:
        try:
            self.directory.ask_to_stop()
        except OSError as error:
            log.warning("%s: no stop file (%s); TERM follows.", self.job, error)

    def _judge_silence(self) -> None:
        """A stopped rank hangs the others without an error: heartbeats still come, steps do not."""
        now = time.monotonic()
        if now - self.last_progress > self.patience.seconds:
            self.silence = (
                f"No step for {self.patience.seconds:.0f} s; the longest before took {self.patience.longest:.1f} s."
            )
        elif now - self.last_line > settings.RUN_HEARTBEAT_SECONDS:
            self.silence = f"No sign of life for {settings.RUN_HEARTBEAT_SECONDS:.0f} s."
        if self.silence:
            self.silence += f" Its processes: {processes.describe(self.job) or 'none'}."
            log.warning("%s: %s Ending it.", self.job, self.silence)
            processes.end_run(self.job)

    # Ending

    def _conclude(self) -> None:
        """Nothing of the run may live on when the job is given away; only then is the result final."""
        processes.end_run(self.job, patience=settings.RUN_TERM_GRACE_SECONDS if self.result_seen else 0.0)
        self._insist(self._drain)
        result = self.directory.result()
        state = result["state"] if result else ""
        if result and state == "succeeded":
            self._insist(
                lambda: services.succeed(job=self.job, result=get_kind(self.job.kind).collect(self.job, result))
            )
        elif state == "cancelled" or self._cancel_wanted():
            self._insist(lambda: services.cancelled(job=self.job, result=result))
        else:
            self._fail(_failure_of(result) if result else self._lost())

    def _drain(self) -> None:
        while self._read():
            self._renew()
        self._renew()

    def _cancel_wanted(self) -> bool:
        return self._insist(Job.objects.filter(pk=self.job.pk, cancel_requested_at__isnull=False).exists)

    def _lost(self) -> Failure:
        details = {"log": self.directory.log_tail()}
        if self.silence:
            return Failure("silent", self.silence, SILENCE_HINT, retryable=True, details=details)
        code = self.child.returncode if self.child else None
        message = f"The run's processes ended without a result (exit code {'unknown' if code is None else code})."
        return Failure("process_gone", message, GONE_HINT, retryable=True, details=details)

    def _fail(self, failure: Failure) -> None:
        if failure.retryable:
            self.directory.clear_for_attempt(self.job.attempt + 1)
        progressed = self._progressed(self.known) or not failure.counts
        self._insist(lambda: services.fail(job=self.job, failure=failure, progressed=progressed))

    def _progressed(self, known: dict[str, Any]) -> bool:
        self.job.refresh_from_db(fields=["progress"])
        return bool(self.job.progress.get("checkpoint", -1) > known.get("checkpoint_before", -1))

    def _give_up(self, error: Exception) -> None:
        """Whatever went wrong here ends the attempt in a clear state, with nothing left running."""
        failure = as_failure(error)
        log.warning("%s: %s", self.job, failure.message, exc_info=failure.code == "unexpected")
        processes.end_run(self.job)
        self._insist(lambda: services.fail(job=self.job, failure=failure))

    def _insist(self, action: Callable[[], Answer]) -> Answer:
        """Databases are restarted. A finished run waits for its own; after ten minutes the next supervisor may try."""
        deadline = clock.now() + timedelta(seconds=DATABASE_PATIENCE_SECONDS)
        while True:
            try:
                return action()
            except DATABASE_AWAY as error:
                if clock.now() > deadline:
                    raise
                log.warning("%s: the database is away (%s).", self.job, error)
                connection.close()
                time.sleep(1.0)


def _failure_of(result: dict[str, Any]) -> Failure:
    error = result.get("error") or {}
    code = str(error.get("class") or "unexpected")
    details = {name: error[name] for name in ("exception", "rank") if name in error}
    message, hint = str(error.get("message") or "The run failed."), str(error.get("hint") or "")
    retry = error.get("retry") is True  # the run itself knows how to do better
    return Failure(code, message, hint, retry or code in RETRYABLE_CLASSES, counts=not retry, details=details)
