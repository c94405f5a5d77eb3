import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from measures.clusters import mean_interval
from measures.errors import NoData
from measures.win_rate import win_rate

VOTES = st.lists(
    st.tuples(st.sampled_from([1, 0.5, 0, None]), st.integers(0, 5), st.integers(0, 4)), min_size=1, max_size=40
).filter(lambda votes: any(outcome is not None for outcome, _, _ in votes))


def rate(votes: list[tuple[float | None, int, int]]):
    outcomes, prompts, annotators = zip(*votes, strict=True)
    return win_rate(outcomes, prompts=prompts, annotators=annotators)


def test_one_way_interval_by_hand() -> None:
    """Four prompts with two votes each: wins 2, 2, 1, 1 of 2; mean 6/8 = .75.

    Residual sums .5, .5, -.5, -.5; squares sum to 1; times G/(G-1) = 4/3; variance (4/3) / 64 = 1/48.
    t with 3 degrees of freedom at .975 is 3.18245: reach 3.18245 / sqrt(48) = .45935, upper limit cut at 1.
    """
    found = win_rate([1, 1, 1, 1, 1, 0, 0, 1], prompts=[1, 1, 2, 2, 3, 3, 4, 4])
    assert (found.estimate, found.low, found.high) == pytest.approx((0.75, 0.75 - 0.459347, 1), abs=1e-5)
    assert (found.n, found.n_prompts, found.n_annotators) == (8, 4, None)
    assert found.method == "one-way cluster-robust t"


def test_two_way_interval_by_hand() -> None:
    """Three prompts (rows) by three annotators, outcomes 1 1 1 / 1 1 0 / 1 0 0; mean 6/9 = 2/3.

    Residual sums by prompt: 1, 0, -1; by annotator: 1, 0, -1; G/(G-1) = 3/2, so 3 and 3. By cell: six of (1/3)**2 and
    three of (2/3)**2 = 2, times 9/8 = 2.25. Two-way 3 + 3 - 2.25 = 3.75, the largest; variance 3.75 / 81.
    t with 2 degrees of freedom at .90 (80 % interval) is 1.885618; reach 1.885618 * sqrt(3.75) / 9 = .405721.
    """
    outcomes, prompts, annotators = [1, 1, 1, 1, 1, 0, 1, 0, 0], [1, 1, 1, 2, 2, 2, 3, 3, 3], [1, 2, 3] * 3
    found = win_rate(outcomes, prompts=prompts, annotators=annotators, confidence=0.8)
    assert found.low == pytest.approx(2 / 3 - 0.405721, abs=1e-5)
    assert found.method == "two-way cluster-robust t"


def test_the_larger_one_way_variance_is_used_when_the_two_way_one_is_not_positive() -> None:
    """Two prompts by two annotators, outcomes 1 0 / 0 1, then one more prompt 1 1 seen by the same two.

    Mean 2/3. By prompt: -1/3, -1/3, 2/3: (6/9) * 3/2 = 1. By annotator: both 0: 0. By cell: 4 * (1/9) + 2 * (4/9) =
    4/3, times 6/5 = 1.6. Two-way 1 + 0 - 1.6 < 0. The prompt's variance 1 / 36 is used, with min(3, 2) - 1 = 1
    degree of freedom: at .75 (50 % interval) t = 1 and the reach is 1/6.
    """
    found = win_rate([1, 0, 0, 1, 1, 1], prompts=[1, 1, 2, 2, 3, 3], annotators=[1, 2] * 3, confidence=0.5)
    assert (found.low, found.high) == pytest.approx((2 / 3 - 1 / 6, 2 / 3 + 1 / 6))


def test_both_bad_is_counted_apart_and_left_out() -> None:
    found = win_rate([1, None, 0.5, 0, None], prompts=[1, 2, 3, 4, 5])
    assert (found.estimate, found.n, found.both_bad, found.n_prompts) == (0.5, 3, 2, 3)
    assert (found.wins, found.ties, found.losses) == (1, 1, 1)


