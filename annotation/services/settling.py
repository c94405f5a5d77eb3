"""Settling a case, and taking a settlement back: rulings, withdrawals, the answer that stands, in one transaction.

A ruling of *accept* leaves an answer as it is. *Reject* withdraws it. Its place stays filled (`Task.done` counts places that were
answered), because the settlement or the answers that stay speak for the task; with `ask_again` the place is opened for somebody
else instead, and the task is open until that answer is in. *Fix* leaves the answer counted, as what its author said, and tells the
author; the settlement stands in its place. While a settlement counts it is the only preference of its task.
"""

import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from accounts.models import Actor
from accounts.services import MANAGERS, REVIEWERS, record_event, require_role, role_of
from annotation.data import NewRuling, Settlement
from annotation.dialect import count_answer
from annotation.display import order_for, questions_of, reorder, shown_to
from annotation.errors import CaseChanged
from annotation.filing import reopen
from annotation.models import Annotation, Case, Guideline, PastLease, Ruling, Skip, Slot, Task, Withdrawal
from annotation.placing import lock_task
from annotation.schemas import check_answers
from annotation.services import routing
from annotation.services.reviews import LEASE, answer_name, refuse_own, taken_by_another
from ground import clock
from ground.errors import Conflict, Forbidden, Invalid
from jobs.models import Outbox

LONGEST_COMMENT = 10_000
REOPEN_WITHIN = timedelta(days=1)
Ruled = list[tuple[Annotation, NewRuling]]


def settle(*, actor: Actor, case: Case, decision: Settlement) -> Case:
    """Decide a case: one ruling for every answer that counts, a cause, and what stands for the task.

    Errors: Invalid, OwnWork, CaseTaken when another reviewer was first, CaseChanged when the answers are not those looked at.
    """
    require_role(actor, *REVIEWERS)
    _check_words(decision)
    with transaction.atomic():
        task = lock_task(case.task_id)
        refuse_own(actor, task.pk)
        _win(actor, case, decision)
        ruled = _match(case, _counted(task), decision.rulings)
        overall = _overall(actor, task, case, ruled, decision)
        _check_whole(ruled, overall, decision)
        old = _withdraw_settlement(task, actor)
        _rule(actor, task, case, ruled, decision.ask_again)
        new = _write_settlement(actor, task, overall) if overall is not None else None
        _bar(actor, task)
        _resolve(task, ruled, new, decision.ask_again)
        _announce(task, [*(said for said, _ruling in ruled), *(row for row in (old, new) if row is not None)])
        _note(actor, case, ruled, new, decision)
    return Case.objects.get(pk=case.pk)


def _check_words(decision: Settlement) -> None:
    if decision.cause not in Case.Cause.values:
        raise Invalid(_("Say why people differed: one of %s.") % ", ".join(Case.Cause.values))
    for text in (decision.comment, *(ruling.comment for ruling in decision.rulings.values())):
        if len(text) > LONGEST_COMMENT or "\x00" in text:
            raise Invalid(_("A comment is text of at most %d characters.") % LONGEST_COMMENT)
    for ruling in decision.rulings.values():
        if ruling.verdict not in Ruling.Verdict.values:
            raise Invalid(_("A verdict is one of %s.") % ", ".join(Ruling.Verdict.values))


def _win(actor: Actor, case: Case, decision: Settlement) -> None:
    """Of two reviewers settling at once, the second finds the case settled. Errors: CaseTaken."""
    mine = Q(state=Case.State.OPEN) | Q(state=Case.State.LEASED, reviewer=actor)
    settled = {"state": Case.State.SETTLED, "reviewer": actor, "settled_at": clock.now(), "lease_expires_at": None}
    won = Case.objects.filter(mine, pk=case.pk).update(**settled, cause=decision.cause, comment=decision.comment)
    if won != 1:
        raise taken_by_another()


def _counted(task: Task) -> list[Annotation]:
    """Locked in the order the projection locks them."""
    said = Annotation.objects.filter(task=task, counted=True, settlement=False)
    return list(said.select_for_update(of=("self",)).order_by("pk"))


