"""Every write of the queue: tasks in, slots out, answers in."""

import functools
import uuid
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils.translation import gettext as _

from accounts.models import Actor, Project
from accounts.services import EVERYBODY, MANAGERS, record_event, require_role
from annotation import dialect
from annotation.data import Answer, Claim
from annotation.display import display_order, to_candidate_order
from annotation.errors import LeaseLost, NothingToUndo, TaskGone
from annotation.models import (
    Annotation,
    Candidate,
    Draft,
    Guideline,
    Lane,
    Mark,
    QueueReset,
    Schema,
    Skip,
    Slot,
    Task,
    Withdrawal,
)
from annotation.schemas import check_answers, pairwise_schema
from ground import clock
from ground.errors import Invalid, NotFound
from ground.ids import new_public_id
from jobs.models import Outbox
from models_registry.models import Completion, Evaluation

EVERYONE = 0
RESET_EVERY = timedelta(minutes=1)
DEFAULT_QUESTION = "Which answer helps this person more?"


def publish_guideline(*, actor: Actor, body: str) -> Guideline:
    """A new version of the guidelines. The old ones stay: annotations point at the one they were made under."""
    require_role(actor, *MANAGERS)
    if not body.strip():
        raise Invalid(_("The guidelines are empty."), hint=_("Write how a good judgement is made."))
    with transaction.atomic():
        Project.objects.select_for_update().get(pk=actor.project_id)
        last = Guideline.objects.filter(project=actor.project).aggregate(last=Max("version"))["last"] or 0
        guideline = Guideline.objects.create(project=actor.project, version=last + 1, body=body)
        record_event(project=actor.project, actor=actor, verb="guideline.published", object_id=guideline.public_id)
    return guideline


def create_pairwise_tasks(
    *,
    actor: Actor,
    pairs: Sequence[tuple[Completion, Completion]],
    overlap: int = 1,
    question: str = DEFAULT_QUESTION,
    evaluation: Evaluation | None = None,
    external_ids: Sequence[str] | None = None,
    priority: int = 5,
) -> list[Task]:
    """A task per pair of completions of one prompt, with its slots, in one transaction.

    A pair whose external id already has a task is passed over, so a repeated call makes nothing twice.
    """
    require_role(actor, *MANAGERS)
    if not 1 <= overlap <= 64:
        raise Invalid(_("Overlap is a number from 1 to 64."))
    for first, second in pairs:
        if first.prompt_id != second.prompt_id or first.pk == second.pk:
            raise Invalid(
                _("A pair is two different completions of one prompt."), index=[first.public_id, second.public_id]
            )
    names = external_ids or [f"{first.public_id}:{second.public_id}" for first, second in pairs]
    with transaction.atomic():
        schema = _current_schema(actor.project, pairwise_schema(text=question))
        known = set(
            Task.objects.filter(project=actor.project, external_id__in=names).values_list("external_id", flat=True)
        )
        fresh = [(name, pair) for name, pair in zip(names, pairs, strict=True) if name not in known]
        tasks = _make_tasks(actor.project, schema, fresh, overlap=overlap, evaluation=evaluation, priority=priority)
        open_slots(tasks)
        record_event(
            project=actor.project,
            actor=actor,
            verb="tasks.created",
            object_id=schema.public_id,
            data={"tasks": len(tasks)},
        )
    return tasks


def _current_schema(project: Project, body: dict[str, Any]) -> Schema:
    last = Schema.objects.filter(project=project, name="pairwise").order_by("-version").first()
    if last is not None and last.body == body:
        return last
    return Schema.objects.create(project=project, name="pairwise", version=last.version + 1 if last else 1, body=body)


