import pytest

from measures.bias import length_bias, position_bias
from measures.errors import NoData


def test_position_bias_is_the_share_that_chose_the_first_shown() -> None:
    """Of three decided judgements two chose the first shown: 2/3; the tie (None) is excluded and counted."""
    found = position_bias(["a", "d", "e", None], ["a", "c", "e", "g"])
    assert (found.estimate, found.n, found.excluded) == (pytest.approx(2 / 3), 3, 1)


def test_position_bias_of_independent_votes_by_hand() -> None:
    """75 of 100: variance .75 * .25 / 99, t with 99 degrees at .975 = 1.984217: reach .086351."""
    found = position_bias(["a"] * 75 + ["b"] * 25, ["a"] * 100)
    assert (found.low, found.high) == pytest.approx((0.75 - 0.086351, 0.75 + 0.086351), abs=1e-5)


def test_one_annotator_with_a_habit_widens_the_position_interval() -> None:
    choices = ["a"] * 20 + ["a", "b"] * 90
    annotators = ["Bob"] * 20 + [f"A{i % 9}" for i in range(180)]
    alone = position_bias(choices, ["a"] * 200)
    clustered = position_bias(choices, ["a"] * 200, annotators=annotators)
    assert clustered.clusters == (10,)
    assert clustered.high - clustered.low > alone.high - alone.low


def test_swapping_the_order_shown_mirrors_the_position_interval() -> None:
    choices, first, second = list("aabba"), list("abaaa"), list("babbb")
    there, back = position_bias(choices, first), position_bias(choices, second)
    assert (back.low, back.high) == pytest.approx((1 - there.high, 1 - there.low))


def test_nobody_deciding_is_no_data() -> None:
    with pytest.raises(NoData):
        position_bias([None], ["a"])


def test_length_bias_counts_equal_lengths_as_half() -> None:
    """Longer, shorter, longer, equal: (1 + 0 + 1 + .5) / 4 = .625, the accuracy of "the longer one wins"."""
    found = length_bias([12, 3, 40, 7], [10, 5, 8, 7])
    assert (found.estimate, found.ties, found.n) == (0.625, 1, 4)


def test_length_bias_is_clustered_by_prompt_and_annotator() -> None:
    found = length_bias([2, 1, 2, 1], [1, 2, 1, 2], prompts=[1, 1, 2, 2], annotators=["Bob", "Carol"] * 2)
    assert found.clusters == (2, 2)
    assert not found.enough
