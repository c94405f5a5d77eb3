"""Every change of a job's state. The database decides each race: a conditional update whose count is 1 has won.

Whoever runs a job holds its lease token; every write of theirs names it, so a process that lost the lease changes nothing.
"""

import logging
import uuid
from datetime import timedelta
from functools import partial
from typing import Any

from celery import current_app
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _
from kombu.exceptions import KombuError

from accounts.models import Actor, Project
from accounts.services import MANAGERS, record_event, role_of
from ground import clock
from ground.errors import Conflict, Forbidden, Invalid
from jobs import devices, notices
from jobs.cleaning import storable
from jobs.data import Failure
from jobs.errors import LeaseLost, UnknownKind
from jobs.kinds import JSON, get_kind
from jobs.models import Job

log = logging.getLogger(__name__)
LONGEST_RETRY_SECONDS = 600.0
NUDGE_EXPIRES_SECONDS = 60


@transaction.atomic
def submit(*, actor: Actor | None, project: Project | None, kind: str, spec: JSON, key: str = "") -> Job:
    """Queue work and nudge a worker on commit. The same key again returns the first job.

    The floor that calls has checked the actor's role. Errors: Invalid for an unknown kind or a wrong spec; Forbidden for an
    actor of another project; Conflict for a known key with another spec.
    """
    if actor is not None and (project is None or actor.project_id != project.pk):
        raise Forbidden(_("This actor belongs to another project."))
    fields = _checked(kind, spec)
    first = _first_with_key(project, kind, key)
    try:
        with transaction.atomic():
            job = first or Job.objects.create(actor=actor, project=project, kind=kind, spec=spec, key=key, **fields)
    except IntegrityError:  # another request with this key committed between our look and our insert
        first = _first_with_key(project, kind, key)
        if first is None:
            raise
        job = first
    if first is not None:
        return _same_request(first, spec)
    record_event(project=project, actor=actor, verb="job.submitted", object_id=job.public_id, data={"kind": kind})
    nudge_on_commit(job)
    return job


def _checked(kind: str, spec: JSON) -> dict[str, int]:
    try:
        known = get_kind(kind)
        known.check(spec)
        return {"devices": known.devices_for(spec), "max_attempts": known.max_attempts}
    except (UnknownKind, ValueError) as error:
        raise Invalid(str(error)) from error


def _first_with_key(project: Project | None, kind: str, key: str) -> Job | None:
    return Job.objects.filter(project=project, kind=kind, key=key).order_by("pk").first() if key else None


def _same_request(first: Job, spec: JSON) -> Job:
    if first.spec != spec:
        raise Conflict(
            _("The key of this request already names %(job)s, which does something else.") % {"job": first.public_id},
            hint=_("Send a new key with a new request."),
        )
    return first


def nudge_on_commit(job: Job) -> None:
    transaction.on_commit(partial(nudge, job.public_id))


def nudge(public_id: str) -> bool:
    """Send `jobs.wake`. False when the broker cannot be reached: nothing is lost, the sweep finds the row."""
    try:
        current_app.send_task("jobs.wake", args=[public_id], expires=NUDGE_EXPIRES_SECONDS, retry=False)
    except (KombuError, OSError, ConnectionError) as error:
        log.warning("The broker cannot be reached (%s); the sweep will start %s.", error, public_id)
        return False
    return True


def claim(*, job: Job) -> Job | None:
    """Queued → running under a fresh lease, one attempt more. None when another process was first."""
    now = clock.now()
    won = (
        Job.objects.waiting()
        .filter(pk=job.pk)
        .update(
            state=Job.State.RUNNING,
            attempt=F("attempt") + 1,
            started_at=Coalesce(F("started_at"), now),
            process={},
            **_fresh_lease(),
        )
    )
    return Job.objects.get(pk=job.pk) if won else None


def take_over(*, job: Job, holder: JSON | None = None) -> Job | None:
    """A fresh lease on a running job whose lease ran out. None when its holder came back or another took it first.

    `holder` (host, supervisor) is written in the same update: beside the old stamp `expire_dead` would end the new lease.
    """
    process = {**job.process, **(holder or {})}
    abandoned = Job.objects.abandoned().filter(pk=job.pk, lease_token=job.lease_token)
    won = abandoned.update(process=process, **_fresh_lease())
    return Job.objects.get(pk=job.pk) if won else None


