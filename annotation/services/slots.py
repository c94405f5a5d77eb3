"""The life of a slot: leased, answered, skipped, parked, given back, undone."""

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from accounts.models import Actor
from accounts.services import EVERYBODY, MANAGERS, record_event, require_role
from annotation import dialect
from annotation.data import Answer, Claim
from annotation.dialect import Asker
from annotation.display import order_for, to_candidate_order
from annotation.errors import KeyReused, LeaseLost, NothingToUndo, TaskGone
from annotation.filing import reopen
from annotation.models import (
    Annotation,
    Case,
    Draft,
    GroupMember,
    Mark,
    PastLease,
    Queue,
    QueueReset,
    Schema,
    Skip,
    Slot,
    Task,
    Withdrawal,
)
from annotation.placing import lock_task
from annotation.schemas import check_answers, flags_in
from annotation.services import gold, routing, standings
from ground import clock
from ground.errors import Invalid, NotFound
from ground.ids import new_public_id
from jobs.models import Outbox

RESET_EVERY = timedelta(minutes=1)
LONGEST_DRAFT = 1_000_000
HELD = (Slot.State.LEASED, Slot.State.PARKED)


def take_next(*, actor: Actor, holding: Iterable[int] = (), queue: Queue | None = None) -> Claim | None:
    """The actor's next slot: one it already holds (and is not looking at), one it left a draft on, else a fresh claim, else None.

    When nothing lies behind the marks they go back to the start, at most once a minute: that finds the slots of transactions
    that committed out of order. Errors: Barred, for somebody who is paused or blocked where there would be work.
    """
    require_role(actor, *EVERYBODY)
    claim = _next(actor, set(holding), queue, gold.draw(actor, queue))
    if claim is None:
        standings.refuse_barred(actor)
    return claim


def _next(actor: Actor, holding: set[int], queue: Queue | None, mixed: Queue | None) -> Claim | None:
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
            claim = _lease_again(slot)
            if claim is not None:
                return claim
        elif slot.lease_token is not None and slot.lease_expires_at is not None:
            return _as_claim(slot, slot.lease_token, slot.lease_expires_at)
    return None


def _lease_again(slot: Slot) -> Claim | None:
    """A slot of one's own, parked or just undone, under a new lease. None: another process was first."""
    token, now = uuid.uuid4(), clock.now()
    unchanged = Slot.objects.filter(pk=slot.pk, state=slot.state, actor=slot.actor_id, lease_token=None)
    expires = now + _lease()
    leased = {"state": Slot.State.LEASED, "lease_token": token, "leased_at": now, "lease_expires_at": expires}
    return _as_claim(slot, token, expires) if unchanged.update(**leased) else None


def _as_claim(slot: Slot, token: uuid.UUID, expires: datetime) -> Claim:
    """Gold is always shown as a task's first slot; the ordinals of its own would give it away."""
    return Claim(slot.pk, slot.task_id, 0 if slot.task.is_gold else slot.ordinal, token, expires)


def _claim(actor: Actor, queue: Queue | None) -> Claim | None:
    for attempt in (1, 2, 3):
        try:
            return dialect.claim(_asker(actor, queue), now=clock.now(), lease=_lease())
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


def _asker(actor: Actor, queue: Queue | None = None) -> Asker:
    return Asker(actor.pk, actor.project_id, queue.pk if queue else None)


def _lease() -> timedelta:
    return timedelta(seconds=settings.SLOT_LEASE_SECONDS)


def submit_answer(
    *,
    actor: Actor,
    slot: Slot,
    token: uuid.UUID,
    key: str,
    answers: Any,
    seconds: float | None = None,
    then_next: bool = False,
) -> tuple[Annotation, Claim | None]:
    """Write the answer durably; with `then_next`, claim the next slot in the same statement.

    A repeated key returns the first answer. An answer that comes after the lease ended takes a free slot of the task if there is
    one, and is kept as surplus otherwise: nothing said is lost. `slot` comes with its task and schema.
    Errors: Invalid with the path, KeyReused, TaskGone.
    """
    answer = _checked(actor, slot, key, answers, seconds)
    if slot.task.state == Task.State.ARCHIVED:
        return _of_archived(actor, slot, answer), None
    mixed = gold.draw(actor) if then_next else None
    done, claim = _submit(actor, slot, token, answer, then_next and mixed is None)
    if done is None:
        annotation = _submit_late(actor, slot, answer)
    else:
        annotation = _written(done, actor, slot, answer)
    if slot.task.is_gold and annotation.counted:
        gold.score(annotation)
    if then_next and claim is None:
        claim = _next(actor, {slot.pk}, None, mixed)
    return annotation, claim


