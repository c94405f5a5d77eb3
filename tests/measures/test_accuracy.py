import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from measures.accuracy import calibration_error, paired_accuracy
from measures.errors import NoData

SCORES = st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=1, max_size=30)


def test_a_tie_is_half_right_and_reported() -> None:
    """Right, wrong, tie, right: 2.5 / 4."""
    found = paired_accuracy([2, 0, 1, 5], [1, 1, 1, 0])
    assert (found.estimate, found.ties, found.n) == (0.625, 1, 4)


def test_a_constant_reward_model_is_a_coin() -> None:
    found = paired_accuracy([0.0] * 50, [0.0] * 50)
    assert (found.estimate, found.ties) == (0.5, 50)
    assert found.low < 0.5 < found.high


def test_accuracy_is_clustered_by_prompt_by_hand() -> None:
    """Prompts with 2 of 2, 2 of 2, 1 of 2, 1 of 2 right, as in the win rate's example: variance 1/48, 3 degrees."""
    found = paired_accuracy([1, 1, 1, 1, 1, 0, 0, 1], [0, 0, 0, 0, 0, 1, 1, 0], prompts=[1, 1, 2, 2, 3, 3, 4, 4])
    assert found.low == pytest.approx(0.75 - 3.182446 / math.sqrt(48), abs=1e-5)


@settings(max_examples=50, deadline=None)
@given(pairs=SCORES)
def test_swapping_chosen_and_rejected_mirrors_the_accuracy(pairs: list[tuple[int, int]]) -> None:
    chosen, rejected = zip(*pairs, strict=True)
    there, back = paired_accuracy(chosen, rejected), paired_accuracy(rejected, chosen)
    assert (back.estimate, back.low) == pytest.approx((1 - there.estimate, 1 - there.high))


def test_calibration_error_by_hand() -> None:
    """Margins +-log 4 (confidence .8): 3 of 4 right, gap .05. Margin log 1.5 (confidence .6): 1 of 1, gap .4.

    Error (4 * .05 + 1 * .4) / 5 = .12.
    """
    up, slight = math.log(4), math.log(1.5)
    found = calibration_error([up, up, up, -up, slight], [0] * 5)
    assert found.error == pytest.approx(0.12)
    assert [(b.n, b.accuracy) for b in found.bins] == [(1, 1), (4, 0.75)]


def test_a_certain_and_right_model_is_calibrated_and_a_certain_and_wrong_one_is_not() -> None:
    assert calibration_error([50.0], [0.0]).error == pytest.approx(0)
    assert calibration_error([0.0], [50.0]).error == pytest.approx(1)


def test_preferences_drawn_from_the_scores_are_calibrated_and_doubled_scores_are_not() -> None:
    rng = np.random.default_rng(1)
    margin = rng.normal(0, 1.5, 20_000)
    margin = np.where(rng.random(20_000) < 1 / (1 + np.exp(-margin)), margin, -margin)
    zero = np.zeros(20_000)
    assert calibration_error(margin, zero).error < 0.02
    assert calibration_error(2 * margin, zero).error > 0.08


def test_bad_scores_are_refused() -> None:
    with pytest.raises(NoData):
        paired_accuracy([], [])
    with pytest.raises(NoData):
        calibration_error([], [])
    with pytest.raises(ValueError, match="finite"):
        paired_accuracy([math.nan], [0.0])
    with pytest.raises(ValueError, match="one length"):
        calibration_error([1, 2], [1])
