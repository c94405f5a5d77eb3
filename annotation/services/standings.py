"""Where people stand with a queue after its gold: judged by it, then lifted, blocked or let in by a manager."""

from typing import Any

from django.db import transaction
from django.db.models import Max
from django.utils.translation import gettext as _

from accounts.models import Actor
from accounts.services import MANAGERS, record_event, require_role
from annotation.errors import Barred
from annotation.models import GoldScore, GroupMember, Queue, Slot, Standing
from annotation.selectors.gold import counting_scores, unseen
from ground import clock
from ground.errors import Conflict, Invalid, NotFound

LEAST_GOLD = 5
"""Gold answers below which nobody is warned, paused or blocked."""
LONGEST_REASON = 2000
STOPPED = (Standing.State.PAUSED, Standing.State.BLOCKED, Standing.State.FAILED)


@transaction.atomic
def judge(person: Actor, queue: Queue) -> Standing:
    """Look at the person's gold answers and move its standing.

    Of a test the first answers count, elsewhere the latest. Whoever is paused, blocked or through a test stays so until a manager
    acts: an answer taken back after the fact opens no door.
    """
    standing = _locked(person, queue)
    scores = counting_scores(person, queue, after=standing.counted_after)
    if queue.is_test:
        looked_at = scores.order_by("pk")[: queue.pass_after]
    else:
        looked_at = scores.order_by("-pk")[: queue.judged_over]
    values = list(looked_at.values_list("score", flat=True))
    standing.right, standing.answered = sum(values), len(values)
    state = _after_test(queue, standing) if queue.is_test else _after_gold(queue, standing)
    if state != standing.state and standing.state < Standing.State.PAUSED:
        _move(standing, state, _share_in_words(standing))
        if state == Standing.State.PASSED:
            _admit(person, queue)
        _record("standing.changed", None, person, standing)
    standing.save()
    return standing


def _locked(person: Actor, queue: Queue) -> Standing:
    rows = Standing.objects.select_for_update()
    return rows.get_or_create(actor=person, queue=queue, defaults={"changed_at": clock.now()})[0]


def _after_gold(queue: Queue, standing: Standing) -> int:
    if standing.answered < min(LEAST_GOLD, queue.judged_over):
        return Standing.State.GOOD
    share = standing.right / max(standing.answered, 1)
    for below, state in (
        (queue.block_below, Standing.State.BLOCKED),
        (queue.pause_below, Standing.State.PAUSED),
        (queue.warn_below, Standing.State.WARNED),
    ):
        if below is not None and share < below:
            return state
    return Standing.State.GOOD


def _after_test(queue: Queue, standing: Standing) -> int:
    if standing.answered < max(queue.pass_after, 1):
        return Standing.State.GOOD
    # A share of 0.8 asked for is met by 8 of 10, whatever floating point makes of the sum.
    passed = standing.right / standing.answered >= queue.pass_share - 1e-9
    return Standing.State.PASSED if passed else Standing.State.FAILED


def _move(standing: Standing, state: int, reason: str) -> None:
    standing.state, standing.changed_at, standing.reason = state, clock.now(), reason


def _share_in_words(standing: Standing) -> str:
    right = f"{round(standing.right, 1):g}"
    return _("%(right)s of %(all)d answers to check tasks were right.") % {"right": right, "all": standing.answered}


def _admit(person: Actor, queue: Queue) -> None:
    if queue.qualifies_for is not None:
        GroupMember.objects.get_or_create(group=queue.qualifies_for, actor=person, defaults={"by_queue": queue})


def _record(verb: str, actor: Actor | None, person: Actor, standing: Standing) -> None:
    data: dict[str, Any] = {
        "queue": standing.queue.public_id,
        "state": Standing.State(standing.state).name.lower(),
        "right": standing.right,
        "answered": standing.answered,
        "reason": standing.reason,
    }
    record_event(project=person.project, actor=actor, verb=verb, object_id=person.public_id, data=data)