def _match(case: Case, said: Sequence[Annotation], rulings: Mapping[str, NewRuling]) -> Ruled:
    names = {answer_name(case, one.public_id): one for one in said}
    if set(rulings) - set(names):
        raise CaseChanged(
            _("An answer you ruled on is not there any more."),
            hint=_("Load the case again and look at what is there now."),
        )
    missing = [one for name, one in names.items() if name not in rulings]
    if any(case.lease_expires_at and one.created_at > case.lease_expires_at - LEASE for one in missing):
        raise CaseChanged(
            _("Another answer came in while you looked."), hint=_("Load the case again and rule on that one too.")
        )
    if missing:
        raise Invalid(
            _("Every answer needs a ruling; %d have none.") % len(missing), hint=_("Accept, correct or reject each.")
        )
    return [(one, rulings[name]) for name, one in names.items()]


def _overall(actor: Actor, task: Task, case: Case, ruled: Ruled, decision: Settlement) -> dict[str, Any] | None:
    if decision.adopt and decision.answers is not None:
        raise Invalid(_("Adopt an answer or give one of your own, not both."))
    if decision.adopt:
        chosen = [one for one, _ruling in ruled if answer_name(case, one.public_id) == decision.adopt]
        if not chosen:
            raise CaseChanged(_("The answer you adopt is not there any more."), hint=_("Load the case again."))
        return {name: _without_words(answer) for name, answer in chosen[0].answers.items()}
    if decision.answers is None:
        return None
    try:
        checked = check_answers(task.schema.body, decision.answers, shown_to(actor, task))
    except ValueError as error:
        raise Invalid(str(error)) from error
    return reorder(questions_of(task), checked, order_for(actor, task))


def _without_words(answer: Any) -> Any:
    """An adopted judgement, without what its author wrote beside it."""
    return {**answer, "reason": "", "flags": []} if isinstance(answer, dict) else answer


def _check_whole(ruled: Ruled, overall: dict[str, Any] | None, decision: Settlement) -> None:
    verdicts = {ruling.verdict for _said, ruling in ruled}
    if overall is None and Ruling.Verdict.FIX in verdicts:
        raise Invalid(
            _("A corrected answer needs the one that takes its place."), hint=_("Adopt or write an overall answer.")
        )
    if decision.ask_again and (overall is not None or Ruling.Verdict.REJECT not in verdicts):
        raise Invalid(
            _("Somebody else is asked in the place of a rejected answer, and only while no overall answer stands."),
            hint=_("Reject an answer, or leave the overall answer out."),
        )
    if not ruled and overall is None:
        raise Invalid(_("No answer is left; give one of your own."))


def _withdraw_settlement(task: Task, actor: Actor, kind: str = Withdrawal.Kind.REVIEW) -> Annotation | None:
    """The last word before this one counts no more."""
    old = Annotation.objects.filter(task=task, settlement=True, counted=True).first()
    if old is not None:
        Annotation.objects.filter(pk=old.pk).update(counted=False)
        Withdrawal.objects.create(annotation=old, actor=actor, kind=kind)
    return old


def _rule(actor: Actor, task: Task, case: Case, ruled: Ruled, ask_again: bool) -> None:
    for said, ruling in ruled:
        Ruling.objects.create(case=case, annotation=said, verdict=ruling.verdict, comment=ruling.comment)
        if ruling.verdict == Ruling.Verdict.REJECT:
            _reject(actor, task, said, ruling, ask_again)


def _bar(actor: Actor, task: Task) -> None:
    """Whoever reviewed a task has seen its answers: a place that is, or will be, open there is for somebody who has not."""
    Skip.objects.get_or_create(task=task, actor=actor, defaults={"reason": "reviewed"})


def _reject(actor: Actor, task: Task, said: Annotation, ruling: NewRuling, ask_again: bool) -> None:
    Annotation.objects.filter(pk=said.pk).update(counted=False)
    Withdrawal.objects.create(annotation=said, actor=actor, kind=Withdrawal.Kind.REVIEW, reason=ruling.comment)
    if ask_again:
        slot = Slot.objects.select_related("task__project").get(annotations=said)
        if reopen(slot, PastLease.Ending.RETRACTED):
            count_answer(task.pk, -1)


def _write_settlement(actor: Actor, task: Task, answers: dict[str, Any]) -> Annotation:
    return Annotation.objects.create(
        project_id=task.project_id,
        task=task,
        actor=actor,
        guideline=Guideline.objects.filter(project_id=task.project_id).order_by("-version").first(),
        key=f"settles:{uuid.uuid4().hex}",
        answers=answers,
        display_order=order_for(actor, task),
        settlement=True,
    )


