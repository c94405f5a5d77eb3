"""The next slot of somebody: one they hold, one they left a draft on, else a fresh claim."""

from collections.abc import Iterable
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from accounts.models import Actor
from accounts.services import EVERYBODY, require_role
from annotation import dialect
from annotation.data import Claim
from annotation.dialect import Asker
from annotation.models import GroupMember, Mark, Queue, QueueReset, Slot, Task
from annotation.services import gold, sensitive, standings
from annotation.services.slots.leases import HELD, as_claim, lease_again, lease_time
from ground import clock

RESET_EVERY = timedelta(minutes=1)


def take_next(*, actor: Actor, holding: Iterable[int] = (), queue: Queue | None = None) -> Claim | None:
    """The actor's next slot: one it already holds (and is not looking at), one it left a draft on, else a fresh claim, else None.

    When nothing lies behind the marks they go back to the start, at most once a minute: that finds the slots of transactions
    that committed out of order. Errors: Barred, for somebody who is paused or blocked where there would be work.
    """
    require_role(actor, *EVERYBODY)
    claim = next_claim(actor, set(holding), queue, gold.draw(actor, queue))
    if claim is None:
        standings.refuse_barred(actor)
    sensitive.note_handed_out(actor, claim)
    return claim


def next_claim(actor: Actor, holding: set[int], queue: Queue | None, mixed: Queue | None) -> Claim | None:
    held = _already_held(actor, holding, queue)
    drawn = gold.claim(actor, mixed) if mixed and not held else None
    return held or drawn or _claim(actor, queue) or _claim_after_reset(actor, queue)


def _already_held(actor: Actor, holding: set[int], queue: Queue | None) -> Claim | None:
    now = clock.now()
    held = Slot.objects.filter(actor=actor, state__in=HELD, lease_expires_at__gt=now, task__project=actor.project)
    if queue is not None:
        held = held.filter(task__queue=queue)
    held = held.exclude(task__state=Task.State.ARCHIVED)
    for slot in held.exclude(pk__in=holding).select_related("task").order_by("leased_at"):
        if slot.state == Slot.State.PARKED:
            claim = lease_again(slot)
            if claim is not None:
                return claim
        elif slot.lease_token is not None and slot.lease_expires_at is not None:
            return as_claim(slot, slot.lease_token, slot.lease_expires_at)
    return None


def _claim(actor: Actor, queue: Queue | None) -> Claim | None:
    for attempt in (1, 2, 3):
        try:
            return dialect.claim(asker_of(actor, queue), now=clock.now(), lease=lease_time())
        except IntegrityError:
            # A second tab of the same person took a sister slot of the same task between our look and our lock.
            if attempt == 3:
                raise
    return None


def _claim_after_reset(actor: Actor, queue: Queue | None) -> Claim | None:
    now = clock.now()
    with transaction.atomic():
        _reset, made = QueueReset.objects.get_or_create(actor=actor, defaults={"at": now})
        due = made or QueueReset.objects.filter(actor=actor, at__lte=now - RESET_EVERY).update(at=now)
        if due:
            Mark.objects.filter(actor=actor).delete()
    return _claim(actor, queue) if due else None


def asker_of(actor: Actor, queue: Queue | None = None) -> Asker:
    return Asker(actor.pk, actor.project_id, queue.pk if queue else None, sensitive.serves(actor))


def free_for(actor: Actor, task_id: int) -> QuerySet[Slot]:
    """The open slots of a task that are kept for this actor, for a group of theirs or for nobody."""
    groups = GroupMember.objects.filter(actor=actor).values("group_id")
    for_actor = Q(lane__pool_id__in=(0, -actor.pk)) | Q(lane__pool_id__in=groups)
    return Slot.objects.filter(for_actor, task_id=task_id, state=Slot.State.OPEN).order_by("ordinal")