def expire_dead(*, job: Job) -> bool:
    """End the lease of a holder that is known to be dead, so that nobody waits for it to run out. False: it changed hands."""
    now = clock.now()
    long_quiet = now - timedelta(seconds=settings.JOB_LEASE_SECONDS)
    return bool(_held(job).update(lease_expires_at=now, heartbeat_at=long_quiet))


def _fresh_lease() -> dict[str, Any]:
    return {"lease_token": uuid.uuid4(), "lease_expires_at": _lease_end(), "heartbeat_at": clock.now()}


def _lease_end() -> Any:
    return clock.now() + timedelta(seconds=settings.JOB_LEASE_SECONDS)


def _held(job: Job) -> QuerySet[Job]:
    return Job.objects.running().filter(pk=job.pk, lease_token=job.lease_token)


def renew(*, job: Job, **changes: Any) -> None:
    """Lengthen the lease and write `changes` (progress, process) with it. Errors: LeaseLost."""
    if not _held(job).update(lease_expires_at=_lease_end(), heartbeat_at=clock.now(), **changes):
        raise LeaseLost(job.public_id)


def count_attempt(*, job: Job, progressed: bool) -> bool:
    """The holder starts anew without having gone through the queue. False when no attempt is left. Errors: LeaseLost."""
    if job.attempt >= job.max_attempts and not progressed:
        return False
    if not _held(job).update(attempt=F("attempt") + 1, max_attempts=F("max_attempts") + int(progressed)):
        raise LeaseLost(job.public_id)
    job.refresh_from_db()
    return True


@transaction.atomic
def postpone(*, job: Job, seconds: float, progress: JSON) -> None:
    """Back to the queue as if this attempt had not been: nothing ran. Errors: LeaseLost."""
    if not _requeue(job, seconds, attempt=F("attempt") - 1, progress=progress):
        _close(job, Job.State.CANCELLED)


def _requeue(job: Job, seconds: float, **changes: Any) -> bool:
    """Not when somebody asked to cancel: the caller cancels then."""
    changed = (
        _held(job)
        .filter(cancel_requested_at=None)
        .update(
            state=Job.State.QUEUED,
            not_before=clock.now() + timedelta(seconds=seconds),
            lease_token=None,
            lease_expires_at=None,
            **changes,
        )
    )
    if changed:
        devices.release(job)
    return bool(changed)


@transaction.atomic
def succeed(*, job: Job, result: JSON) -> Job:
    """The kind's own rows and the job's state commit together or not at all. Errors: LeaseLost, and what `finish` raises."""
    if _held(job).select_for_update().first() is None:
        raise LeaseLost(job.public_id)
    kept = get_kind(job.kind).finish(job, result)
    return _close(job, Job.State.SUCCEEDED, result=storable(kept), error=None)


@transaction.atomic
def fail(*, job: Job, failure: Failure, progressed: bool = False) -> Job:
    """End the attempt: queue the next one after a pause, or close the job. A cancelled job stays cancelled. Errors: LeaseLost.

    `progressed`: this attempt left a newer checkpoint than it found. It does not count, or a long run on a machine that is often
    restarted would use up its attempts.
    """
    error = storable({**failure.to_json(), "attempt": job.attempt})
    left = job.max_attempts - job.attempt + int(progressed)
    again = {"error": error, "max_attempts": F("max_attempts") + int(progressed)}
    if failure.retryable and left > 0 and _requeue(job, retry_pause(1 if progressed else job.attempt), **again):
        log.warning("%s will be tried again: %s", job, failure.message)
        job.refresh_from_db()
        return job
    asked = Job.objects.filter(pk=job.pk, cancel_requested_at__isnull=False).exists()
    return _close(job, Job.State.CANCELLED if asked else Job.State.FAILED, error=error)


