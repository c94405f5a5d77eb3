"""Reviewing: who gets which case, what a settlement does to answers, places and the task, and how it is taken back."""

import threading

import pytest
from django.db import close_old_connections, connection

from annotation.data import NewRuling, Settlement
from annotation.display import order_for
from annotation.errors import CaseChanged, CaseTaken, NothingToUndo, OwnWork
from annotation.models import Annotation, Case, Ruling, Slot, Task, Withdrawal
from annotation.selectors.reviews import rulings_for, shown_case, unread_rulings, without_a_reviewer
from annotation.services import reviews, slots
from annotation.services.settling import reopen_case, settle
from ground.errors import Conflict, Forbidden, Invalid
from tests.annotation.review_story import asks, decision, routed, say
from tests.factories import make_annotators

pytestmark = [pytest.mark.store, pytest.mark.django_db]


@pytest.fixture
def split(cast, make_tasks):
    """`split()`: a task with one answer for each side, and its case: (task, for the first, for the second, case)."""

    def make(one=None, other=None):
        [task] = make_tasks(1, overlap=2)
        asks(cast.project, review_below=0.5)
        fresh = make_annotators(cast.project, 2)
        first, second = say(task, one or fresh[0], "first"), say(task, other or fresh[1], "second")
        return task, first, second, routed(task)

    return make


def test_the_oldest_case_comes_first_and_is_kept_until_settled(cast, split):
    oldest, newer = split()[3], split()[3]
    assert reviews.next_case(actor=cast.carol) == oldest
    assert reviews.next_case(actor=cast.carol) == oldest
    assert reviews.next_case(actor=cast.mona) == newer
    assert reviews.next_case(actor=cast.alice) is None
    assert reviews.next_case(actor=cast.carol, after=oldest) is None


def test_nobody_is_handed_their_own_work(cast, split):
    _task, _first, _second, case = split(one=cast.carol)
    assert reviews.next_case(actor=cast.carol) is None
    for attempt in (
        lambda: reviews.take_case(actor=cast.carol, case=case),
        lambda: shown_case(cast.carol, case),
        lambda: settle(actor=cast.carol, case=case, decision=Settlement({}, "mistake")),
    ):
        with pytest.raises(OwnWork):
            attempt()
    assert reviews.next_case(actor=cast.mona) == case


def test_an_answer_that_was_taken_back_is_still_own_work(cast, split):
    task, _first, _second, case = split()
    [row] = make_annotators(cast.project, 1)
    Annotation.objects.create(
        project=cast.project, task=task, slot=Slot.objects.filter(task=task).first(), actor=cast.carol, key="k",
        answers={}, counted=False,
    )  # fmt: skip
    assert reviews.next_case(actor=cast.carol) is None
    assert without_a_reviewer(cast.project, [case]) == set()
    assert row is not None


def test_a_case_that_every_reviewer_answered_is_told_apart(cast, make_tasks):
    [task] = make_tasks(1, overlap=3)
    asks(cast.project, review_below=0.9)
    for actor, choice in ((cast.alice, "first"), (cast.mona, "second"), (cast.carol, "first")):
        say(task, actor, choice)
    case = routed(task)
    assert without_a_reviewer(cast.project, [case]) == {case.pk}


def test_a_lease_that_ran_out_goes_to_the_next_reviewer(cast, split, stopped_clock):
    case = split()[3]
    assert reviews.next_case(actor=cast.carol) == case
    assert reviews.next_case(actor=cast.mona) is None
    stopped_clock.advance(minutes=31)
    assert reviews.next_case(actor=cast.mona) == case
    with pytest.raises(CaseTaken):
        reviews.release_case(actor=cast.carol, case=case)


def test_annotators_review_nothing(cast, split):
    case = split()[3]
    for attempt in (
        lambda: reviews.next_case(actor=cast.bob),
        lambda: reviews.take_case(actor=cast.bob, case=case),
        lambda: reviews.ask_for_review(actor=cast.bob, task=case.task),
        lambda: settle(actor=cast.bob, case=case, decision=Settlement({}, "mistake")),
        lambda: reopen_case(actor=cast.bob, case=case),
    ):
        with pytest.raises(Forbidden):
            attempt()