def _checked(actor: Actor, slot: Slot, key: str, answers: Any, seconds: float | None) -> Answer:
    if not key or len(key) > 80:
        raise Invalid(_("Send an Idempotency-Key of 1 to 80 characters, new for each answer, the same on a retry."))
    try:
        checked = check_answers(Schema.body_of(slot.task.schema_id), answers)
    except ValueError as error:
        raise Invalid(str(error)) from error
    order = order_for(actor, slot.task)
    return Answer(
        public_id=new_public_id("ann"),
        key=key,
        answers=to_candidate_order(checked, order),
        display_order=order,
        seconds=seconds,
        at=clock.now(),
        flagged=bool(flags_in(checked)),
    )


def _written(pk: int, actor: Actor, slot: Slot, answer: Answer) -> Annotation:
    """The row that the statement wrote, without reading it back."""
    return Annotation(
        pk=pk,
        public_id=answer.public_id,
        created_at=answer.at,
        project_id=actor.project_id,
        task=slot.task,
        slot=slot,
        actor=actor,
        key=answer.key,
        answers=answer.answers,
        display_order=answer.display_order,
        seconds=answer.seconds,
    )


def _submit(
    actor: Actor, slot: Slot, token: uuid.UUID, answer: Answer, then_next: bool
) -> tuple[int | None, Claim | None]:
    asker = _asker(actor)
    try:
        if then_next:
            return dialect.submit_and_claim(asker, slot_id=slot.pk, token=token, answer=answer, lease=_lease())
        return dialect.submit(asker, slot_id=slot.pk, token=token, answer=answer), None
    except IntegrityError:
        # Either the claim met a sister slot taken in another tab, or this very submit is running twice. Once more, apart.
        if Annotation.objects.filter(actor=actor, key=answer.key).exists():
            return None, None
        return dialect.submit(asker, slot_id=slot.pk, token=token, answer=answer), None


def _submit_late(actor: Actor, slot: Slot, answer: Answer) -> Annotation:
    with transaction.atomic():
        lock_task(slot.task_id)
        first = _first_answer(actor, slot, answer)
        if first is not None:
            return first
        spare = _place_for_late(actor, slot)
        return dialect.write_annotation(
            slot=spare or slot,
            actor_id=actor.pk,
            project_id=actor.project_id,
            answer=answer,
            counted=spare is not None,
            surplus=spare is None,
        )


def _first_answer(actor: Actor, slot: Slot, answer: Answer) -> Annotation | None:
    """What this key already wrote. Errors: KeyReused when it was for another task or said something else."""
    first = Annotation.objects.filter(actor=actor, key=answer.key).select_related("task").first()
    if first is not None and (first.task_id != slot.task_id or first.answers != answer.answers):
        raise KeyReused(
            _("This Idempotency-Key already stands for another answer."), hint=_("Make a new key for each answer.")
        )
    return first


def _place_for_late(actor: Actor, slot: Slot) -> Slot | None:
    """The slot a late answer may fill: the actor's own, else a free one, unless this actor's answer already counts."""
    mine = Slot.objects.filter(task_id=slot.task_id, actor=actor).first()
    if mine is not None:
        # A closed slot of gold takes a late answer as an open one of any other task does.
        free = mine.state in HELD or (slot.task.is_gold and mine.state == Slot.State.CLOSED)
        return _finish(mine) if free else None
    if Annotation.objects.filter(task_id=slot.task_id, actor=actor, counted=True).exists():
        return None
    groups = GroupMember.objects.filter(actor=actor).values("group_id")
    for_actor = Q(lane__pool_id__in=(0, -actor.pk)) | Q(lane__pool_id__in=groups)
    for spare in Slot.objects.filter(for_actor, task_id=slot.task_id, state=Slot.State.OPEN).order_by("ordinal"):
        if Slot.objects.filter(pk=spare.pk, state=Slot.State.OPEN).update(state=Slot.State.DONE, actor=actor):
            return spare
    return None


def _finish(slot: Slot) -> Slot | None:
    """The actor's own slot, parked or under another lease (a second tab, say): this answer closes it."""
    held = Slot.objects.filter(pk=slot.pk, state=slot.state, lease_token=slot.lease_token)
    return slot if held.update(state=Slot.State.DONE, lease_token=None, lease_expires_at=None) else None


def _of_archived(actor: Actor, slot: Slot, answer: Answer) -> Annotation:
    """A retry still gets its first answer. Errors: TaskGone for a new one."""
    first = _first_answer(actor, slot, answer)
    if first is None:
        raise TaskGone(_("This task was taken out of the queue."), hint=_("Your text stays here; take the next task."))
    return first


