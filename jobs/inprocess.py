"""Work that needs no process of its own: the kind's `run`, with the lease renewed beside it."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import DatabaseError, connection

from ground.errors import DomainError
from jobs.data import Failure
from jobs.errors import JobError, LeaseLost
from jobs.kinds import get_kind
from jobs.models import Job
from jobs.services import fail, renew, succeed

log = logging.getLogger(__name__)


def run_in_process(job: Job) -> None:
    """`job` is claimed and carries its token. Never raises what the kind raised: it is written into the job."""
    run = get_kind(job.kind).run
    assert run is not None, f"{job.kind} is no in-process kind"
    try:
        with renewing(job):
            result = run(job)
        succeed(job=job, result=result)
    except LeaseLost:
        log.warning("%s was taken over while it ran; its result here is dropped.", job)
    except Exception as error:
        _write_down(job, error)


def _write_down(job: Job, error: Exception) -> None:
    failure = as_failure(error)
    if failure.code == "unexpected":
        log.exception("%s failed", job)
    try:
        fail(job=job, failure=failure)
    except LeaseLost:
        log.warning("%s was taken over while it failed.", job)


def as_failure(error: Exception) -> Failure:
    """Name an exception of a kind by what has to be done about it."""
    first_line = (str(error).strip().splitlines() or [type(error).__name__])[0][:500]
    if isinstance(error, JobError):
        return error.failure
    if isinstance(error, DomainError):
        return Failure(error.code, error.detail, error.hint)
    if isinstance(error, ValueError):
        return Failure("invalid", first_line, "Correct the settings and start it again.")
    if isinstance(error, FileNotFoundError):
        return Failure("missing_file", first_line, "Restore the file, then start it again.")
    if isinstance(error, OSError):
        hint = "Free space where the run directories live."
        return Failure("disk", first_line, hint, retryable=True)
    if isinstance(error, DatabaseError):
        return Failure("database", first_line, "It is tried again by itself.", retryable=True)
    details = {"exception": type(error).__name__}
    return Failure(
        "unexpected", first_line, "The log of the worker has the traceback.", retryable=True, details=details
    )


@contextmanager
def renewing(job: Job) -> Iterator[None]:
    """Renews from a thread every third of a lease; work shorter than that never starts a second connection."""
    over = threading.Event()
    thread = threading.Thread(target=_renew_until, args=(job, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _renew_until(job: Job, over: threading.Event) -> None:
    try:
        while not over.wait(settings.JOB_LEASE_SECONDS / 3):
            try:
                renew(job=job)
            except LeaseLost:
                return
            except DatabaseError as error:
                log.warning("The lease of %s could not be renewed: %s", job, error)
                connection.close()
    finally:
        connection.close()