def test_winning_always_is_bounded_by_the_number_of_clusters_not_votes() -> None:
    """10 annotators, 20 prompts, 200 wins: Clopper-Pearson with 10 trials, low = .025 ** (1/10) = .69150."""
    prompts, annotators = [i // 10 for i in range(200)], [i % 10 for i in range(200)]
    found = win_rate([1] * 200, prompts=prompts, annotators=annotators)
    assert (found.low, found.high) == (pytest.approx(0.025**0.1), 1)
    assert found.enough


def test_only_ties_leave_a_wide_interval_around_a_half() -> None:
    found = win_rate([0.5] * 12, prompts=range(12))
    assert found.low < 0.25
    assert found.high > 0.75


@pytest.mark.parametrize(("prompts", "annotators", "enough"), [(8, 8, True), (7, 8, False), (8, 7, False)])
def test_enough_needs_eight_of_both(prompts: int, annotators: int, enough: bool) -> None:
    cells = [(p, a) for p in range(prompts) for a in range(annotators)]
    found = win_rate(
        [float((p + a) % 2) for p, a in cells], prompts=[p for p, _ in cells], annotators=[a for _, a in cells]
    )
    assert found.enough is enough


def test_one_annotator_alone_is_never_enough() -> None:
    found = win_rate([1, 0] * 20, prompts=range(40), annotators=["Bob"] * 40)
    assert not found.enough
    assert found.low < 0.5 < found.high


def simulate(rng: np.random.Generator) -> tuple[list[float], list[int], list[int]]:
    """2,000 votes, 15 annotators (log-odds SD .5), 200 prompts (SD .7), true win rate .5 by symmetry."""
    annotators, prompts = rng.integers(15, size=2000), rng.integers(200, size=2000)
    logits = rng.normal(0, 0.5, 15)[annotators] + rng.normal(0, 0.7, 200)[prompts]
    return (rng.random(2000) < expit(logits)).astype(float).tolist(), prompts.tolist(), annotators.tolist()


def test_two_way_intervals_cover_where_independent_ones_do_not() -> None:
    """Of 200 simulations; nominal 95 % means 190, and 4 standard deviations are 12."""
    rng = np.random.default_rng(20)
    covered = naive = 0
    for _ in range(200):
        outcomes, prompts, annotators = simulate(rng)
        found = win_rate(outcomes, prompts=prompts, annotators=annotators)
        votes = mean_interval(outcomes)
        covered += found.low <= 0.5 <= found.high
        naive += votes.low <= 0.5 <= votes.high
    assert covered >= 178
    assert naive < 130


@settings(max_examples=80, deadline=None)
@given(votes=VOTES)
def test_swapping_the_two_models_mirrors_the_interval(votes: list[tuple[float | None, int, int]]) -> None:
    found = rate(votes)
    mirror = rate([(None if y is None else 1 - y, p, a) for y, p, a in votes])
    assert (mirror.estimate, mirror.low, mirror.high) == pytest.approx(
        (1 - found.estimate, 1 - found.high, 1 - found.low), abs=1e-9
    )


@settings(max_examples=80, deadline=None)
@given(votes=VOTES, order=st.randoms(use_true_random=False))
def test_the_order_of_votes_does_not_matter(votes: list[tuple[float | None, int, int]], order) -> None:
    shuffled = order.sample(votes, len(votes))
    found, again = rate(votes), rate(shuffled)
    assert (again.estimate, again.low, again.high) == pytest.approx((found.estimate, found.low, found.high), abs=1e-9)


@settings(max_examples=80, deadline=None)
@given(votes=VOTES)
def test_the_interval_holds_the_estimate_and_never_has_zero_width(votes: list[tuple[float | None, int, int]]) -> None:
    found = rate(votes)
    assert 0 <= found.low <= found.estimate <= found.high <= 1
    assert found.high - found.low > 1e-6


def test_bad_input_is_refused() -> None:
    with pytest.raises(NoData):
        win_rate([None, None], prompts=[1, 2])
    with pytest.raises(ValueError, match=r"1, 0\.5, 0 or None"):
        win_rate([0.7], prompts=[1])
    with pytest.raises(ValueError, match="annotators has 1 entries for 2 values"):
        win_rate([1, 0], prompts=[1, 2], annotators=["Bob"])
