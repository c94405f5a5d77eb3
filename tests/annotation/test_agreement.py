"""How alike two answers of each kind are, and what most people say: hand arithmetic."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau

from annotation.questions import KINDS
from annotation.scoring import consensus, is_comparable, likeness, observed_agreement, score_against

RANKING = {"name": "q", "kind": "ranking", "text": "Order?"}
RATING = {
    "name": "q",
    "kind": "rating",
    "text": "How good?",
    "scale": 5,
    "aspects": [{"name": "fact", "text": "Facts"}, {"name": "tone", "text": "Tone"}],
}
TREE = {
    "name": "q",
    "kind": "labels",
    "text": "About?",
    "options": [
        {
            "value": "animal",
            "text": "Animal",
            "children": [{"value": "cat", "text": "Cat"}, {"value": "dog", "text": "Dog"}],
        },
        {"value": "plant", "text": "Plant"},
    ],
}
SPANS = {
    "name": "marks",
    "kind": "spans",
    "text": "Mark",
    "field": "text",
    "options": [{"value": "a", "text": "A"}, {"value": "b", "text": "B"}],
}
RELATIONS = {
    "name": "q",
    "kind": "relations",
    "text": "Relate",
    "spans": "marks",
    "options": [{"value": "of", "text": "of"}],
}
FLAGS = {
    "name": "q",
    "kind": "flags",
    "text": "Flag",
    "options": [{"value": "x", "text": "X"}, {"value": "y", "text": "Y"}],
}
CORRECTION = {"name": "q", "kind": "correction", "text": "Mend", "of": "candidate"}
TEXT = {"name": "q", "kind": "text", "text": "Say"}


def alike(question, one, other):
    return likeness([question], {"q": one}, {"q": other})


def ranks(*numbers):
    return {"ranks": list(numbers)}


def test_rankings_are_compared_by_tau_b():
    """1 2 3 against 1 3 2: two pairs agree, one does not, tau = 1/3, moved to 2/3. Against its reverse 0, itself 1."""
    assert alike(RANKING, ranks(1, 2, 3), ranks(1, 3, 2)) == pytest.approx(2 / 3)
    assert alike(RANKING, ranks(1, 2, 3), ranks(3, 2, 1)) == 0
    assert alike(RANKING, ranks(1, 2, 3), ranks(1, 2, 3)) == 1


def test_a_tie_takes_part_in_tau_b():
    """1 2 3 against 1 1 2: two pairs agree, the third is tied by one; tau-b = 2 / sqrt(3 x 2) = 0.8165, moved to 0.9082."""
    assert alike(RANKING, ranks(1, 2, 3), ranks(1, 1, 2)) == pytest.approx((2 / 6**0.5 + 1) / 2)
    assert alike(RANKING, ranks(1, 1, 1), ranks(1, 1, 1)) == 1
    assert alike(RANKING, ranks(1, 1, 1), ranks(1, 2, 3)) == 0.5


@settings(deadline=None)
@given(st.data())
def test_tau_b_is_what_scipy_says(data):
    count = data.draw(st.integers(2, 9))
    mine, yours = (data.draw(st.lists(st.integers(1, count), min_size=count, max_size=count)) for _ in range(2))
    found = alike(RANKING, ranks(*mine), ranks(*yours))
    assert 0 <= found <= 1
    if len(set(mine)) > 1 and len(set(yours)) > 1:
        assert found == pytest.approx((kendalltau(mine, yours).statistic + 1) / 2)


def test_the_ranking_most_people_imply_is_the_order_of_each_pair_that_more_than_half_gave():
    """1 2 3, 1 3 2, 2 1 3: first before second by 2 of 3, before third by 3, second before third by 2. A ring is no ranking."""
    assert consensus([RANKING], [{"q": ranks(*said)} for said in ((1, 2, 3), (1, 3, 2), (2, 1, 3))])["q"]["ranks"] == [
        1,
        2,
        3,
    ]
    assert consensus([RANKING], [{"q": ranks(*said)} for said in ((1, 1, 2), (1, 1, 2), (2, 1, 3))])["q"]["ranks"] == [
        1,
        1,
        2,
    ]
    assert consensus([RANKING], [{"q": ranks(*said)} for said in ((1, 2, 3), (3, 1, 2), (2, 3, 1))]) is None
    assert consensus([RANKING], [{"q": ranks(*said)} for said in ((1, 2, 3), (2, 1, 3))]) is None


def test_ratings_are_as_far_apart_as_the_scale_lets_them():
    """Of five steps: 4 and 5 are 1/4 apart, 2 and 2 not at all; the mean of 3/4 and 1."""
    one, other = ({"ratings": {"fact": fact, "tone": 2}} for fact in (4, 5))
    assert alike(RATING, one, other) == pytest.approx(0.875)
    each = {**RATING, "each": "candidates"}
    assert alike(each, {"ratings": [{"fact": 1, "tone": 1}]}, {"ratings": [{"fact": 5, "tone": 5}]}) == 0


def test_siblings_in_a_tree_are_alike_in_part():
    """{animal, cat} and {animal, dog}: one of three. A parent and its child: one of two."""
    assert alike(TREE, {"labels": ["cat"]}, {"labels": ["dog"]}) == pytest.approx(1 / 3)
    assert alike(TREE, {"labels": ["cat"]}, {"labels": ["animal"]}) == 0.5
    assert alike(TREE, {"labels": ["cat"]}, {"labels": ["plant"]}) == 0


def test_most_people_agree_on_the_lowest_label_that_more_than_half_imply():
    assert consensus([TREE], [{"q": {"labels": [label]}} for label in ("cat", "dog", "plant")])["q"]["labels"] == [
        "animal"
    ]
    assert consensus([TREE], [{"q": {"labels": [label]}} for label in ("cat", "cat", "dog")])["q"]["labels"] == ["cat"]


def span(start, end, label="a", name=""):
    return {"id": name or f"{start}{label}", "start": start, "end": end, "label": label}


def spans(*found):
    return {"marks": {"spans": list(found)}}


def test_spans_count_whole_where_they_agree_and_half_where_they_overlap():
    """One of two exact, one overlapping under its label, one of the other's alone: 2 (1 + 1/2) / (2 + 3) = 0.6."""
    one = spans(span(0, 4), span(10, 20))
    other = spans(span(0, 4), span(12, 22), span(30, 31))
    assert likeness([SPANS], one, other) == pytest.approx(0.6)
    assert likeness([SPANS], spans(span(0, 4)), spans(span(0, 4, "b"))) == 0
    assert likeness([SPANS], spans(), spans()) == 1
    assert likeness([SPANS], spans(), spans(span(0, 1))) == 0


