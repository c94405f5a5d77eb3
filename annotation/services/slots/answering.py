"""An answer is written with its slot's end, and the next slot claimed in the same statement. Late ones are kept too."""

import uuid
from typing import Any

from django.db import IntegrityError, OperationalError, transaction
from django.utils.translation import gettext as _

from accounts.models import Actor
from annotation import dialect
from annotation.data import Answer, Claim
from annotation.dialect import Asker
from annotation.display import order_for, questions_of, reorder, shown_to
from annotation.errors import KeyReused, SchemaChanged, TaskGone
from annotation.models import Annotation, Schema, Slot, Task
from annotation.placing import lock_task
from annotation.schemas import check_answers, flags_in
from annotation.services import chat, gold, sensitive
from annotation.services.slots.claiming import asker_of, free_for, next_claim
from annotation.services.slots.leases import HELD, lease_time
from ground import clock
from ground.errors import Invalid
from ground.ids import new_public_id


def submit_answer(
    *,
    actor: Actor,
    slot: Slot,
    token: uuid.UUID,
    key: str,
    answers: Any,
    seconds: float | None = None,
    schema: str = "",
    then_next: bool = False,
) -> tuple[Annotation, Claim | None]:
    """Write the answer durably; with `then_next`, claim the next slot in the same statement.

    A repeated key returns the first answer. An answer that comes after the lease ended takes a free slot of the task if there is
    one, and is kept as surplus otherwise: nothing said is lost. `slot` comes with its task and schema.
    `schema` is the id of the one that was answered: SchemaChanged where the task has another by now.
    Errors: Invalid with the path, KeyReused, TaskGone.
    """
    if schema and schema != Schema.known(slot.task.schema_id)[0]:
        raise _schema_changed()
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
        claim = next_claim(actor, {slot.pk}, None, mixed)
    sensitive.note_handed_out(actor, claim)
    return annotation, claim


def answer_handed(
    *,
    actor: Actor,
    slot: Slot,
    token: uuid.UUID,
    access_id: int,
    scope: str,
    key: str,
    answers: Any,
    seconds: float | None = None,
) -> tuple[Answer, Claim | None] | None:
    """`submit_answer` with the next task, from what was known when the slot was handed out by a token (`access_id`): the answer
    that counts now, and the claim.

    That the token still carries the scope, the lease runs and the task stands is looked up by the statement that writes. None:
    something is not as it was, or not as it should be; nothing was written, and `submit_answer` has the words for it. PostgreSQL.
    """
    if gold.mixes(actor):
        return None
    try:
        answer = _checked(actor, slot, key, answers, seconds)
        done, claim = dialect.answer_handed(
            asker_of(actor),
            slot_id=slot.pk,
            token=token,
            answer=answer,
            lease=lease_time(),
            access_id=access_id,
            scope=scope,
            schema_id=slot.task.schema_id,
        )
    except (Invalid, IntegrityError, OperationalError):
        return None
    if done is None:
        return None
    claim = claim or next_claim(actor, {slot.pk}, None, None)
    sensitive.note_handed_out(actor, claim)
    return answer, claim


def _checked(actor: Actor, slot: Slot, key: str, answers: Any, seconds: float | None) -> Answer:
    if not key or len(key) > 80:
        raise Invalid(_("Send an Idempotency-Key of 1 to 80 characters, new for each answer, the same on a retry."))
    try:
        checked = check_answers(Schema.body_of(slot.task.schema_id), answers, shown_to(actor, slot.task))
    except ValueError as error:
        raise Invalid(str(error)) from error
    questions = questions_of(slot.task)
    if any(question["kind"] == "chat" for question in questions):
        checked = chat.with_turns(actor=actor, task=slot.task, questions=questions, answers=checked)
    order = order_for(actor, slot.task)
    return Answer(
        public_id=new_public_id("ann"),
        key=key,
        answers=reorder(questions, checked, order),
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
    asker = asker_of(actor) if then_next else Asker(actor.pk, actor.project_id)
    try:
        if then_next:
            return dialect.submit_and_claim(asker, slot_id=slot.pk, token=token, answer=answer, lease=lease_time())
        return dialect.submit(asker, slot_id=slot.pk, token=token, answer=answer), None
    except IntegrityError:
        # Either the claim met a sister slot taken in another tab, or this very submit is running twice. Once more, apart.
        if Annotation.objects.filter(actor=actor, key=answer.key).exists():
            return None, None
        return dialect.submit(asker, slot_id=slot.pk, token=token, answer=answer), None


def _submit_late(actor: Actor, slot: Slot, answer: Answer) -> Annotation:
    with transaction.atomic():
        task = lock_task(slot.task_id)
        first = _first_answer(actor, slot, answer)
        if first is not None:
            return first
        if task.schema_id != slot.task.schema_id:
            raise _schema_changed()  # while this answer was on its way
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
    for spare in free_for(actor, slot.task_id):
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


def _schema_changed() -> SchemaChanged:
    return SchemaChanged(
        _("The questions of this task changed while it was open."),
        hint=_("Nothing you wrote is lost: load the new questions, and answer those."),
    )