def test_an_adopted_answer_becomes_the_settlement_and_corrected_ones_stay_said(cast, split):
    task, first, second, case = split()
    done = settle(
        actor=cast.carol,
        case=reviews.next_case(actor=cast.carol),
        decision=decision(case, {first: "accept", second: "fix"}, adopt=first, cause="guideline"),
    )
    assert (done.state, done.reviewer, done.cause) == (Case.State.SETTLED, cast.carol, "guideline")
    settlement = Annotation.objects.get(settlement=True)
    assert settlement.answers["preference"] == {"choice": "first", "strength": None, "reason": "", "flags": []}
    task.refresh_from_db()
    assert (task.resolution, task.done, task.state) == (Task.Resolution.SETTLED, 2, Task.State.COMPLETE)
    assert Annotation.objects.filter(task=task, counted=True).count() == 3
    assert routed(task) is None
    assert task.agreement == 0.0


def test_an_answer_of_the_reviewers_own_is_turned_to_the_candidates_order(cast, split):
    """Carol sees ordinal 1 first (of 20 tasks one such is all but sure); what she calls first is ordinal 1, stored as second."""
    task, first, second, case = next(made for made in (split() for _ in range(20)) if turned(cast.carol, made[0]))
    shown = shown_case(cast.carol, case)["content"]["candidates"]
    assert shown[0]["text"] == task.candidates.get(ordinal=1).completion.text
    answers = {"preference": {"choice": "first", "strength": 3}}
    settle(actor=cast.carol, case=case, decision=decision(case, {first: "accept", second: "fix"}, answers=answers))
    assert Annotation.objects.get(settlement=True).answers["preference"]["choice"] == "second"
    assert shown_case(cast.carol, Case.objects.get(pk=case.pk))["stands"]["preference"]["choice"] == "first"


def turned(actor, task):
    return order_for(actor, task) == [1, 0]


def test_a_rejected_answer_counts_no_more_and_its_place_stays_filled(cast, split):
    task, first, second, case = split()
    settle(actor=cast.carol, case=case, decision=decision(case, {first: "accept", second: "reject"}))
    second.refresh_from_db()
    assert (second.counted, second.withdrawal.kind, second.withdrawal.actor) == (
        False,
        Withdrawal.Kind.REVIEW,
        cast.carol,
    )
    task.refresh_from_db()
    assert (task.done, task.state, task.resolution) == (2, Task.State.COMPLETE, Task.Resolution.SETTLED)
    assert slots.take_next(actor=cast.bob) is None
    with pytest.raises(NothingToUndo):
        slots.undo(actor=first.actor, annotation=first)


def test_somebody_else_is_asked_in_the_place_of_a_rejected_answer(cast, split):
    """Two answers, one rejected: one counts, one place is open, neither for its author nor for the reviewer who saw the other."""
    task, first, second, case = split()
    settle(actor=cast.carol, case=case, decision=decision(case, {first: "accept", second: "reject"}, ask_again=True))
    task.refresh_from_db()
    assert (task.done, task.state, task.resolution) == (1, Task.State.OPEN, Task.Resolution.NONE)
    assert slots.take_next(actor=second.actor) is None
    assert slots.take_next(actor=cast.carol) is None
    third = say(task, cast.bob, "first")
    assert routed(task) is None
    assert (task.agreement, task.resolution, task.done) == (1.0, Task.Resolution.AGREED, 2)
    assert Annotation.objects.filter(task=task, counted=True).count() == 2
    assert third.counted


def test_whoever_reviewed_a_task_is_not_asked_to_answer_it(cast, make_tasks):
    """Flagged after one answer of two: the reviewer has read it, so the other answer is somebody else's."""
    [task] = make_tasks(1, overlap=2)
    flagged = say(task, cast.bob, "first", flags=("odd",))
    case = routed(task)
    settle(actor=cast.carol, case=case, decision=decision(case, {flagged: "accept"}))
    assert slots.take_next(actor=cast.carol) is None
    assert slots.take_next(actor=cast.mona) is not None


def test_a_task_whose_every_answer_is_rejected_is_rejected(cast, split):
    task, first, second, case = split()
    settle(actor=cast.carol, case=case, decision=decision(case, {first: "reject", second: "reject"}, cause="bad_task"))
    assert routed(task) is None
    assert task.resolution == Task.Resolution.REJECTED