def lift(*, actor: Actor, person: Actor, queue: Queue, reason: str) -> Standing:
    """Forgive what was answered so far: a fresh start in the queue, or another try at a test.

    Errors: Conflict where there is nothing to lift, or too little unseen gold is left for another try.
    """
    reason = _checked(actor, person, queue, reason)
    with transaction.atomic():
        standing = _locked(person, queue)
        if standing.state == Standing.State.GOOD:
            raise Conflict(_("%(who)s stands well in this queue; there is nothing to lift.") % {"who": person})
        if queue.is_test:
            _require_enough_left(person, queue)
        last = GoldScore.objects.filter(actor=person, queue=queue).aggregate(last=Max("pk"))["last"]
        standing.counted_after, standing.right, standing.answered = last or 0, 0, 0
        _move(standing, Standing.State.GOOD, reason)
        standing.save()
        _record("standing.lifted", actor, person, standing)
    return standing


def _require_enough_left(person: Actor, queue: Queue) -> None:
    left = unseen(person, queue).count()
    if left < queue.pass_after:
        raise Conflict(
            _("The test takes %(n)d answers, and %(who)s has met all but %(left)d of its tasks.")
            % {"n": queue.pass_after, "who": person, "left": left},
            hint=_("Add gold to the test first, or let them in without another try."),
        )


def block(*, actor: Actor, person: Actor, queue: Queue, reason: str) -> Standing:
    """Hand a person nothing in a queue from now on. What they hold they may finish."""
    reason = _checked(actor, person, queue, reason)
    return _set(actor, person, queue, Standing.State.BLOCKED, reason, "standing.blocked")


def let_in(*, actor: Actor, person: Actor, queue: Queue, reason: str) -> Standing:
    """Take a test as passed. Errors: Invalid for a queue that is no test."""
    reason = _checked(actor, person, queue, reason)
    if not queue.is_test:
        raise Invalid(_("The queue %(queue)s is no test.") % {"queue": queue})
    return _set(actor, person, queue, Standing.State.PASSED, reason, "standing.let_in")


@transaction.atomic
def _set(actor: Actor, person: Actor, queue: Queue, state: int, reason: str, verb: str) -> Standing:
    standing = _locked(person, queue)
    _move(standing, state, reason)
    standing.save()
    if state == Standing.State.PASSED:
        _admit(person, queue)
    _record(verb, actor, person, standing)
    return standing


def _checked(actor: Actor, person: Actor, queue: Queue, reason: str) -> str:
    require_role(actor, *MANAGERS)
    if person.project_id != actor.project_id or queue.project_id != actor.project_id:
        raise NotFound(_("There is no such person or queue in this project."))
    reason = reason.strip()
    if not reason or len(reason) > LONGEST_REASON:
        raise Invalid(
            _("Say why, in at most %d characters.") % LONGEST_REASON, hint=_("The person and the audit trail keep it.")
        )
    return reason


def refuse_barred(person: Actor) -> None:
    """Errors: Barred when a running queue hands the person nothing because of its gold."""
    mine = Standing.objects.filter(actor=person, queue__state=Queue.State.RUNNING).select_related("queue")
    stopped = mine.filter(state__in=STOPPED).order_by("-changed_at").first()
    if stopped is not None:
        raise Barred(_words_for(stopped), hint=_("Read the guidelines again, then ask a manager of the project."))
    for standing in mine.filter(state=Standing.State.GOOD, queue__qualifies_for__isnull=False, answered__gt=0):
        if _has_met_all(person, standing.queue):
            raise Barred(
                _("You have answered what there is of the test %(queue)s, but fewer tasks than it takes.")
                % {"queue": standing.queue},
                hint=_("Ask a manager of the project to add some, or to let you in."),
            )


def _words_for(standing: Standing) -> str:
    said = {
        Standing.State.PAUSED: _("You are paused in the queue %(queue)s."),
        Standing.State.BLOCKED: _("The queue %(queue)s is closed to you."),
        Standing.State.FAILED: _("You did not pass the test %(queue)s."),
    }
    sentence = said[Standing.State(standing.state)] % {"queue": standing.queue}
    return f"{sentence} {standing.reason}".strip()


def _has_met_all(person: Actor, queue: Queue) -> bool:
    """Whether nothing of a test is left for somebody whom it has not let in; what they still hold is left."""
    is_in = GroupMember.objects.filter(actor=person, group=queue.qualifies_for_id).exists()
    holds = Slot.objects.filter(actor=person, state__in=(Slot.State.LEASED, Slot.State.PARKED), task__queue=queue)
    return not is_in and not holds.exists() and not unseen(person, queue).exists()