def _resolve(task: Task, ruled: Ruled, settlement: Annotation | None, ask_again: bool) -> None:
    kept = [said for said, ruling in ruled if ruling.verdict != Ruling.Verdict.REJECT]
    if ask_again:
        resolution = Task.Resolution.NONE
    elif settlement is not None or kept:
        resolution = Task.Resolution.SETTLED
    else:
        resolution = Task.Resolution.REJECTED
    Task.objects.filter(pk=task.pk).update(resolution=resolution)
    routing.look_again(task.pk)


def _announce(task: Task, said: Iterable[Annotation]) -> None:
    """The projection looks at every answer of the task again: a settlement changes what each of them is worth."""
    Outbox.objects.bulk_create(
        [Outbox(consumer="preferences", topic="annotation.settled", object_id=row.pk) for row in said]
    )


def _note(actor: Actor, case: Case, ruled: Ruled, settlement: Annotation | None, decision: Settlement) -> None:
    verdicts = Counter(str(ruling.verdict) for _said, ruling in ruled)
    data = {"cause": decision.cause, "verdicts": dict(verdicts), "asked_again": decision.ask_again}
    record_event(
        project=actor.project,
        actor=actor,
        verb="review.settled",
        object_id=case.public_id,
        data={**data, "settlement": settlement.public_id if settlement else None},
    )


def reopen_case(*, actor: Actor, case: Case) -> Case:
    """Take a settlement back: its answer counts no more, rejected answers count again, its rulings go, the case is in review.

    By its own reviewer within a day, by a manager at any time. Errors: Conflict when the place of a rejected answer was given to
    somebody else, or when the task has a later case.
    """
    require_role(actor, *REVIEWERS)
    with transaction.atomic():
        task = lock_task(case.task_id)
        held = Case.objects.select_for_update(of=("self",)).get(pk=case.pk)
        _check_reopening(actor, held)
        restored = _restore(held)
        Ruling.objects.filter(case=held).delete()
        old = _withdraw_settlement(task, actor, Withdrawal.Kind.UNDO)
        _open_again(actor, held)
        Task.objects.filter(pk=task.pk).update(resolution=Task.Resolution.WAITING)
        routing.look_again(task.pk)
        _announce(task, [*_counted(task), *([old] if old else [])])
        data = {"restored": [said.public_id for said in restored]}
        record_event(project=actor.project, actor=actor, verb="review.reopened", object_id=case.public_id, data=data)
    return Case.objects.get(pk=case.pk)


def _check_reopening(actor: Actor, case: Case) -> None:
    if case.state != Case.State.SETTLED or case.settled_at is None:
        raise Conflict(_("This case is not settled."))
    if Case.objects.filter(task_id=case.task_id, pk__gt=case.pk).exclude(state=Case.State.DISMISSED).exists():
        raise Conflict(_("This task has a later case."), hint=_("Look at that one."))
    late = case.reviewer_id != actor.pk or case.settled_at < clock.now() - REOPEN_WITHIN
    if late and role_of(actor) not in MANAGERS:
        raise Forbidden(
            _("A settlement is taken back by its reviewer within a day, later by a manager."),
            hint=_("Ask for another review of the task."),
        )


def _restore(case: Case) -> list[Annotation]:
    """Rejected answers count again. Their withdrawals go; the audit trail keeps that they were."""
    rejected = Ruling.objects.filter(case=case, verdict=Ruling.Verdict.REJECT).select_related("annotation__slot")
    said = [row.annotation for row in rejected.order_by("annotation_id")]
    for one in said:
        if one.slot is None or one.slot.state != Slot.State.DONE or one.slot.actor_id != one.actor_id:
            raise Conflict(
                _("Somebody else was asked in the place of a rejected answer."),
                hint=_("Ask for another review of the task instead."),
            )
    Withdrawal.objects.filter(annotation__in=said, kind=Withdrawal.Kind.REVIEW).delete()
    Annotation.objects.filter(pk__in=[one.pk for one in said]).update(counted=True)
    return said


def _open_again(actor: Actor, case: Case) -> None:
    """Back into the hands of whoever reopens it; of somebody who answered the task, back to the others."""
    own = Annotation.objects.filter(task_id=case.task_id, actor=actor, settlement=False).exists()
    held: dict[str, Any] = {"state": Case.State.OPEN, "reviewer": None, "lease_expires_at": None}
    if not own:
        held = {"state": Case.State.LEASED, "reviewer": actor, "lease_expires_at": clock.now() + LEASE}
    Case.objects.filter(pk=case.pk).update(**held, settled_at=None, cause="", comment="")