@pytest.mark.parametrize(
    ("rulings", "more"),
    [
        ({"first": "accept"}, {}),
        ({"first": "accept", "second": "fix"}, {}),
        ({"first": "accept", "second": "accept"}, {"ask_again": True}),
        ({"first": "accept", "second": "reject"}, {"ask_again": True, "adopt": True}),
        ({"first": "accept", "second": "maybe"}, {}),
        ({"first": "accept", "second": "accept"}, {"cause": "moon"}),
        ({"first": "accept", "second": "accept"}, {"comment": "\x00"}),
        ({"first": "accept", "second": "accept"}, {"answers": {"preference": {"choice": "left"}}}),
        ({"first": "accept", "second": "accept"}, {"answers": {"preference": {"choice": "tie"}}, "adopt": True}),
    ],
)
def test_a_decision_that_is_not_whole_changes_nothing(cast, split, rulings, more):
    _task, first, second, case = split()
    said = {"first": first, "second": second}
    more = {**more, **({"adopt": first} if more.get("adopt") else {})}
    with pytest.raises(Invalid):
        settle(actor=cast.carol, case=case, decision=decision(case, {said[n]: v for n, v in rulings.items()}, **more))
    case.refresh_from_db()
    assert case.state == Case.State.OPEN
    assert Ruling.objects.count() == 0


def test_an_answer_that_went_meanwhile_is_noticed(cast, split):
    _task, first, second, case = split()
    case = reviews.next_case(actor=cast.carol)
    slots.undo(actor=second.actor, annotation=second)
    with pytest.raises(CaseChanged):
        settle(actor=cast.carol, case=case, decision=decision(case, {first: "accept", second: "reject"}))


def test_an_answer_that_came_meanwhile_is_noticed(cast, make_tasks, stopped_clock):
    [task] = make_tasks(1, overlap=2)
    one, two = make_annotators(cast.project, 2)
    flagged = say(task, one, "first", flags=("odd",))
    routed(task)
    case = reviews.next_case(actor=cast.carol)
    stopped_clock.advance(seconds=1)
    say(task, two, "second")
    with pytest.raises(CaseChanged):
        settle(actor=cast.carol, case=case, decision=decision(case, {flagged: "accept"}))


def test_an_answer_that_comes_after_the_settlement_does_not_reopen(cast, make_tasks):
    one, two, three = make_annotators(cast.project, 3)
    [task] = make_tasks(1, overlap=3)
    asks(cast.project, review_below=0.9)
    flagged = say(task, one, "first", flags=("odd",))
    case = routed(task)
    settle(actor=cast.carol, case=case, decision=decision(case, {flagged: "accept"}, adopt=flagged))
    say(task, two, "second")
    say(task, three, "second", flags=("odd",))
    assert routed(task) is None
    assert task.resolution == Task.Resolution.SETTLED
    assert task.agreement == pytest.approx(1 / 3)


def test_a_later_review_puts_a_new_last_word_in_place_of_the_old(cast, split):
    task, first, second, case = split()
    settle(actor=cast.carol, case=case, decision=decision(case, {first: "accept", second: "fix"}, adopt=first))
    again = reviews.ask_for_review(actor=cast.mona, task=task)
    settle(actor=cast.mona, case=again, decision=decision(again, {first: "fix", second: "accept"}, adopt=second))
    last = Annotation.objects.get(settlement=True, counted=True)
    assert (last.actor, last.answers["preference"]["choice"]) == (cast.mona, "second")
    assert Annotation.objects.filter(settlement=True).count() == 2


def test_a_task_whose_last_word_is_retracted_waits_for_a_reviewer_again(cast, split):
    task, first, second, case = split()
    settle(actor=cast.carol, case=case, decision=decision(case, {first: "accept", second: "fix"}, adopt=first))
    assert routed(task) is None
    slots.retract(actor=cast.mona, annotation=Annotation.objects.get(settlement=True), reason="wrong word")
    again = routed(task)
    assert again != case
    assert (again.reasons, task.resolution) == (["disagreement"], Task.Resolution.WAITING)


def test_reopening_brings_everything_back(cast, split):
    task, first, second, case = split()
    settle(actor=cast.carol, case=case, decision=decision(case, {first: "accept", second: "reject"}, adopt=first))
    back = reopen_case(actor=cast.carol, case=case)
    assert (back.state, back.reviewer, back.cause) == (Case.State.LEASED, cast.carol, "")
    second.refresh_from_db()
    assert second.counted
    assert not Annotation.objects.filter(settlement=True, counted=True).exists()
    assert routed(task) == case
    assert unread_rulings(second.actor) == 0
    settle(actor=cast.carol, case=back, decision=decision(back, {first: "reject", second: "accept"}))
    first.refresh_from_db()
    assert not first.counted
    with pytest.raises(Conflict):
        reopen_case(actor=cast.carol, case=reviews.ask_for_review(actor=cast.carol, task=task))
    with pytest.raises(Conflict):
        reopen_case(actor=cast.carol, case=case)


