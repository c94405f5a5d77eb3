"""What follows for people from their gold, and what managers do about it."""

import pytest

from accounts.models import Event
from annotation.errors import Barred
from annotation.models import Group, GroupMember, Queue, Standing, Task
from annotation.services import gold, slots
from annotation.services.gold_keys import edit_key, retire
from annotation.services.standings import block, let_in, lift
from ground.errors import Conflict, Forbidden, Invalid
from tests.annotation.gold import RIGHT, WRONG, answer_gold, claim_of, labels, make_golds, make_texts, mixed_queue, say

pytestmark = [pytest.mark.store, pytest.mark.django_db]
GOOD, WARNED, PAUSED, BLOCKED, PASSED, FAILED = (
    Standing.State[name] for name in ("GOOD", "WARNED", "PAUSED", "BLOCKED", "PASSED", "FAILED")
)


@pytest.fixture
def queue(cast):
    """Warned below 0.9, paused below 0.7, blocked below 0.5 of the last ten."""
    return mixed_queue(
        cast.project, gold_rate=0.1, judged_over=10, warn_below=0.9, pause_below=0.7, block_below=0.5
    )  # fmt: skip


def state_of(actor, queue):
    return Standing.objects.get(actor=actor, queue=queue).state


def answer_all(cast, queue, said, actor=None):
    """Answer as much gold as there are letters: r for right, w for wrong."""
    make_golds(cast, len(said), queue)
    for letter in said:
        answer_gold(actor or cast.bob, queue, RIGHT if letter == "r" else WRONG)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("wwww", GOOD),  # four answers are too few to say anything
        ("rrrrr", GOOD),  # 5/5
        ("rrrrw", WARNED),  # 4/5 = 0.8 < 0.9
        ("rrrww", PAUSED),  # 3/5 = 0.6 < 0.7
        ("rrwww", BLOCKED),  # 2/5 = 0.4 < 0.5
        ("rrrrwrrrrrr", GOOD),  # warned after five; of the last ten 9 are right: 0.9 is not below 0.9
    ],
)
def test_the_share_of_right_answers_decides(cast, queue, said, expected):
    answer_all(cast, queue, said)
    assert state_of(cast.bob, queue) == expected


def test_whoever_is_paused_is_handed_nothing_there_but_elsewhere(cast, queue):
    make_texts(cast.project, 2)
    answer_all(cast, queue, "rrrww")
    with pytest.raises(Barred) as barred:
        slots.take_next(actor=cast.bob)
    assert "paused" in barred.value.detail
    assert barred.value.hint
    other = Queue.objects.create(project=cast.project, name="other", position=5)
    make_texts(cast.project, 1, queue=other)
    assert Task.objects.get(pk=claim_of(cast.bob).task_id).queue_id == other.pk


def test_taking_an_answer_back_opens_no_door(cast, queue):
    make_texts(cast.project, 1)
    make_golds(cast, 5)
    said = [answer_gold(cast.bob, queue, RIGHT if n < 3 else WRONG) for n in range(5)]
    slots.undo(actor=cast.bob, annotation=said[-1])
    standing = Standing.objects.get(actor=cast.bob)
    assert (standing.state, standing.right, standing.answered) == (PAUSED, 3, 4)


def test_a_manager_lifts_with_a_reason_and_earlier_answers_are_forgiven(cast, queue):
    answer_all(cast, queue, "rrrww")
    lift(actor=cast.mona, person=cast.bob, queue=queue, reason="We talked.")
    standing = Standing.objects.get(actor=cast.bob)
    assert (standing.state, standing.answered, standing.reason) == (GOOD, 0, "We talked.")
    answer_all(cast, queue, "rrrrr")
    assert state_of(cast.bob, queue) == GOOD
    assert Event.objects.filter(verb="standing.lifted", actor=cast.mona, object_id=cast.bob.public_id).count() == 1


def test_what_may_not_be_done_to_a_standing(cast, queue):
    with pytest.raises(Forbidden):
        block(actor=cast.bob, person=cast.carol, queue=queue, reason="I say so.")
    with pytest.raises(Invalid):
        block(actor=cast.mona, person=cast.bob, queue=queue, reason=" ")
    with pytest.raises(Conflict):
        lift(actor=cast.mona, person=cast.bob, queue=queue, reason="Nothing happened.")
    with pytest.raises(Invalid):
        let_in(actor=cast.mona, person=cast.bob, queue=queue, reason="It is no test.")


