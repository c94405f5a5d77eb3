"""What was said about a position is stored about the candidate that stood there."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.display import reorder, restore
from annotation.questions import POSITIONS

PAIR = [{"name": "preference", "kind": "pairwise"}]


def answers(choice: str, *flags: str) -> dict[str, dict[str, object]]:
    return {"preference": {"choice": choice, "strength": None, "reason": "", "flags": list(flags)}}


def test_an_answer_in_the_candidates_own_order_stays_as_it_is() -> None:
    said = answers("first", "first:unsafe", "review")
    assert reorder(PAIR, said, [0, 1]) == said


def test_a_turned_pair_turns_the_choice_and_the_flags_of_each_side() -> None:
    said = answers("first", "first:unsafe", "second:off_topic", "review", "note:first")
    turned = answers("second", "second:unsafe", "first:off_topic", "review", "note:first")
    assert reorder(PAIR, said, [1, 0]) == turned


def test_turning_twice_gives_back_what_was_said() -> None:
    said = answers("neither", "first:unsafe", "review")
    assert reorder(PAIR, reorder(PAIR, said, [1, 0]), [1, 0]) == said


def test_a_turned_pair_turns_its_aspects_and_the_better_one_that_was_written() -> None:
    said = {**answers("tie")["preference"], "aspects": {"clear": {"choice": "first", "strength": 2}}}
    said["rewrite"] = {"of": "second", "text": "Better"}
    turned = reorder(PAIR, {"preference": said}, [1, 0])["preference"]
    assert turned["choice"] == "tie"
    assert turned["aspects"] == {"clear": {"choice": "second", "strength": 2}}
    assert turned["rewrite"] == {"of": "first", "text": "Better"}


def test_ranks_follow_their_candidates() -> None:
    """Shown in the order 2, 0, 1 and ranked 1, 3, 2: ordinal 2 is best, ordinal 1 second, ordinal 0 last."""
    said = {"r": {"ranks": [1, 3, 2], "flags": ["first:unsafe"], "rewrite": {"of": "second", "text": "x"}}}
    turned = reorder([{"name": "r", "kind": "ranking"}], said, [2, 0, 1])["r"]
    assert turned["ranks"] == [3, 2, 1]
    assert turned["flags"] == ["third:unsafe"]
    assert turned["rewrite"]["of"] == "first"


def test_ratings_of_candidates_turn_and_those_of_turns_stay() -> None:
    said = {"r": {"ratings": [{"a": 1}, {"a": 2}, {"a": 3}], "notes": [None, {"a": "n"}, None]}}
    question = {"name": "r", "kind": "rating", "aspects": [{"name": "a", "text": "A"}]}
    turned = reorder([{**question, "each": "candidates"}], said, [2, 0, 1])["r"]
    assert turned == {"ratings": [{"a": 2}, {"a": 3}, {"a": 1}], "notes": [{"a": "n"}, None, None]}
    assert reorder([{**question, "each": "turns"}], said, [2, 0, 1]) == said


QUESTIONS: list[dict[str, Any]] = [
    {"name": "ranking", "kind": "ranking"},
    {"name": "rating", "kind": "rating", "each": "candidates", "aspects": [{"name": "a", "text": "A"}]},
    {"name": "labels", "kind": "labels", "options": []},
]


@pytest.mark.parametrize("count", range(3, 10))
@given(data=st.data())
def test_what_is_stored_comes_back_as_it_was_said_for_three_to_nine_candidates(count: int, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(count)))
    place = data.draw(st.integers(0, count - 1))
    said = {
        "ranking": {
            "ranks": data.draw(st.lists(st.integers(1, count), min_size=count, max_size=count)),
            "rewrite": {"of": POSITIONS[place], "text": "x"},
            "reason": "first is better",
            "flags": [f"{POSITIONS[place]}:unsafe", "review"],
        },
        "rating": {"ratings": [{"a": mark} for mark in range(1, count + 1)]},
        "labels": {"labels": ["first"], "reason": "", "flags": [f"{POSITIONS[place]}:bad_format"]},
    }
    stored = reorder(QUESTIONS, said, order)
    assert restore(QUESTIONS, stored, order) == said
    assert stored["ranking"]["rewrite"]["of"] == POSITIONS[order[place]]
    assert stored["ranking"]["ranks"][order[place]] == said["ranking"]["ranks"][place]
    assert stored["rating"]["ratings"][order[place]] == {"a": place + 1}
    assert stored["labels"]["flags"] == [f"{POSITIONS[order[place]]}:bad_format"]
