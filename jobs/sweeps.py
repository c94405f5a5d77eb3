"""What the tick does for jobs: finds rows that no message or process looks after any more."""

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q, QuerySet

from ground import clock
from jobs import processes
from jobs.dispatch import wake
from jobs.models import Job
from jobs.services import expire_dead, nudge

log = logging.getLogger(__name__)
NUDGE_AGAIN_SECONDS = 2.0
START_HERE_SECONDS = 10.0
"""Due for this long in spite of nudges: no worker listens, so the tick starts the work itself."""
MACHINE_LOST_SECONDS = 600.0
"""Another machine's own tick comes first; after this long the machine is taken for dead."""
AT_ONCE = 50


def nudge_waiting() -> int:
    """Queued, due, and not picked up: nudge again, or start it from here when the broker or the workers are away."""
    now = clock.now()
    due = Job.objects.waiting().filter(not_before__lt=now - timedelta(seconds=NUDGE_AGAIN_SECONDS))
    found = list(due.order_by("queued_at", "pk")[:AT_ONCE])
    for job in found:
        _nudge_or_start(job, now)
    return len(found)


def _nudge_or_start(job: Job, now: datetime) -> None:
    overdue = (now - job.not_before).total_seconds()
    if overdue > START_HERE_SECONDS or not nudge(job.public_id):
        log.warning("%s: no worker took it; started from the tick (%s).", job, wake(job.public_id, here=False))


def reap_abandoned() -> int:
    """Running, but the supervisor is dead or its lease ran out: start another, which adopts or resumes. How many were started."""
    for job in Job.objects.running().filter(process__host=settings.MACHINE, lease_expires_at__gt=clock.now()):
        if job.process.get("supervisor") and processes.alive(job.process["supervisor"]) is None:
            expire_dead(job=job)
    return sum(_replace_supervisor(job) for job in _ours(clock.now())[:AT_ONCE])


def _ours(now: datetime) -> QuerySet[Job]:
    here = Q(process__host=settings.MACHINE) | Q(process={})
    lost = Q(lease_expires_at__lt=now - timedelta(seconds=MACHINE_LOST_SECONDS))
    return Job.objects.abandoned().filter(here | lost).order_by("lease_expires_at")


def _replace_supervisor(job: Job) -> bool:
    """One start per half lease: the heartbeat moves so that the next sweeps leave the newcomer time."""
    now = clock.now()
    quiet = Job.objects.abandoned().filter(
        pk=job.pk, heartbeat_at__lt=now - timedelta(seconds=settings.JOB_LEASE_SECONDS / 2)
    )
    if not quiet.update(heartbeat_at=now):
        return False
    log.warning("%s: its supervisor is gone; starting another.", job)
    processes.spawn_supervisor(job)
    return True