def test_a_corrected_key_scores_earlier_answers_again(cast, queue):
    """Five answers said kind where the key said rude: 0 of 5, blocked. Carol, warned by one of them, stands well again."""
    golds = make_golds(cast, 1, label=WRONG)
    answer_gold(cast.carol, queue, RIGHT)
    answer_all(cast, queue, "rrrr", cast.carol)
    assert state_of(cast.carol, queue) == WARNED
    edit_key(actor=cast.mona, task=golds[0], answers=labels(RIGHT))
    standing = Standing.objects.get(actor=cast.carol)
    assert (standing.state, standing.right) == (GOOD, 5)


def test_a_retired_key_counts_for_nobody(cast, queue):
    """4 of 5 are right: warned. Without the wrong one 4 of 4 are."""
    [bad] = make_golds(cast, 1, label=WRONG)
    answer_gold(cast.bob, queue, RIGHT)
    answer_all(cast, queue, "rrrr")
    assert state_of(cast.bob, queue) == WARNED
    retire(actor=cast.mona, task=bad)
    standing = Standing.objects.get(actor=cast.bob)
    assert (standing.state, standing.answered) == (GOOD, 4)


@pytest.fixture
def entry(cast):
    """Three answers, two of three right; whoever passes joins the group the main queue asks for."""
    group = Group.objects.create(project=cast.project, name="Trained")
    mixed_queue(cast.project, group=group)
    test = Queue.objects.create(
        project=cast.project, name="entry", position=1, qualifies_for=group, pass_after=3, pass_share=2 / 3
    )
    gold.forget_settings(cast.project.pk)
    make_texts(cast.project, 4)
    return test


def take_test(cast, said):
    for letter in said:
        claim = claim_of(cast.bob)
        assert Task.objects.get(pk=claim.task_id).is_gold
        say(cast.bob, claim, RIGHT if letter == "r" else WRONG)


def test_the_test_comes_before_production_and_passing_opens_it(cast, entry):
    """Right, wrong, right: 2 of 3."""
    make_golds(cast, 3, entry)
    take_test(cast, "rwr")
    assert state_of(cast.bob, entry) == PASSED
    member = GroupMember.objects.get(actor=cast.bob)
    assert (member.group, member.by_queue) == (entry.qualifies_for, entry)
    assert not Task.objects.get(pk=claim_of(cast.bob).task_id).is_gold


def test_failing_the_test_ends_it_and_another_try_takes_other_tasks(cast, entry):
    make_golds(cast, 4, entry)
    take_test(cast, "wwr")
    assert state_of(cast.bob, entry) == FAILED
    with pytest.raises(Barred) as barred:
        slots.take_next(actor=cast.bob)
    assert "did not pass" in barred.value.detail
    with pytest.raises(Conflict):
        lift(actor=cast.mona, person=cast.bob, queue=entry, reason="Once more.")
    make_golds(cast, 2, entry)
    lift(actor=cast.mona, person=cast.bob, queue=entry, reason="Once more.")
    take_test(cast, "rrr")
    assert state_of(cast.bob, entry) == PASSED


def test_a_manager_lets_somebody_in_without_the_test(cast, entry):
    make_golds(cast, 3, entry)
    let_in(actor=cast.mona, person=cast.bob, queue=entry, reason="Wrote the guidelines.")
    assert not Task.objects.get(pk=claim_of(cast.bob).task_id).is_gold


def test_a_test_with_too_few_tasks_says_so_and_does_not_decide(cast, entry):
    make_golds(cast, 2, entry)
    take_test(cast, "rr")
    with pytest.raises(Barred) as barred:
        slots.take_next(actor=cast.bob)
    assert "fewer tasks than it takes" in barred.value.detail
    assert state_of(cast.bob, entry) == GOOD


def test_while_the_last_task_of_a_test_is_in_hand_nobody_is_told_that_it_is_too_short(cast, entry):
    """The page asks for the next task before the last one is answered."""
    make_golds(cast, 3, entry)
    take_test(cast, "rr")
    last = claim_of(cast.bob)
    assert slots.take_next(actor=cast.bob, holding=[last.slot_id]) is None
    say(cast.bob, last)
    assert not Task.objects.get(pk=claim_of(cast.bob).task_id).is_gold


def test_a_test_that_is_used_up_stands_in_no_other_ones_way(cast, entry):
    make_golds(cast, 1, entry)
    take_test(cast, "r")
    other = Group.objects.create(project=cast.project, name="Fluent")
    second = Queue.objects.create(project=cast.project, name="second", position=2, qualifies_for=other, pass_after=1)
    gold.forget_settings(cast.project.pk)
    make_golds(cast, 1, second)
    take_test(cast, "r")
    assert state_of(cast.bob, second) == PASSED
