"""Leases of slots: given, renewed, given back, ended when they run out; a slot with a draft is parked for its author."""

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import Actor
from annotation.data import Claim
from annotation.errors import LeaseLost
from annotation.filing import reopen
from annotation.models import Draft, PastLease, Slot, Task
from annotation.services import sensitive
from ground import clock
from ground.errors import Invalid

LONGEST_DRAFT = 1_000_000
HELD = (Slot.State.LEASED, Slot.State.PARKED)


def lease_time() -> timedelta:
    return timedelta(seconds=settings.SLOT_LEASE_SECONDS)


def lease_again(slot: Slot) -> Claim | None:
    """A slot of one's own, parked or just undone, under a new lease. None: another process was first."""
    token, now = uuid.uuid4(), clock.now()
    unchanged = Slot.objects.filter(pk=slot.pk, state=slot.state, actor=slot.actor_id, lease_token=None)
    expires = now + lease_time()
    leased = {"state": Slot.State.LEASED, "lease_token": token, "leased_at": now, "lease_expires_at": expires}
    return as_claim(slot, token, expires) if unchanged.update(**leased) else None


def as_claim(slot: Slot, token: uuid.UUID, expires: datetime) -> Claim:
    """Gold is always shown as a task's first slot; the ordinals of its own would give it away."""
    return Claim(slot.pk, slot.task_id, 0 if slot.task.is_gold else slot.ordinal, token, expires)


def heartbeat(*, actor: Actor, slot: Slot, token: uuid.UUID) -> Claim:
    """Renew a lease that still runs; where its token was changed, as for a task that moved, the claim has the new one.

    Errors: LeaseLost.
    """
    expires = clock.now() + lease_time()
    held = Slot.objects.filter(pk=slot.pk, state=Slot.State.LEASED, actor=actor)
    if held.filter(lease_token=token).update(lease_expires_at=expires) == 1:
        return as_claim(slot, token, expires)
    now = held.filter(lease_expires_at__gt=clock.now()).first()
    if now is None or now.lease_token is None:
        raise _lost()
    return heartbeat(actor=actor, slot=slot, token=now.lease_token)


def keep_waiting(*, actor: Actor, slot_ids: Iterable[int]) -> int:
    """Renew the running leases of tasks that wait, unseen, in a page that is open: their time begins when they are shown."""
    now = clock.now()
    waiting = Slot.objects.filter(pk__in=slot_ids, actor=actor, state=Slot.State.LEASED, lease_expires_at__gt=now)
    return waiting.update(lease_expires_at=now + lease_time())


def save_draft(*, actor: Actor, task: Task, answers: Any) -> Draft:
    """Keep unfinished work. It outlives the lease."""
    if not isinstance(answers, dict) or len(str(answers)) > LONGEST_DRAFT:
        raise Invalid(_("A draft is an object of at most a million characters."))
    draft, _made = Draft.objects.update_or_create(
        task=task, actor=actor, defaults={"answers": answers, "saved_at": clock.now()}
    )
    return draft


def release(*, actor: Actor, slot: Slot, token: uuid.UUID) -> None:
    """Hand a slot back unanswered."""
    with transaction.atomic():
        require_lease(actor, slot, token)
        reopen(slot, PastLease.Ending.RELEASED)
        sensitive.forget_unopened(actor.pk, slot.task_id)


def require_lease(actor: Actor, slot: Slot, token: uuid.UUID) -> None:
    if slot.state != Slot.State.LEASED or slot.actor_id != actor.pk or slot.lease_token != token:
        raise _lost()


def _lost() -> LeaseLost:
    return LeaseLost(
        _("Your time for this task ended and it went back to the queue."),
        hint=_("Your text is kept as a draft. Submit it all the same, or take the next task."),
    )


def expire_leases(*, limit: int = 500) -> int:
    """End leases that ran out: a slot with a draft is parked for its author, any other goes back to the queue.

    Returns how many; safe to run from several processes at once.
    """
    late = Slot.objects.filter(state__in=HELD, lease_expires_at__lt=clock.now()).select_related("task__project")
    return sum(_end_alone(slot) for slot in late.order_by("lease_expires_at")[:limit])


def _end_alone(slot: Slot) -> bool:
    with transaction.atomic():
        begun = Draft.objects.filter(task=slot.task_id, actor=slot.actor_id).exists()
        if slot.state == Slot.State.LEASED and begun and slot.task.state != Task.State.ARCHIVED:
            return _park(slot)
        return reopen(slot, PastLease.Ending.EXPIRED)


def _park(slot: Slot) -> bool:
    """Keep the place of somebody who has begun. No answer of a parked slot exists, so agreement never sees it."""
    unchanged = Slot.objects.filter(pk=slot.pk, state=Slot.State.LEASED, lease_token=slot.lease_token)
    until = clock.now() + timedelta(seconds=settings.SLOT_PARK_SECONDS)
    return bool(unchanged.update(state=Slot.State.PARKED, lease_token=None, lease_expires_at=until))
