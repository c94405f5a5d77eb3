"""Precision, recall, F1 and confusion by hand arithmetic."""

import pytest

from measures.classification import one_label, several_labels, spans, wilson


def test_one_label_by_hand():
    """a a a b b c said as a a b b c c: a 2 of 2 said, 2 of 3 there, F1 4/5; b 1 of 2, 1 of 2, F1 1/2; c 1 of 2, 1 of 1, F1 2/3."""
    found = one_label(list("aaabbc"), list("aabbcc"), ["a", "b", "c"])
    assert found["confusion"] == [[2, 1, 0], [0, 1, 1], [0, 0, 1]]
    assert found["accuracy"] == pytest.approx(4 / 6)
    assert found["majority_share"] == 0.5
    assert found["per_class"]["a"] == {
        "precision": 1.0,
        "recall": pytest.approx(2 / 3),
        "f1": 0.8,
        "predicted": 2,
        "support": 3,
    }
    assert found["macro_f1"] == pytest.approx((0.8 + 0.5 + 2 / 3) / 3)


def test_a_class_that_never_occurs_has_no_score_and_does_not_lower_the_mean():
    found = one_label(["a", "b"], ["a", "b"], ["a", "b", "c"])
    assert found["per_class"]["c"] == {"precision": None, "recall": None, "f1": None, "predicted": 0, "support": 0}
    assert found["macro_f1"] == 1.0
    assert one_label([], [], ["a"])["accuracy"] is None


def test_the_interval_of_a_share_by_hand():
    """5 of 10: centre (0.5 + 3.8415/20) / 1.38415 = 0.5, half 1.96 · sqrt(0.025 + 3.8415/400) / 1.38415 = 0.2634."""
    assert wilson(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert wilson(10, 10)[1] == pytest.approx(1.0)
    assert wilson(0, 0) is None


def test_several_labels_by_hand():
    """{a, b} said {a}; {b} said {b}; {} said {a}: found 2 of 3 said and 3 there; one row of three is right."""
    found = several_labels([{"a", "b"}, {"b"}, set()], [{"a"}, {"b"}, {"a"}], ["a", "b"])
    assert found["exact_match"] == pytest.approx(1 / 3)
    assert (found["micro_precision"], found["micro_recall"]) == (pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert found["per_class"]["a"]["precision"] == 0.5
    assert found["per_class"]["b"]["recall"] == 0.5


def test_spans_count_where_both_ends_and_the_label_agree():
    """There: [0,2) x, [3,5) y, [6,8) x. Said: [0,2) x, [3,5) x, [6,9) x. One of three; [3,5) is y taken for x.

    [6,8) is missed and [6,9) is said where nothing is.
    """
    gold = [{(0, 2, "x"), (3, 5, "y"), (6, 8, "x")}]
    found = spans(gold, [{(0, 2, "x"), (3, 5, "x"), (6, 9, "x")}], ["x", "y"])
    assert found["micro_f1"] == pytest.approx(1 / 3)
    assert found["per_class"]["x"]["precision"] == pytest.approx(1 / 3)
    assert found["per_class"]["x"]["recall"] == 0.5
    assert found["per_class"]["y"]["recall"] == 0.0
    assert found["confusion"] == [[1, 0, 1], [1, 0, 0], [1, 0, 0]]
