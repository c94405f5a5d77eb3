"""An answer changed by its author afterwards: a new row in the place of the old one, never a changed one."""

from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import Actor
from annotation.data import Answer
from annotation.display import order_for, questions_of, reorder, shown_to
from annotation.errors import KeyReused
from annotation.models import Annotation, Case, Guideline, Schema, Task, Withdrawal
from annotation.placing import lock_task
from annotation.schemas import check_answers, flags_in
from annotation.services import gold, routing
from ground import clock
from ground.errors import Conflict, Invalid, NotFound
from ground.ids import new_public_id
from jobs.models import Outbox

SETTLED = (Task.Resolution.SETTLED, Task.Resolution.REJECTED)


class Fixed(Conflict):
    """This answer cannot be changed any more; the detail says why."""

    code = "answer_fixed"


def why_fixed(annotation: Annotation) -> str:
    """Why an answer cannot be changed any more; empty when it can. `annotation` comes with its task and the task's queue."""
    task = annotation.task
    if not annotation.counted and not (annotation.surplus and not hasattr(annotation, "withdrawal")):
        return _("It was taken back or replaced, so there is nothing to change.")
    if task.state == Task.State.ARCHIVED:
        return _("Its task was taken out of the queue.")
    if gold.was_told(annotation):
        return _("It was checked and you were told the result.")
    if task.resolution in SETTLED or annotation.rulings.filter(case__state=Case.State.SETTLED).exists():
        return _("It was reviewed; it stays as the reviewer saw it.")
    if any(question["kind"] == "chat" for question in questions_of(task)):
        return _("It is a conversation, and that is over.")
    return ""


def replace_answer(
    *, actor: Actor, annotation: Annotation, key: str, answers: Any, seconds: float | None = None
) -> Annotation:
    """Put a new answer in the place of one of one's own. It fills the same slot; the old row stays, uncounted.

    A repeated key returns the first replacement. `seconds` is the time spent changing; what was spent before is added.
    Errors: NotFound, Invalid with the path, KeyReused, Fixed when the answer stands as it is.
    """
    if annotation.actor_id != actor.pk or annotation.settlement:
        raise NotFound(_("There is no such answer of yours."))
    if not key or len(key) > 80:
        raise Invalid(_("Send an Idempotency-Key of 1 to 80 characters, new for each answer, the same on a retry."))
    checked = _checked(actor, annotation.task, answers)
    order = order_for(actor, annotation.task)
    meant = reorder(questions_of(annotation.task), checked, order)
    with transaction.atomic():
        lock_task(annotation.task_id)
        first = Annotation.objects.filter(actor=actor, key=key).select_related("task").first()
        if first is not None:
            return _same(first, annotation, meant)
        old = _locked(annotation)
        wrong = why_fixed(old)
        if wrong:
            raise Fixed(_("This answer cannot be changed any more. %s") % wrong)
        answer = Answer(
            public_id=new_public_id("ann"),
            key=key,
            answers=meant,
            display_order=order,
            seconds=None if seconds is None and old.seconds is None else (old.seconds or 0) + (seconds or 0),
            at=clock.now(),
            flagged=bool(flags_in(checked)),
        )
        return _replace(actor, old, answer)


def _checked(actor: Actor, task: Task, answers: Any) -> dict[str, Any]:
    try:
        return check_answers(Schema.body_of(task.schema_id), answers, shown_to(actor, task))
    except ValueError as error:
        raise Invalid(str(error)) from error


def _locked(annotation: Annotation) -> Annotation:
    rows = Annotation.objects.select_related("task__queue", "slot", "withdrawal")
    return rows.select_for_update(of=("self",)).get(pk=annotation.pk)


def _same(first: Annotation, annotation: Annotation, meant: dict[str, Any]) -> Annotation:
    if first.task_id != annotation.task_id or first.answers != meant:
        raise KeyReused(
            _("This Idempotency-Key already stands for another answer."), hint=_("Make a new key for each answer.")
        )
    return first


def _replace(actor: Actor, old: Annotation, answer: Answer) -> Annotation:
    """The old row stops counting before the new one starts: a slot never has two. The task's count stands still."""
    counted = old.counted
    Annotation.objects.filter(pk=old.pk).update(counted=False)
    new = Annotation.objects.create(
        public_id=answer.public_id,
        project_id=old.project_id,
        task_id=old.task_id,
        slot_id=old.slot_id,
        actor=actor,
        guideline=Guideline.objects.filter(project=old.project_id).order_by("-version").first(),
        key=answer.key,
        answers=answer.answers,
        display_order=answer.display_order,
        seconds=answer.seconds,
        counted=counted,
        surplus=old.surplus,
        created_at=answer.at,
    )
    Withdrawal.objects.create(annotation=old, actor=actor, kind=Withdrawal.Kind.EDIT, replacement=new)
    if counted:
        _announce(old, new, answer)
    return new


def _announce(old: Annotation, new: Annotation, answer: Answer) -> None:
    if old.task.is_gold:
        gold.unscore(old)
        gold.score(new)
        return
    for topic, row in (("annotation.withdrawn", old), ("annotation.submitted", new)):
        Outbox.objects.create(consumer="preferences", topic=topic, object_id=row.pk, created_at=answer.at)
    if answer.flagged:
        Outbox.objects.create(consumer="reviews", topic="task.answered", object_id=old.task_id, created_at=answer.at)
    routing.look_again(old.task_id)