def _make_tasks(
    project: Project,
    schema: Schema,
    named: Iterable[tuple[str, tuple[Completion, Completion]]],
    *,
    overlap: int,
    evaluation: Evaluation | None,
    priority: int,
) -> list[Task]:
    tasks, candidates = [], []
    for name, (first, second) in named:
        task = Task(
            project=project,
            schema=schema,
            prompt_id=first.prompt_id,
            evaluation=evaluation,
            external_id=name,
            data={"schema_version": 1},
            overlap=overlap,
            priority=priority,
        )
        tasks.append(task)
        candidates += [
            Candidate(task=task, completion=pick, ordinal=place) for place, pick in enumerate((first, second))
        ]
    Task.objects.bulk_create(tasks, batch_size=1000)
    for candidate in candidates:
        candidate.task_id = candidate.task.pk
    Candidate.objects.bulk_create(candidates, batch_size=1000)
    return tasks


def open_slots(tasks: Sequence[Task]) -> None:
    """Slots for new tasks, breadth first: everybody's first answer on every task before anybody's second."""
    slots = []
    lanes: dict[tuple[int, int], Lane] = {}
    for ordinal in range(max((task.overlap for task in tasks), default=0)):
        wide = [task for task in tasks if ordinal < task.overlap]
        openings = dialect.next_openings(len(wide))
        for task, seq in zip(wide, openings, strict=True):
            place = (task.project_id, task.priority)
            if place not in lanes:
                lanes[place] = lane_for(project_id=task.project_id, priority=task.priority, returned=False)
            slots.append(Slot(task=task, lane=lanes[place], ordinal=ordinal, seq=seq))
    Slot.objects.bulk_create(slots, batch_size=1000)


def lane_for(*, project_id: int, priority: int, returned: bool, pool_id: int = EVERYONE) -> Lane:
    """Higher priorities first; inside one, slots that came back before slots nobody has had."""
    sort = (9 - priority) * 10 + (0 if returned else 1)
    lane, _made = Lane.objects.get_or_create(project_id=project_id, pool_id=pool_id, sort=sort)
    return lane


def take_next(*, actor: Actor, holding: Iterable[int] = ()) -> Claim | None:
    """The actor's next slot: one it already holds (and is not looking at), else a fresh claim, else None.

    When nothing lies behind the marks they go back to the start, at most once a minute: that finds the slots of transactions
    that committed out of order.
    """
    require_role(actor, *EVERYBODY)
    return _already_held(actor, set(holding)) or _claim(actor) or _claim_after_reset(actor)


def _already_held(actor: Actor, holding: set[int]) -> Claim | None:
    held = Slot.objects.filter(
        actor=actor, state=Slot.State.LEASED, lease_expires_at__gt=clock.now(), task__project=actor.project
    ).exclude(pk__in=holding)
    slot = held.order_by("leased_at").first()
    if slot is None or slot.lease_token is None or slot.lease_expires_at is None:
        return None
    return Claim(slot.pk, slot.task_id, slot.ordinal, slot.lease_token, slot.lease_expires_at)


def _claim(actor: Actor) -> Claim | None:
    for attempt in (1, 2, 3):
        try:
            with transaction.atomic():
                return dialect.claim(
                    actor_id=actor.pk, project_id=actor.project_id, pools=[EVERYONE], now=clock.now(), lease=_lease()
                )
        except IntegrityError:
            # A second tab of the same person took a sister slot of the same task between our look and our lock.
            if attempt == 3:
                raise
    return None


