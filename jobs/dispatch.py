"""What a nudge does: start the work of a queued job, once, however many nudges arrive."""

import logging
from datetime import timedelta

from ground import clock
from jobs import devices, processes
from jobs.inprocess import run_in_process
from jobs.kinds import get_kind, must_inspect
from jobs.models import Job
from jobs.services import claim

log = logging.getLogger(__name__)
START_SECONDS = 10.0
"""How long a started supervisor may take to claim its job before another is started."""


def wake(public_id: str, *, here: bool = True) -> str:
    """Start the job if it is queued and due; says what was done. Short work runs at once where `here` allows it."""
    job = Job.objects.waiting().filter(public_id=public_id, not_before__lte=clock.now()).first()
    if job is None:
        return "nothing to do"
    if not must_inspect(job) and not devices.may_have(job):
        put_off(job, devices.WAIT_SECONDS, progress={**job.progress, "phase": devices.WAITING})
        return "no device is free"
    if here and get_kind(job.kind).short:
        return _run_here(job)
    if not put_off(job, START_SECONDS):
        return "another nudge was first"
    processes.spawn_supervisor(job)
    return "supervisor started"


def put_off(job: Job, seconds: float, **changes: object) -> bool:
    """Move the due time: of several nudges at once only one finds it where it was."""
    later = clock.now() + timedelta(seconds=seconds)
    due = Job.objects.waiting().filter(pk=job.pk, not_before=job.not_before)
    return bool(due.update(not_before=later, **changes))


def _run_here(job: Job) -> str:
    claimed = claim(job=job)
    if claimed is None:
        return "another process was first"
    run_in_process(claimed)
    return "done here"