def test_a_span_matches_one_other_at_most():
    """One long span over three short ones overlaps all and counts for one: 2 (1/2) / 4."""
    three = spans(span(0, 3), span(4, 6), span(7, 9))
    assert likeness([SPANS], spans(span(0, 10)), three) == pytest.approx(0.25)


@given(
    *[st.lists(st.tuples(st.integers(0, 20), st.integers(1, 5), st.sampled_from("ab")), max_size=6, unique=True)] * 2
)
def test_likeness_of_spans_is_a_share_and_the_same_both_ways(one, other):
    mine, yours = (
        spans(*(span(start, start + size, label, f"{n}") for n, (start, size, label) in enumerate(said)))
        for said in (one, other)
    )
    found = likeness([SPANS], mine, yours)
    assert 0 <= found <= 1
    assert found == likeness([SPANS], yours, mine)
    assert likeness([SPANS], mine, mine) == 1


def related(*spans_found, pairs):
    relations = [{"subject": one, "predicate": "of", "object": other} for one, other in pairs]
    return {"marks": {"spans": list(spans_found)}, "q": {"relations": relations}}


def test_relations_are_compared_by_places_and_not_by_the_names_people_gave_their_spans():
    """The same two places under other ids, and one relation the other does not have: 2 x 1 / (1 + 2)."""
    one = related(span(0, 1, name="s1"), span(2, 3, name="s2"), pairs=[("s1", "s2")])
    other = related(span(0, 1, name="x"), span(2, 3, name="y"), pairs=[("x", "y"), ("y", "x")])
    assert likeness([RELATIONS], one, other) == pytest.approx(2 / 3)
    same_names = related(span(0, 1, name="s1"), span(5, 6, name="s2"), pairs=[("s1", "s2")])
    assert likeness([RELATIONS], one, same_names) == 0