def _claim_after_reset(actor: Actor) -> Claim | None:
    now = clock.now()
    with transaction.atomic():
        _reset, made = QueueReset.objects.get_or_create(actor=actor, defaults={"at": now})
        due = made or QueueReset.objects.filter(actor=actor, at__lte=now - RESET_EVERY).update(at=now)
        if due:
            Mark.objects.filter(actor=actor).delete()
    return _claim(actor) if due else None


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
    Errors: Invalid with the path, TaskGone.
    """
    answer = _checked(actor, slot, key, answers, seconds)
    first = Annotation.objects.filter(actor=actor, key=key).first() if key else None
    if first is not None:
        return first, take_next(actor=actor) if then_next else None
    if slot.task.state == Task.State.ARCHIVED:
        raise TaskGone(_("This task was taken out of the queue."), hint=_("Your text stays here; take the next task."))
    done, claim = _submit(actor, slot, token, answer, then_next)
    if not done:
        annotation = _submit_late(actor, slot, answer)
    else:
        annotation = Annotation.objects.get(public_id=answer.public_id)
    if then_next and claim is None:
        claim = _claim_after_reset(actor)
    return annotation, claim


def _checked(actor: Actor, slot: Slot, key: str, answers: Any, seconds: float | None) -> Answer:
    if not key or len(key) > 80:
        raise Invalid(_("Send an Idempotency-Key of 1 to 80 characters, new for each answer, the same on a retry."))
    try:
        checked = check_answers(slot.task.schema.body, answers)
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
    )


def order_for(actor: Actor, task: Task) -> list[int]:
    """The order this actor sees the candidates of this task in."""
    return display_order(task_id=task.pk, actor_id=actor.pk, count=2)


def _submit(actor: Actor, slot: Slot, token: uuid.UUID, answer: Answer, then_next: bool) -> tuple[bool, Claim | None]:
    submit = functools.partial(
        dialect.submit, slot_id=slot.pk, token=token, actor_id=actor.pk, project_id=actor.project_id, answer=answer
    )
    try:
        with transaction.atomic():
            if then_next:
                return dialect.submit_and_claim(**submit.keywords, pools=[EVERYONE], lease=_lease())
            return submit(), None
    except IntegrityError:
        # Either the claim met a sister slot taken in another tab, or this very submit is running twice. Once more, apart.
        if Annotation.objects.filter(actor=actor, key=answer.key).exists():
            return False, None
        with transaction.atomic():
            return submit(), None


def _submit_late(actor: Actor, slot: Slot, answer: Answer) -> Annotation:
    with transaction.atomic():
        Task.objects.select_for_update().get(pk=slot.task_id)
        first = Annotation.objects.filter(actor=actor, key=answer.key).first()
        if first is not None:
            return first
        mine = Slot.objects.filter(task_id=slot.task_id, actor=actor).first()
        free = mine is None and not Annotation.objects.filter(task_id=slot.task_id, actor=actor, counted=True).exists()
        spare = _take_spare(actor, slot.task_id) if free else None
        if mine is not None and mine.state == Slot.State.LEASED:
            spare = _finish(mine)
        return dialect.write_annotation(
            slot=spare or slot,
            actor_id=actor.pk,
            project_id=actor.project_id,
            answer=answer,
            counted=spare is not None,
            surplus=spare is None,
        )


def _take_spare(actor: Actor, task_id: int) -> Slot | None:
    for spare in Slot.objects.filter(task_id=task_id, state=Slot.State.OPEN).order_by("ordinal"):
        if Slot.objects.filter(pk=spare.pk, state=Slot.State.OPEN).update(state=Slot.State.DONE, actor=actor):
            return spare
    return None


def _finish(slot: Slot) -> Slot | None:
    """A slot of the task that the actor holds under another lease, say in a second tab: this answer closes it."""
    held = Slot.objects.filter(pk=slot.pk, state=Slot.State.LEASED, lease_token=slot.lease_token)
    return slot if held.update(state=Slot.State.DONE, lease_token=None, lease_expires_at=None) else None


def undo(*, actor: Actor, annotation: Annotation) -> Claim:
    """Take an answer of one's own back: the row stays, uncounted, and its slot is leased to the author again."""
    if annotation.actor_id != actor.pk:
        raise NotFound(_("There is no such answer of yours."))
    token, now = uuid.uuid4(), clock.now()
    with transaction.atomic():
        if Annotation.objects.filter(pk=annotation.pk, counted=True).update(counted=False) != 1:
            raise NothingToUndo(_("This answer was already taken back, or never counted."))
        Withdrawal.objects.create(annotation=annotation, actor=actor, kind=Withdrawal.Kind.UNDO)
        Slot.objects.filter(pk=annotation.slot_id, state=Slot.State.DONE, actor=actor).update(
            state=Slot.State.LEASED, lease_token=token, leased_at=now, lease_expires_at=now + _lease()
        )
        dialect.count_answer(annotation.task_id, -1)
        Outbox.objects.create(consumer="preferences", topic="annotation.withdrawn", object_id=annotation.pk)
    return Claim(annotation.slot_id, annotation.task_id, annotation.slot.ordinal, token, now + _lease())


