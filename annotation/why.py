"""Why a task was handed to somebody: what its lane, which never changes, said when it was claimed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from accounts.models import Actor
from accounts.services import MANAGERS, role_of
from annotation.models import Annotation, Group, Lane, PastLease, Queue, Slot, Task
from annotation.placing import IN_HAND
from ground.errors import NotFound

OWN, GROUP, EVERYBODY = "own", "group", "everybody"


@dataclass(frozen=True)
class Claimed:
    """A lease there is or was. `ending` is open while the slot is in hand; `seq` its number in the lane."""

    slot: Slot
    actor: Actor
    lane: Lane
    seq: int
    at: datetime | None
    ending: str
    ended_at: datetime | None = None


@dataclass(frozen=True)
class Why:
    queue: str
    order: str
    priority: int
    round: int
    returned: bool
    pool: str
    group: str | None
    batch: str | None
    sentence: str
    place: int | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def claims_of(task: Task, actor: Actor | None = None) -> list[Claimed]:
    """Every claim of the task there ever was, the oldest first; with an actor, that actor's alone."""
    lanes = ("lane__queue", "lane__batch", "actor")
    had = Slot.objects.filter(task=task, state__in=IN_HAND).select_related(*lanes, "task")
    past = PastLease.objects.filter(slot__task=task).select_related(*lanes, "slot__task")
    if actor is not None:
        had, past = had.filter(actor=actor), past.filter(actor=actor)
    answered = dict(Annotation.objects.filter(slot__task=task, counted=True).values_list("slot_id", "created_at"))
    ended = [_past(row) for row in past]
    # Gold given back is kept for its reader, where any other task would be free: the lease that ended is listed, once.
    told = {(claim.slot.pk, claim.at) for claim in ended}
    kept = [slot for slot in had if slot.state != Slot.State.PARKED or (slot.pk, slot.leased_at) not in told]
    found = [_had(slot, answered.get(slot.pk)) for slot in kept] + ended
    return sorted(found, key=lambda claim: (str(claim.at or claim.ended_at or ""), claim.slot.pk))


def _had(slot: Slot, answered: datetime | None) -> Claimed:
    ending = {Slot.State.LEASED: "in_hand", Slot.State.PARKED: "kept", Slot.State.DONE: "answered"}[
        Slot.State(slot.state)
    ]
    assert slot.actor is not None
    return Claimed(slot, slot.actor, slot.lane, slot.seq, slot.leased_at, ending, answered)


def _past(row: PastLease) -> Claimed:
    return Claimed(row.slot, row.actor, row.lane, row.seq, row.leased_at, row.ending, row.ended_at)


def why(actor: Actor, slot: Slot) -> Why:
    """Why the slot was handed out, as this actor may know it: managers anybody's latest claim, others their own.

    Errors: NotFound when there is no such claim.
    """
    manages = role_of(actor) in MANAGERS
    mine = claims_of(slot.task, actor)
    claims = [claim for claim in mine if claim.slot.pk == slot.pk]
    if manages and not claims:
        claims = [claim for claim in claims_of(slot.task) if claim.slot.pk == slot.pk]
    if not claims:
        raise NotFound(_("You were not given this task."))
    claim = claims[-1]
    return _told(claim, claim.lane, claim.seq) if manages else _told(claim, _lane_to_tell(claim), None)


def _lane_to_tell(claim: Claimed) -> Lane:
    """For gold, the lane of the task before or after it: its own would stand out among those of real work."""
    if not claim.slot.task.is_gold:
        return claim.lane
    real = Slot.objects.filter(actor=claim.actor, lane__queue=claim.lane.queue, state__in=IN_HAND)
    real = real.filter(task__purpose=Task.Purpose.PRODUCTION, leased_at__isnull=False)
    real = real.select_related("lane__queue", "lane__batch")
    at = claim.at or claim.ended_at
    before = real.filter(leased_at__lte=at).order_by("-leased_at").first() if at else None
    near = before or real.order_by("leased_at").first()
    return near.lane if near else claim.lane


def _told(claim: Claimed, lane: Lane, place: int | None) -> Why:
    pool, group = pool_of(lane)
    return Why(
        queue=lane.queue.name,
        order=lane.order,
        priority=lane.priority,
        round=lane.round,
        returned=lane.returned,
        pool=pool,
        group=group,
        batch=lane.batch.name if lane.batch else None,
        sentence=_sentence(claim, lane),
        place=place,
    )


def pool_of(lane: Lane) -> tuple[str, str | None]:
    """Whom the lane is kept for: the one person, a group (by its name, while it exists), everybody."""
    if lane.pool_id == 0:
        return EVERYBODY, None
    if lane.pool_id < 0:
        return OWN, None
    group = Group.objects.filter(pk=lane.pool_id).first()
    return GROUP, group.name if group else _("a group that is gone")


def _sentence(claim: Claimed, lane: Lane) -> str:
    if claim.at is None:
        return _("It was not handed out: an answer that came late took a place of this task that was free.")
    words = {
        "queue": lane.queue.name,
        "order": _order(lane),
        "priority": lane.priority,
        "for": _for(lane),
        "which": _which(lane),
    }
    among = _("the tasks with priority %(priority)d that are %(for)s and %(which)s") % words
    if lane.batch is not None:
        among = _("the tasks of the batch “%(batch)s” with priority %(priority)d that are %(for)s and %(which)s") % {
            **words,
            "batch": lane.batch.name,
        }
    return _("It was next in the queue %(queue)s (%(order)s), among %(among)s.") % {**words, "among": among}


def _order(lane: Lane) -> str:
    return str(Queue.Order(lane.order).label)


def _for(lane: Lane) -> str:
    pool, group = pool_of(lane)
    if pool == OWN:
        return _("kept for this one person")
    return _("kept for the group %s") % group if pool == GROUP else _("open to everybody")


def _which(lane: Lane) -> str:
    if lane.returned:
        return _("came back from somebody before")
    if lane.round == 0:
        return _("waited there for the first time")
    return _("waited for answer number %d") % (lane.round + 1)