def retry_pause(attempt: int) -> float:
    """Seconds before the next attempt: four times longer each time."""
    return min(LONGEST_RETRY_SECONDS, settings.JOB_RETRY_SECONDS * 4 ** max(0, attempt - 1))


@transaction.atomic
def cancelled(*, job: Job, result: JSON | None = None) -> Job:
    """The work has stopped as asked. Errors: LeaseLost."""
    return _close(job, Job.State.CANCELLED, result=storable(result))


def _close(job: Job, state: str, **changes: Any) -> Job:
    changed = _held(job).update(
        state=state,
        finished_at=clock.now(),
        lease_token=None,
        lease_expires_at=None,
        heartbeat_at=clock.now(),
        **changes,
    )
    if not changed:
        raise LeaseLost(job.public_id)
    return _after_closing(job)


def _after_closing(job: Job) -> Job:
    devices.release(job)
    job.refresh_from_db()
    notices.tell(project_id=job.project_id, topic=f"job.{job.state}", object_id=job.pk)
    transaction.on_commit(partial(_tell_closed, job), robust=True)
    return job


def _tell_closed(job: Job) -> None:
    waiting = devices.next_in_line()
    if waiting is not None and Job.objects.waiting().filter(pk=waiting.pk).update(not_before=clock.now()):
        nudge(waiting.public_id)
    closed = get_kind(job.kind).closed
    if closed is not None:
        closed(job)


@transaction.atomic
def request_cancel(*, actor: Actor, job: Job) -> Job:
    """Queued → cancelled at once; running → its supervisor is asked to stop. Twice is as good as once.

    Errors: Forbidden; Conflict when the job succeeded or failed first.
    """
    if job.project_id != actor.project_id or (job.actor_id != actor.pk and role_of(actor) not in MANAGERS):
        raise Forbidden(_("Only a manager or the one who started it may cancel this."))
    if _cancel_queued(job) or _ask_running(job):
        record_event(project=job.project, actor=actor, verb="job.cancel_requested", object_id=job.public_id)
    job.refresh_from_db()
    if job.state in (Job.State.SUCCEEDED, Job.State.FAILED):
        raise Conflict(_("It is already over: %(state)s.") % {"state": job.get_state_display()})
    return job


def _cancel_queued(job: Job) -> bool:
    now = clock.now()
    changed = (
        Job.objects.waiting()
        .filter(pk=job.pk)
        .update(state=Job.State.CANCELLED, finished_at=now, cancel_requested_at=now)
    )
    if changed:
        _after_closing(job)
    return bool(changed)


@transaction.atomic
def go_on(*, actor: Actor, job: Job) -> Job:
    """Queue a cancelled or failed run once more, in its own run directory: it finds its newest checkpoint there.

    Errors: Forbidden; Conflict while it works, after it succeeded, and for work that leaves nothing to go on from.
    """
    if job.project_id != actor.project_id or role_of(actor) not in MANAGERS:
        raise Forbidden(_("Only a manager may let this go on."))
    kind = get_kind(job.kind)
    if kind.prepare is None:
        raise Conflict(_("%s leaves nothing to go on from.") % kind.label, hint=_("Start it again."))
    changed = Job.objects.filter(pk=job.pk, state__in=(Job.State.CANCELLED, Job.State.FAILED)).update(
        state=Job.State.QUEUED,
        queued_at=clock.now(),
        not_before=clock.now(),
        max_attempts=F("attempt") + kind.max_attempts,
        finished_at=None,
        cancel_requested_at=None,
        result=None,
        error=None,
    )
    job.refresh_from_db()
    if not changed:
        raise Conflict(_("It cannot go on: it is %(state)s.") % {"state": job.get_state_display()})
    record_event(project=job.project, actor=actor, verb="job.resumed", object_id=job.public_id)
    nudge_on_commit(job)
    return job


def _ask_running(job: Job) -> bool:
    """Loses to a requeue between the two updates; then the job is queued again and can be cancelled there."""
    asked = Job.objects.running().filter(pk=job.pk, cancel_requested_at=None).update(cancel_requested_at=clock.now())
    return bool(asked) or _cancel_queued(job)
