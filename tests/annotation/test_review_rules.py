"""Why a task is reviewed: pure arithmetic."""

import pytest

from annotation.answer_words import in_words, judgement
from annotation.review_rules import Look, Said, is_drawn, merged, reasons_for, shuffled_key
from annotation.schemas import labels_schema, pairwise_schema

PLAIN = {"preference": {"choice": "first", "flags": []}}
FLAGGED = {"preference": {"choice": "first", "flags": ["first:unsafe"]}}


def look(**more):
    return Look(
        **{
            "task": 1,
            "complete": True,
            "agreement": 1.0,
            "said": [Said(1, PLAIN), Said(2, PLAIN)],
            "secret": "s",
            **more,
        }
    )


def test_agreement_below_the_threshold_is_a_reason_and_at_the_threshold_is_not():
    """Two of three pairs disagree: 1/3 of the pairs agree; a threshold of 1/3 is met, one of 0.34 is not."""
    assert reasons_for(look(agreement=1 / 3, review_below=0.34)) == ["disagreement"]
    assert reasons_for(look(agreement=1 / 3, review_below=1 / 3)) == []
    assert reasons_for(look(agreement=None, review_below=1)) == []
    assert reasons_for(look(agreement=0.0)) == []


def test_nobody_disagrees_before_every_answer_is_in():
    assert reasons_for(look(agreement=0.0, review_below=1, complete=False)) == []


def test_a_flag_counts_at_once_and_only_where_the_queue_asks_for_flags():
    flagged = [Said(1, FLAGGED)]
    assert reasons_for(look(said=flagged, complete=False)) == ["flag"]
    assert reasons_for(look(said=flagged, review_flags=False)) == []


def test_what_a_ruling_spoke_of_is_no_reason_again():
    assert reasons_for(look(said=[Said(1, FLAGGED, watched_rate=1, ruled=True)])) == []
    assert reasons_for(look(review_rate=1, reviewed=True)) == []


def test_every_reason_that_applies_is_named():
    said = [Said(1, FLAGGED, watched_rate=1), Said(2, PLAIN)]
    found = reasons_for(look(said=said, agreement=0, review_below=0.5, review_rate=1, asked=True))
    assert found == ["disagreement", "flag", "sample", "annotator", "asked"]


def test_a_draw_is_stable_grows_with_the_rate_and_comes_near_it():
    """Of 2000 names at a rate of 0.3, 600 are expected; the standard deviation is 20.5, so 500 to 700 is five of them wide."""
    names = [f"review sample:{n}" for n in range(2000)]
    at_30 = {name for name in names if is_drawn("secret", name, 0.3)}
    assert at_30 == {name for name in names if is_drawn("secret", name, 0.3)}
    assert at_30 <= {name for name in names if is_drawn("secret", name, 0.5)}
    assert 500 < len(at_30) < 700
    assert at_30 != {name for name in names if is_drawn("another", name, 0.3)}
    assert (is_drawn("s", "x", 0), is_drawn("s", "x", 1)) == (False, True)


def test_nothing_takes_back_that_somebody_asked():
    assert merged(["asked", "flag"], []) == ["asked"]
    assert merged([], ["flag"]) == ["flag"]


def test_a_name_inside_a_case_says_nothing_of_when_the_answer_came():
    names = [shuffled_key("s", "cas_1", f"ann_{n:04}") for n in range(50)]
    assert sorted(names) != names
    assert len(set(names)) == 50
    assert shuffled_key("s", "cas_2", "ann_0001") != shuffled_key("s", "cas_1", "ann_0001")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"choice": "first", "strength": 3}, "A is much better"),
        ({"choice": "second", "strength": None}, "B is better"),
        ({"choice": "tie"}, "About equal"),
        ({"choice": "neither"}, "Both bad"),
    ],
)
def test_a_pairwise_answer_is_told_in_words(answer, words):
    [question] = pairwise_schema(text="Which?")["questions"]
    assert judgement(question, answer) == words


def test_flags_and_labels_are_told_in_words():
    schema = labels_schema(text="Which?", options=["calm", "angry"])
    [entry] = in_words(schema["questions"], {"labels": {"labels": ["angry"], "flags": ["second:unsafe", "odd"]}})
    assert (entry["judgement"], entry["flags"]) == ("angry", ["B: unsafe", "odd"])