def test_a_settlement_is_taken_back_by_its_reviewer_for_a_day_and_by_managers_later(cast, split, stopped_clock):
    _task, first, second, case = split()
    settle(actor=cast.mona, case=case, decision=decision(case, {first: "accept", second: "accept"}))
    with pytest.raises(Forbidden):
        reopen_case(actor=cast.carol, case=case)
    stopped_clock.advance(days=2)
    assert reopen_case(actor=cast.alice, case=case).reviewer == cast.alice


def test_a_place_given_to_somebody_else_is_not_taken_back(cast, split):
    _task, first, second, case = split()
    settle(actor=cast.carol, case=case, decision=decision(case, {first: "accept", second: "reject"}, ask_again=True))
    with pytest.raises(Conflict):
        reopen_case(actor=cast.carol, case=case)


def test_rulings_go_back_to_the_annotator_and_can_be_read(cast, split):
    _task, first, second, case = split()
    settle(actor=cast.carol, case=case, decision=decision(case, {first: "accept", second: "reject"}))
    [ruling] = rulings_for(second.actor)
    assert (ruling.verdict, ruling.comment) == ("reject", "you: reject")
    assert unread_rulings(second.actor) == 1
    assert reviews.mark_read(actor=second.actor, annotations=[first.public_id]) == 0
    assert reviews.mark_read(actor=second.actor) == 1
    assert unread_rulings(second.actor) == 0
    assert unread_rulings(first.actor) == 1


def test_a_case_shows_no_name_and_keeps_its_order(cast, split):
    _task, first, second, case = split()
    shown = shown_case(cast.carol, case)
    text = str(shown)
    for secret in (
        first.public_id,
        second.public_id,
        first.actor.pseudonym,
        first.actor.public_id,
        second.actor.public_id,
    ):
        assert secret not in text
    assert [row["number"] for row in shown["answers"]] == [1, 2]
    assert [row["id"] for row in shown["answers"]] == [row["id"] for row in shown_case(cast.mona, case)["answers"]]


def test_managers_unblind_what_is_settled_and_it_is_noted(cast, split):
    _task, first, second, case = split()
    with pytest.raises(Conflict):
        reviews.unblind(actor=cast.mona, case=case)
    done = settle(actor=cast.carol, case=case, decision=decision(case, {first: "accept", second: "accept"}))
    with pytest.raises(Forbidden):
        reviews.unblind(actor=cast.carol, case=done)
    names = reviews.unblind(actor=cast.mona, case=done)
    assert names[reviews.answer_name(case, first.public_id)] == first.actor
    assert cast.project.events.filter(verb="review.unblinded", actor=cast.mona).count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_reviewers_settling_at_once_one_wins(cast, split):
    task, first, second, case = split()
    results: list[object] = []
    both = threading.Barrier(2)

    def attempt(actor, verdicts):
        try:
            both.wait()
            settle(actor=actor, case=case, decision=decision(case, verdicts, adopt=first))
            results.append(actor.pk)
        except Exception as error:
            results.append(error)
        finally:
            close_old_connections()
            connection.close()

    rulings = {first: "accept", second: "reject"}
    threads = [threading.Thread(target=attempt, args=(actor, rulings)) for actor in (cast.carol, cast.mona)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    lost = [result for result in results if isinstance(result, Exception)]
    assert [type(error) for error in lost] == [CaseTaken], results
    case.refresh_from_db()
    assert case.reviewer_id in results
    assert Annotation.objects.filter(task=task, settlement=True).count() == 1
    assert Ruling.objects.filter(case=case).count() == 2
    assert NewRuling("accept").comment == ""


@pytest.mark.django_db(transaction=True)
def test_many_reviewers_at_once_never_hold_the_same_case(cast, split):
    """4 cases, 3 reviewers taking one each at the same moment: 3 different cases are held."""
    for _ in range(4):
        split()
    held, both = [], threading.Barrier(3)

    def take(actor):
        both.wait()
        case = reviews.next_case(actor=actor)
        held.append(case.pk if case else None)
        connection.close()

    threads = [threading.Thread(target=take, args=(actor,)) for actor in (cast.alice, cast.mona, cast.carol)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(set(held) - {None}) == 3
    assert Case.objects.filter(state=Case.State.LEASED).count() == 3
