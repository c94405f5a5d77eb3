"""Who looks at a case when: taken, given back, asked for; who is watched; what annotators have read."""

import math
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext as _

from accounts.models import Actor
from accounts.services import EVERYBODY, MANAGERS, REVIEWERS, record_event, require_role
from annotation.errors import CaseTaken, OwnWork
from annotation.models import Annotation, Case, Ruling, Task, Watched
from annotation.review_rules import shuffled_key
from annotation.services import routing
from ground import clock
from ground.errors import Conflict, Invalid

LEASE = timedelta(minutes=30)
LONGEST_REASON = 2000


def answer_name(case: Case, annotation_public_id: str) -> str:
    """What an answer is called inside its case, until the case is unblinded."""
    return shuffled_key(settings.SECRET_KEY, case.public_id, annotation_public_id)


def free(now: datetime) -> Q:
    """Of cases: nobody holds it."""
    return Q(state=Case.State.OPEN) | Q(state=Case.State.LEASED, lease_expires_at__lt=now)


def takeable(actor: Actor) -> QuerySet[Case]:
    """Cases this reviewer may take: free, of a task that is still wanted, and not the reviewer's own work."""
    own = Annotation.objects.filter(task=OuterRef("task_id"), actor=actor, settlement=False)
    # The states are named twice, because the planner sees the index of open cases only by this list.
    waiting = Case.objects.filter(state__in=(Case.State.OPEN, Case.State.LEASED), project_id=actor.project_id)
    return waiting.filter(free(clock.now()), ~Exists(own)).exclude(task__state=Task.State.ARCHIVED)


def next_case(*, actor: Actor, after: Case | None = None) -> Case | None:
    """The case this reviewer holds, else the oldest it may take, leased; with `after`, only such as came after that one."""
    require_role(actor, *REVIEWERS)
    held = Case.objects.filter(project_id=actor.project_id, state=Case.State.LEASED, reviewer=actor)
    mine = _behind(held.filter(lease_expires_at__gte=clock.now()), after).first()
    if mine is not None:
        return _leased(actor, mine)
    with transaction.atomic():
        found = _behind(takeable(actor), after).select_for_update(skip_locked=True, of=("self",)).first()
        return _leased(actor, found) if found is not None else None


def _behind(cases: QuerySet[Case], after: Case | None) -> QuerySet[Case]:
    return (cases.filter(pk__gt=after.pk) if after else cases).order_by("pk")


def _leased(actor: Actor, case: Case) -> Case | None:
    """The lease starts, or starts again. None: another reviewer was first."""
    mine = Q(state=Case.State.LEASED, reviewer=actor)
    unchanged = Case.objects.filter(free(clock.now()) | mine, pk=case.pk)
    expires = clock.now() + LEASE
    won = unchanged.update(state=Case.State.LEASED, reviewer=actor, lease_expires_at=expires)
    return Case.objects.get(pk=case.pk) if won else None


def take_case(*, actor: Actor, case: Case) -> Case:
    """Lease this very case. Errors: OwnWork, CaseTaken."""
    require_role(actor, *REVIEWERS)
    refuse_own(actor, case.task_id)
    taken = _leased(actor, case)
    if taken is None:
        raise taken_by_another()
    return taken


def refuse_own(actor: Actor, task_id: int) -> None:
    """Errors: OwnWork for whoever answered the task, even when that answer counts no more."""
    if Annotation.objects.filter(task_id=task_id, actor=actor, settlement=False).exists():
        raise OwnWork(
            _("You answered this task, so somebody else reviews it."),
            hint=_("Take the next case; it is never your own."),
        )


def taken_by_another() -> CaseTaken:
    return CaseTaken(
        _("This case is not yours any more: another reviewer has it, or it is settled."), hint=_("Take the next one.")
    )


def release_case(*, actor: Actor, case: Case) -> None:
    """Give a case back unsettled. Errors: CaseTaken."""
    require_role(actor, *REVIEWERS)
    with transaction.atomic():
        mine = Case.objects.filter(pk=case.pk, state=Case.State.LEASED, reviewer=actor)
        if mine.update(state=Case.State.OPEN, reviewer=None, lease_expires_at=None) != 1:
            raise taken_by_another()
        routing.look_again(case.task_id)


def ask_for_review(*, actor: Actor, task: Task, reason: str = "") -> Case:
    """Have a task reviewed, whatever its answers agree on; also one that was settled before. Gold is never reviewed."""
    require_role(actor, *REVIEWERS)
    _check_reason(reason)
    with transaction.atomic():
        locked = Task.objects.select_for_update().get(pk=task.pk)
        if locked.is_gold or locked.state == Task.State.ARCHIVED:
            raise Invalid(_("Only a task that is wanted for itself can be reviewed."))
        if not Annotation.objects.filter(task=locked, counted=True).exists():
            raise Invalid(_("Nobody has answered this task yet."), hint=_("Wait for its first answer."))
        case = routing.ask(locked)
        locked.resolution = Task.Resolution.WAITING
        locked.save(update_fields=["resolution"])
        _note(actor, "review.asked", case.public_id, task=task.public_id, reason=reason)
    return case


def _check_reason(reason: str) -> None:
    if len(reason) > LONGEST_REASON or "\x00" in reason:
        raise Invalid(_("The reason is text of at most %d characters.") % LONGEST_REASON)


def _note(actor: Actor, verb: str, object_id: str, **data: Any) -> None:
    record_event(project=actor.project, actor=actor, verb=verb, object_id=object_id, data=data)


def watch(*, actor: Actor, annotator: Actor, rate: float, reason: str = "") -> Watched | None:
    """Have a share of an annotator's answers reviewed from now on; a rate of 0 ends it. Managers only."""
    require_role(actor, *MANAGERS)
    _check_reason(reason)
    if annotator.project_id != actor.project_id:
        raise Invalid(_("There is no such annotator in this project."))
    if not (math.isfinite(rate) and 0 <= rate <= 1):
        raise Invalid(_("The share is a number from 0 to 1; 0 ends the review of this annotator."))
    with transaction.atomic():
        _note(actor, "annotator.watched", annotator.public_id, rate=rate, reason=reason)
        if rate == 0:
            Watched.objects.filter(project=actor.project, actor=annotator).delete()
            return None
        changed = {"rate": rate, "by": actor, "reason": reason}
        row, _made = Watched.objects.update_or_create(
            project=actor.project,
            actor=annotator,
            defaults=changed,
            create_defaults={**changed, "since": clock.now()},
        )
    return row


def mark_read(*, actor: Actor, annotations: Iterable[str] | None = None) -> int:
    """The actor has read the rulings on these answers (by public id), or on all of its own; how many were new."""
    require_role(actor, *EVERYBODY)
    unread = Ruling.objects.filter(annotation__actor=actor, case__state=Case.State.SETTLED, read_at=None)
    if annotations is not None:
        unread = unread.filter(annotation__public_id__in=list(annotations))
    return unread.update(read_at=clock.now())


def unblind(*, actor: Actor, case: Case) -> dict[str, Actor]:
    """Who gave which answer of a settled case, by the answers' names there; the look is noted. Managers only."""
    require_role(actor, *MANAGERS)
    if case.state != Case.State.SETTLED:
        raise Conflict(_("A case is blind until it is settled."), hint=_("Settle it, then look."))
    with transaction.atomic():
        _note(actor, "review.unblinded", case.public_id)
    rulings = Ruling.objects.filter(case=case).select_related("annotation__actor")
    return {answer_name(case, row.annotation.public_id): row.annotation.actor for row in rulings}