def retract(*, actor: Actor, annotation: Annotation, reason: str) -> None:
    """A manager takes somebody's answer out of everything that will be built from now on; its slot opens for somebody else."""
    require_role(actor, *MANAGERS)
    if not reason.strip():
        raise Invalid(_("Say why this answer is retracted."))
    with transaction.atomic():
        if Annotation.objects.filter(pk=annotation.pk, counted=True).update(counted=False) != 1:
            raise NothingToUndo(_("This answer does not count any more."))
        Withdrawal.objects.create(annotation=annotation, actor=actor, kind=Withdrawal.Kind.RETRACTION, reason=reason)
        reopen(annotation.slot)
        dialect.count_answer(annotation.task_id, -1)
        Outbox.objects.create(consumer="preferences", topic="annotation.withdrawn", object_id=annotation.pk)
        record_event(
            project=annotation.project,
            actor=actor,
            verb="annotation.retracted",
            object_id=annotation.public_id,
            data={"reason": reason},
        )


def reopen(slot: Slot) -> bool:
    """Put a slot back into the queue, under a fresh number in the lane of returned slots. False: another process was first."""
    task = slot.task
    lane = lane_for(project_id=task.project_id, priority=task.priority, returned=True)
    unchanged = Slot.objects.filter(pk=slot.pk, state=slot.state, lease_token=slot.lease_token)
    return bool(
        unchanged.update(
            state=Slot.State.OPEN,
            actor=None,
            lease_token=None,
            lease_expires_at=None,
            lane=lane,
            seq=dialect.next_openings(1)[0],
        )
    )


def skip(*, actor: Actor, slot: Slot, token: uuid.UUID, reason: str = "") -> None:
    """Pass a task over: it goes back to the others and does not return to this actor."""
    with transaction.atomic():
        _require_lease(actor, slot, token)
        Skip.objects.get_or_create(task=slot.task, actor=actor, defaults={"reason": reason[:2000]})
        reopen(slot)


def release(*, actor: Actor, slot: Slot, token: uuid.UUID) -> None:
    """Hand a slot back unanswered."""
    with transaction.atomic():
        _require_lease(actor, slot, token)
        reopen(slot)


def heartbeat(*, actor: Actor, slot: Slot, token: uuid.UUID) -> Claim:
    """Renew a lease that still runs. Errors: LeaseLost."""
    expires = clock.now() + _lease()
    held = Slot.objects.filter(pk=slot.pk, state=Slot.State.LEASED, actor=actor, lease_token=token)
    if held.update(lease_expires_at=expires) != 1:
        raise _lost()
    return Claim(slot.pk, slot.task_id, slot.ordinal, token, expires)


def save_draft(*, actor: Actor, task: Task, answers: Any) -> Draft:
    """Keep unfinished work. It outlives the lease."""
    if not isinstance(answers, dict) or len(str(answers)) > 1_000_000:
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
    """Slots whose lease ran out go back to the queue. Returns how many; safe to run from several processes at once."""
    late = Slot.objects.filter(state=Slot.State.LEASED, lease_expires_at__lt=clock.now()).select_related("task")
    return sum(_reopen_alone(slot) for slot in late.order_by("lease_expires_at")[:limit])


def _reopen_alone(slot: Slot) -> bool:
    with transaction.atomic():
        return reopen(slot)
