"""What people say to gold enters no count of work, no preference, no round and no agreement."""

import json

import pytest

from annotation.models import Annotation, Task
from annotation.rounds import _overlap
from annotation.selectors import queue as queue_selectors
from annotation.selectors.queue import done_by, goal_of, judges, queue_counts
from annotation.services import gold, slots
from annotation.services.gold_keys import make_pair_gold
from feedback.models import Preference
from feedback.services.projecting import drain_outbox, rebuild_preferences
from tests.annotation.gold import Chance, answer_gold, claim_of, make_golds, make_texts, mixed_queue, say, slot_of
from tests.factories import make_completion, make_prompt

pytestmark = [pytest.mark.store, pytest.mark.django_db]


@pytest.fixture
def queue(cast, monkeypatch):
    """A queue that mixes gold in, where no draw comes out for it."""
    monkeypatch.setattr(gold, "_chance", Chance(1.0))
    return mixed_queue(cast.project, gold_rate=0.1)


def test_counts_of_work_leave_gold_out(cast, queue):
    """Two texts, one answered; two gold tasks, one answered."""
    make_texts(cast.project, 2)
    make_golds(cast, 2)
    answer_gold(cast.bob, queue)
    say(cast.bob, claim_of(cast.bob))
    assert queue_counts(cast.project) == {
        "open": 1,
        "leased": 0,
        "done": 1,
        "tasks": 2,
        "untouched": 1,
        "begun": 0,
        "complete": 1,
        "archived": 0,
    }
    [row] = judges(cast.project)
    assert (row["actor__public_id"], row["answers"]) == (cast.bob.public_id, 1)
    assert done_by(cast.bob) == 2


def test_the_number_of_tasks_to_do_does_not_move_with_gold(cast, queue):
    """Bob sees done of goal: 0 of 2, then 1 of 2 after gold as after any other answer, and never less than is done."""
    make_texts(cast.project, 2)
    make_golds(cast, 3)
    seen = [goal_of(cast.bob, done_by(cast.bob))[0]]
    answer_gold(cast.bob, queue)
    seen.append(goal_of(cast.bob, done_by(cast.bob))[0])
    say(cast.bob, claim_of(cast.bob))
    seen.append(goal_of(cast.bob, done_by(cast.bob))[0])
    assert seen == [2, 2, 2]
    answer_gold(cast.bob, queue)
    assert goal_of(cast.bob, done_by(cast.bob))[0] == 3


def test_where_more_waits_than_anybody_counts_the_goal_is_rounded_down_and_says_so(cast, queue, monkeypatch):
    make_texts(cast.project, 4)
    monkeypatch.setattr(queue_selectors, "MOST_WAITING", 3)
    assert goal_of(cast.bob, 570) == (500, True)
    claim_of(cast.bob)
    assert goal_of(cast.bob, 570) == (500, True), "what bob holds waits too"
    say(cast.bob, claim_of(cast.bob))
    assert goal_of(cast.bob, 570) == (573, False)


def test_a_pair_of_gold_becomes_no_preference_also_when_they_are_made_again(cast, queue):
    prompt = make_prompt(cast.project)
    pair = (make_completion(prompt), make_completion(prompt))
    make_pair_gold(actor=cast.mona, queue=queue, pair=pair, answers={"preference": {"choice": "first"}})
    claim = gold.claim(cast.bob, queue)
    slots.submit_answer(
        actor=cast.bob, slot=slot_of(cast.bob, claim), token=claim.token, key="k",
        answers={"preference": {"choice": "first"}},
    )  # fmt: skip
    drain_outbox()
    assert rebuild_preferences(project=cast.project) == 0
    assert not Preference.objects.exists()
    assert Annotation.objects.get().counted


def test_a_round_takes_its_overlap_from_real_work(cast, queue, make_tasks):
    """Gold has no overlap of its own; the last real task was asked of two people."""

    class Move:
        class alias:
            class model:
                project = cast.project

    make_tasks(1, overlap=2)
    make_golds(cast, 1)
    assert _overlap(Move) == 2


def test_the_export_marks_gold(cast, queue):
    from annotation.exporting import export_lines

    make_texts(cast.project, 1)
    make_golds(cast, 1)
    answer_gold(cast.bob, queue)
    lines = [json.loads(line) for page in export_lines(cast.project) for line in page.splitlines()]
    assert [line["purpose"] for line in lines] == ["production", "gold"]
    assert Task.objects.count() == 2
    assert claim_of(cast.carol)
