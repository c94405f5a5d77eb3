"""What an answer of each kind says to training, by hand. Candidates of ordinals 0, 1, 2 are the completions 10, 11, 12."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feedback.data import Candidacy
from feedback.projection import meaning_of

SHOWN = [Candidacy(ordinal=place, completion=10 + place, prompt=7) for place in range(4)]
KINDS = {
    "pairwise": {"name": "q", "kind": "pairwise", "text": "Which?"},
    "ranking": {"name": "q", "kind": "ranking", "text": "In which order?"},
    "correction": {"name": "q", "kind": "correction", "of": "candidate", "text": "Mend it."},
    "demonstration": {"name": "q", "kind": "demonstration", "text": "Answer it."},
}


def said(kind, answer, count=0, order=(), **more):
    return meaning_of(
        questions=[{**KINDS[kind], **more}],
        answers={"q": answer},
        candidates=SHOWN[:count],
        display_order=list(order),
    )


def pairs(meaning):
    return [(one.first, one.second, one.outcome) for one in meaning.preferences]


def test_a_ranking_says_every_pair_it_implies_and_ties_are_ties():
    """Ranks 2, 1, 2: 11 beats both; 10 and 12 are equal."""
    meaning = said("ranking", {"ranks": [2, 1, 2]}, 3)
    assert pairs(meaning) == [(10, 11, "second"), (10, 12, "tie"), (11, 12, "first")]
    assert {one.origin for one in meaning.preferences} == {"ranking"}
    assert [one.part for one in meaning.preferences] == ["q:0-1", "q:0-2", "q:1-2"]


def test_a_pair_of_a_ranking_knows_which_stood_before_the_other():
    """Shown as 2, 0, 1: 0 before 1, 0 behind 2, 1 behind 2."""
    meaning = said("ranking", {"ranks": [1, 2, 3]}, 3, order=(2, 0, 1))
    assert [one.first_shown_first for one in meaning.preferences] == [True, False, False]
    assert {one.first_shown_first for one in said("ranking", {"ranks": [1, 2, 3]}, 3).preferences} == {None}


def test_where_all_are_bad_better_stays_better_and_equal_is_both_bad():
    meaning = said("ranking", {"ranks": [1, 2, 2], "all_bad": True}, 3)
    assert pairs(meaning) == [(10, 11, "first"), (10, 12, "first"), (11, 12, "neither")]
    assert all(one.all_bad for one in meaning.preferences)


@pytest.mark.parametrize(
    ("kind", "answer", "count", "over"),
    [
        ("pairwise", {"choice": "second", "rewrite": {"of": "first", "text": "Better."}}, 2, (10,)),
        ("pairwise", {"choice": "second", "rewrite": {"of": "", "text": "Better."}}, 2, (11,)),
        ("pairwise", {"choice": "tie", "rewrite": {"of": "", "text": "Better."}}, 2, (10, 11)),
        ("pairwise", {"choice": "neither", "rewrite": {"of": "", "text": "Better."}}, 2, (10, 11)),
        ("ranking", {"ranks": [2, 3, 1], "rewrite": {"of": "", "text": "Better."}}, 3, (12,)),
        ("ranking", {"ranks": [2, 3, 1], "rewrite": {"of": "second", "text": "Better."}}, 3, (11,)),
    ],
)
def test_a_better_one_is_preferred_to_the_one_named_else_to_the_best(kind, answer, count, over):
    [written] = said(kind, answer, count).written
    assert (written.text, written.origin, written.over) == ("Better.", "rewrite", over)


def test_a_correction_is_preferred_to_its_original_and_what_stands_is_to_be_imitated():
    [corrected] = said("correction", {"text": "Right."}, 1).written
    assert (corrected.text, corrected.origin, corrected.over) == ("Right.", "correction", (10,))
    [unchanged] = said("correction", {"unchanged": True}, 1).written
    assert (unchanged.completion, unchanged.origin, unchanged.over) == (10, "unchanged", ())


def test_a_corrected_field_answers_no_prompt():
    assert said("correction", {"text": "Right."}, 1, of="target").written == ()


def test_every_reply_of_a_demonstration_is_an_example_on_top_of_what_was_said_before():
    turns = [
        {"role": "assistant", "content": "Which kettle?"},
        {"role": "user", "content": "A steel one."},
        {"role": "assistant", "content": "Vinegar, then."},
    ]
    first, second = said("demonstration", {"messages": turns}).written
    assert (first.text, first.before, first.part) == ("Which kettle?", (), "q:0")
    assert (second.text, second.before, second.part) == ("Vinegar, then.", tuple(turns[:2]), "q:2")


def test_aspects_and_further_comparisons_go_along_and_are_no_votes_of_their_own():
    """Two questions about one pair, asked of one person, are one vote on it."""
    questions = [KINDS["pairwise"], {"name": "safer", "kind": "pairwise", "text": "Which is safer?"}]
    answers = {
        "q": {"choice": "first", "aspects": {"clear": {"choice": "tie", "strength": None}}},
        "safer": {"choice": "second", "strength": 2},
    }
    [found] = meaning_of(questions=questions, answers=answers, candidates=SHOWN[:2], display_order=[]).preferences
    assert found.aspects == {
        "clear": {"choice": "tie", "strength": None},
        "safer": {"choice": "second", "strength": 2},
    }


def test_where_the_first_comparison_was_not_answered_a_later_one_does_not_take_its_place():
    questions = [KINDS["pairwise"], {"name": "safer", "kind": "pairwise", "text": "Which is safer?"}]
    answers = {"safer": {"choice": "second"}}
    assert not meaning_of(questions=questions, answers=answers, candidates=SHOWN[:2], display_order=[]).preferences


KEYS = (
    "choice",
    "strength",
    "aspects",
    "ranks",
    "all_bad",
    "rewrite",
    "of",
    "text",
    "unchanged",
    "messages",
    "role",
    "content",
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(sorted(KINDS)),
    st.integers(0, 4),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.sampled_from(["first", "user", "assistant"]) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(KEYS), inner),
    ),
)
def test_an_answer_of_any_shape_says_something_or_nothing_and_is_never_an_error(kind, count, answer):
    meaning = said(kind, answer, count)
    assert all(one.outcome in ("first", "second", "tie", "neither") for one in meaning.preferences)
    assert all(one.text.strip() or one.completion for one in meaning.written)
