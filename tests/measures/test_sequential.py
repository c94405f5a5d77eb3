import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from measures.errors import NoData
from measures.sequential import GRID, confidence_sequence, decide, decision, unit_means

UNITS = st.lists(st.sampled_from([0, 0.25, 0.5, 0.75, 1]), min_size=1, max_size=40)


def test_the_first_two_wins_rule_out_the_lowest_means_by_hand() -> None:
    """Two units of 1, alpha .05. Bets use the past only, from variance 1/4 and mean 1/2.

    First bet sqrt(2 log 40 / (.25 * 1 * log 2)) = 6.525. After one unit of 1: mean (.5 + 1) / 2 = .75, variance
    (.25 + .0625) / 2 = .15625. Second bet sqrt(2 log 40 / (.15625 * 2 * log 3)) = 4.636.
    At a candidate mean m a bet is at most .75 / m; half the stake bets up, and m is out when
    .5 * (1 + bet1 (1 - m)) (1 + bet2 (1 - m)) >= 20. Both bets are whole only for m < .115 and m < .162: at m = .09
    the capital is .5 * 6.938 * 5.219 = 18.1 < 20, at m = .05 it is .5 * 7.199 * 5.404 = 19.5, at .03 20.1.
    """
    first = math.sqrt(2 * math.log(40) / (0.25 * math.log(2)))
    second = math.sqrt(2 * math.log(40) / (0.15625 * 2 * math.log(3)))
    out = [m / GRID for m in range(100) if 0.5 * (1 + first * (1 - m / GRID)) * (1 + second * (1 - m / GRID)) >= 20]
    found = confidence_sequence([1, 1])
    assert (first, second) == pytest.approx((6.525, 4.636), abs=1e-3)
    assert 0.03 <= out[-1] < 0.05
    assert found.low[1] == pytest.approx(out[-1])
    assert found.high.tolist() == [1, 1]


def test_looking_after_every_unit_errs_less_often_than_promised() -> None:
    """300 A/A tests of 150 prompts, a look after each: 5 % would be 15; a peeked t test errs far more often."""
    rng = np.random.default_rng(8)
    wrong = sum(decide(rng.integers(0, 5, size=150) / 4, confidence=0.95) != "continue" for _ in range(300))
    assert wrong <= 15


def test_a_clear_winner_is_found_and_a_clear_loser_too() -> None:
    rng = np.random.default_rng(9)
    units = rng.binomial(6, 0.75, size=64) / 6
    assert decide(units, margin=0.05) == "better"
    assert decide(1 - units, margin=0.05) == "worse"
    assert decide(units, margin=0.4) == "continue"


def test_ten_annotators_who_all_prefer_it_are_enough() -> None:
    assert decide([1.0] * 10) == "better"
    assert decide([1.0] * 5) == "continue"


def test_a_decision_once_made_stays_made_and_keeps_its_interval() -> None:
    early = decision([1.0] * 12)
    late = decision([1.0] * 12 + [0.0] * 60)
    assert early.verdict == "better"
    assert late == early
    assert early.n < 12
    assert early.low > 0.5


def test_before_the_first_unit_the_verdict_is_continue() -> None:
    assert decide([]) == "continue"


def test_votes_are_averaged_into_units_before_they_count() -> None:
    """Prompt p: (1 + 0) / 2; prompt q: (.5 + 1) / 2, its "both bad" skipped; prompt r has nothing else: no unit."""
    outcomes, prompts = [1, 0.5, 0, 1, None, None], ["p", "q", "p", "q", "q", "r"]
    assert unit_means(outcomes, prompts) == [0.5, 0.75]


def test_the_sequence_covers_a_known_mean_at_all_times_at_once() -> None:
    rng = np.random.default_rng(10)
    missed = 0
    for _ in range(200):
        found = confidence_sequence(rng.beta(2, 1, size=100))
        missed += bool(((found.low > 2 / 3) | (found.high < 2 / 3)).any())
    assert missed <= 10


@settings(max_examples=60, deadline=None)
@given(units=UNITS)
def test_swapping_the_two_models_mirrors_the_sequence(units: list[float]) -> None:
    there, back = confidence_sequence(units), confidence_sequence([1 - u for u in units])
    assert back.low == pytest.approx(1 - there.high, abs=1.01 / GRID)
    assert back.high == pytest.approx(1 - there.low, abs=1.01 / GRID)


@settings(max_examples=60, deadline=None)
@given(units=UNITS)
def test_the_interval_never_widens_and_later_units_do_not_change_earlier_limits(units: list[float]) -> None:
    found, half = confidence_sequence(units), confidence_sequence(units[: len(units) // 2 + 1])
    assert (np.diff(found.low) >= 0).all()
    assert (np.diff(found.high) <= 0).all()
    assert half.low.tolist() == found.low[: half.low.size].tolist()


def test_bad_units_are_refused() -> None:
    with pytest.raises(NoData):
        confidence_sequence([])
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        confidence_sequence([1.2])
    with pytest.raises(ValueError, match="margin"):
        decision([1.0], margin=0.5)