def undo(*, actor: Actor, annotation: Annotation) -> Claim:
    """Take an answer of one's own back: the row stays, uncounted, and its slot is leased to the author again."""
    if annotation.actor_id != actor.pk or annotation.slot is None:
        raise NotFound(_("There is no such answer of yours."))
    if gold.was_told(annotation):
        raise NothingToUndo(_("This answer was checked and you were told the result."))
    if annotation.rulings.filter(case__state=Case.State.SETTLED).exists():
        raise NothingToUndo(_("This answer was reviewed; it stays as the reviewer saw it."))
    with transaction.atomic():
        slot = Slot.objects.select_for_update(of=("self",)).select_related("task").get(annotations=annotation)
        if Annotation.objects.filter(pk=annotation.pk, counted=True).update(counted=False) != 1:
            raise NothingToUndo(_("This answer was already taken back, or never counted."))
        Withdrawal.objects.create(annotation=annotation, actor=actor, kind=Withdrawal.Kind.UNDO)
        claim = _lease_again(slot)
        if claim is None:
            raise NothingToUndo(_("This task was taken away meanwhile."))
        dialect.count_answer(annotation.task_id, -1)
        Outbox.objects.create(consumer="preferences", topic="annotation.withdrawn", object_id=annotation.pk)
        routing.look_again(annotation.task_id)
        if slot.task.is_gold:
            gold.unscore(annotation)
    return claim


def retract(*, actor: Actor, annotation: Annotation, reason: str) -> None:
    """A manager takes somebody's answer out of everything that will be built from now on; its slot opens for somebody else."""
    require_role(actor, *MANAGERS)
    if not reason.strip():
        raise Invalid(_("Say why this answer is retracted."))
    with transaction.atomic():
        if annotation.settlement:
            # The last word goes, so the router looks at the task anew. Task before annotation, as whoever settles locks them.
            Task.objects.filter(pk=annotation.task_id).update(resolution=Task.Resolution.NONE)
        slot = (
            Slot.objects.select_for_update(of=("self",)).select_related("task__project").filter(annotations=annotation)
        )
        held = slot.first()
        if Annotation.objects.filter(pk=annotation.pk, counted=True).update(counted=False) != 1:
            raise NothingToUndo(_("This answer does not count any more."))
        Withdrawal.objects.create(annotation=annotation, actor=actor, kind=Withdrawal.Kind.RETRACTION, reason=reason)
        if held is not None:
            reopen(held, PastLease.Ending.RETRACTED)
            dialect.count_answer(annotation.task_id, -1)
        Outbox.objects.create(consumer="preferences", topic="annotation.withdrawn", object_id=annotation.pk)
        routing.look_again(annotation.task_id)
        if annotation.task.is_gold:
            gold.unscore(annotation)
        record_event(
            project=annotation.project,
            actor=actor,
            verb="annotation.retracted",
            object_id=annotation.public_id,
            data={"reason": reason},
        )


def skip(*, actor: Actor, slot: Slot, token: uuid.UUID, reason: str = "") -> None:
    """Pass a task over: it goes back to the others and does not return to this actor."""
    with transaction.atomic():
        _require_lease(actor, slot, token)
        Skip.objects.get_or_create(task=slot.task, actor=actor, defaults={"reason": reason[:2000]})
        reopen(slot, PastLease.Ending.SKIPPED)


def release(*, actor: Actor, slot: Slot, token: uuid.UUID) -> None:
    """Hand a slot back unanswered."""
    with transaction.atomic():
        _require_lease(actor, slot, token)
        reopen(slot, PastLease.Ending.RELEASED)


def heartbeat(*, actor: Actor, slot: Slot, token: uuid.UUID) -> Claim:
    """Renew a lease that still runs. Errors: LeaseLost."""
    expires = clock.now() + _lease()
    held = Slot.objects.filter(pk=slot.pk, state=Slot.State.LEASED, actor=actor, lease_token=token)
    if held.update(lease_expires_at=expires) != 1:
        raise _lost()
    return _as_claim(slot, token, expires)


def keep_waiting(*, actor: Actor, slot_ids: Iterable[int]) -> int:
    """Renew the running leases of tasks that wait, unseen, in a page that is open: their time begins when they are shown."""
    now = clock.now()
    waiting = Slot.objects.filter(pk__in=slot_ids, actor=actor, state=Slot.State.LEASED, lease_expires_at__gt=now)
    return waiting.update(lease_expires_at=now + _lease())


def save_draft(*, actor: Actor, task: Task, answers: Any) -> Draft:
    """Keep unfinished work. It outlives the lease."""
    if not isinstance(answers, dict) or len(str(answers)) > LONGEST_DRAFT:
        raise Invalid(_("A draft is an object of at most a million characters."))
    draft, _made = Draft.objects.update_or_create(
        task=task, actor=actor, defaults={"answers": answers, "saved_at": clock.now()}
    )
    return draft


def _require_lease(actor: Actor, slot: Slot, token: uuid.UUID) -> None:
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