def test_relations_most_people_gave_name_the_spans_most_people_gave():
    said = [related(span(0, 1, name=f"{n}p"), span(2, 3, name=f"{n}q"), pairs=[(f"{n}p", f"{n}q")]) for n in range(3)]
    agreed = consensus([SPANS, RELATIONS], said)
    assert agreed["marks"]["spans"] == [span(0, 1, name="s1"), span(2, 3, name="s2")]
    assert agreed["q"]["relations"] == [{"subject": "s1", "predicate": "of", "object": "s2"}]


def test_flags_are_compared_by_what_was_raised():
    raised = lambda *values: {"raised": [{"value": value, "note": ""} for value in values]}  # noqa: E731
    assert alike(FLAGS, raised("x", "y"), raised("x")) == 0.5
    assert alike(FLAGS, raised(), raised()) == 1
    assert consensus([FLAGS], [{"q": raised()}, {"q": raised()}, {"q": raised("x")}])["q"]["raised"] == []


def test_of_corrections_only_whether_one_was_needed_can_be_compared():
    unchanged, one, other = {"unchanged": True}, {"text": "Right."}, {"text": "Right, too."}
    assert alike(CORRECTION, unchanged, unchanged) == 1
    assert alike(CORRECTION, unchanged, one) == 0
    assert alike(CORRECTION, one, other) is None
    assert alike(CORRECTION, one, one) is None
    assert consensus([CORRECTION], [{"q": unchanged}, {"q": unchanged}, {"q": one}])["q"]["unchanged"] is True
    assert consensus([CORRECTION], [{"q": one}, {"q": one}]) is None


def test_texts_are_never_compared():
    assert alike(TEXT, {"text": "same"}, {"text": "same"}) is None
    assert observed_agreement([TEXT], [{"q": {"text": "a"}}, {"q": {"text": "b"}}]) is None
    assert not is_comparable([TEXT])
    assert {name for name, kind in KINDS.items() if not kind.is_comparable} == {"text", "demonstration", "chat"}


def test_an_optional_question_most_left_out_is_left_out_of_what_they_agree_on():
    note = {**TEXT, "name": "note", "required": False}
    flag = {**FLAGS, "name": "flag", "required": False}
    x = {"raised": [{"value": "x", "note": ""}]}
    said = [
        {"q": {"unchanged": True}, "note": {"text": "hm"}, "flag": x},
        {"q": {"unchanged": True}},
        {"q": {"unchanged": True}},
    ]
    assert set(consensus([CORRECTION, note, flag], said)) == {"q"}
    assert set(consensus([CORRECTION, note, flag], [{"q": {"unchanged": True}, "flag": x}] * 3)) == {"q", "flag"}


def test_a_question_that_is_not_asked_after_what_people_agree_on_is_no_part_of_it():
    """Two of three flag x, and are asked which; the third is not."""
    which = {**TREE, "name": "which", "when": {"question": "q", "is": "x"}}
    x = {"q": {"raised": [{"value": "x", "note": ""}]}, "which": {"labels": ["cat"]}}
    nothing = {"q": {"raised": []}}
    assert consensus([FLAGS, which], [x, x, nothing])["which"]["labels"] == ["cat"]
    assert set(consensus([FLAGS, which], [nothing, nothing, x])) == {"q"}


def test_a_gold_answer_is_as_right_as_it_is_like_the_key_where_it_can_be_told():
    """Spans half right and a label wrong: 1/2 x (1/2 + 0). What the key has and the answer has not is wrong. Corrections differ."""
    label = {**TREE, "name": "about"}
    key = {**spans(span(0, 4)), "about": {"labels": ["plant"]}}
    assert score_against([SPANS, label], key, {**spans(span(2, 6)), "about": {"labels": ["cat"]}}) == 0.25
    assert score_against([SPANS, label], key, spans(span(0, 4))) == 0.5
    assert score_against([CORRECTION], {"q": {"text": "a"}}, {"q": {"text": "b"}}) == 1
    assert score_against([CORRECTION], {"q": {"text": "a"}}, {"q": {"unchanged": True}}) == 0
    assert (
        score_against([TEXT, label], {"q": {"text": "a"}, "about": {"labels": ["cat"]}}, {"about": {"labels": ["cat"]}})
        == 1
    )
