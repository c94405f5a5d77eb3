import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from measures.errors import NoData
from measures.ratings import Ratings, bradley_terry

TINY = 1e-9
ROUNDS = st.lists(st.tuples(st.sampled_from(["ab", "bc", "ac"]), st.sampled_from([1, 0.5, 0])), min_size=6, max_size=40)


def unroll(example: dict) -> tuple[list[str], list[str], list[float]]:
    wins, teams = example["wins[i][j]=i beat j"], example["teams"]
    games = [(a, b) for i, a in enumerate(teams) for j, b in enumerate(teams) for _ in range(wins[i][j])]
    return [a for a, _ in games], [b for _, b in games], [1.0] * len(games)


@pytest.fixture(scope="module")
def baseball(worked_stats: Path) -> dict:
    return json.loads((worked_stats / "bradley_terry.json").read_text())["examples"][0]


@pytest.fixture(scope="module")
def table(baseball: dict) -> Ratings:
    return bradley_terry(*unroll(baseball), reference=baseball["reference"], ridge=TINY)


def test_log_strengths_of_the_1987_season_are_the_published_ones(table: Ratings, baseball: dict) -> None:
    found = {r.model: r.log_strength for r in table.ratings if r.model != baseball["reference"]}
    assert found == pytest.approx(baseball["published_log_ability"], abs=6e-5)


def test_standard_errors_of_the_1987_season_are_the_published_ones(table: Ratings, baseball: dict) -> None:
    found = {r.model: r.std_error for r in table.ratings if r.model != baseball["reference"]}
    assert found == pytest.approx(baseball["published_se"], abs=6e-5)


def test_the_default_ridge_moves_the_season_by_less_than_a_hundredth_of_an_error(baseball: dict) -> None:
    ridged = bradley_terry(*unroll(baseball), reference=baseball["reference"])
    found = {r.model: r.log_strength for r in ridged.ratings if r.model != baseball["reference"]}
    assert found == pytest.approx(baseball["published_log_ability"], abs=0.01 * 0.33)


def test_two_models_with_ties_by_hand() -> None:
    """6 wins, 2 ties, 2 losses. Davidson's model then fits exactly: exp(d) = 6/2, nu = 2 / sqrt(6 * 2)."""
    fit = bradley_terry("a" * 10, "b" * 10, [1] * 6 + [0.5] * 2 + [0] * 2, ridge=TINY)
    assert fit.difference("a", "b")[0] == pytest.approx(np.log(3), abs=1e-6)
    assert fit.tie == pytest.approx(2 / np.sqrt(12), abs=1e-6)


def test_ties_as_half_by_hand() -> None:
    """The same as 7 wins to 3: difference log(7/3), error 1 / sqrt(10 * .7 * .3)."""
    fit = bradley_terry("a" * 10, "b" * 10, [1] * 6 + [0.5] * 2 + [0] * 2, ties="half", ridge=TINY, confidence=0.95)
    estimate, low, _ = fit.difference("a", "b")
    assert estimate == pytest.approx(np.log(7 / 3), abs=1e-6)
    assert (estimate - low) / 1.959964 == pytest.approx(1 / np.sqrt(2.1), abs=1e-5)
    assert fit.tie is None


def test_davidsons_likelihood_equations_hold_for_three_models() -> None:
    """At the maximum, wins + ties/2 of a model, and the number of ties, equal their expectations (Davidson 1970)."""
    wins = {("a", "b"): 9, ("b", "a"): 4, ("b", "c"): 7, ("c", "b"): 5, ("a", "c"): 8, ("c", "a"): 3}
    ties = {("a", "b"): 3, ("b", "c"): 6, ("a", "c"): 2}
    games = [(p, 1.0) for p, k in wins.items() for _ in range(k)] + [
        (p, 0.5) for p, k in ties.items() for _ in range(k)
    ]
    fit = bradley_terry([p[0] for p, _ in games], [p[1] for p, _ in games], [y for _, y in games], ridge=TINY)
    worth, nu = {r.model: np.exp(r.log_strength) for r in fit.ratings}, fit.tie
    expected, expected_ties = dict.fromkeys("abc", 0.0), 0.0
    for (i, j), t in ties.items():
        n, drawn = t + wins[i, j] + wins[j, i], nu * np.sqrt(worth[i] * worth[j])
        total = worth[i] + worth[j] + drawn
        expected[i] += n * (worth[i] + drawn / 2) / total
        expected[j] += n * (worth[j] + drawn / 2) / total
        expected_ties += n * drawn / total
    assert expected == pytest.approx({"a": 9 + 8 + 2.5, "b": 4 + 7 + 4.5, "c": 5 + 3 + 4}, abs=1e-5)
    assert expected_ties == pytest.approx(11, abs=1e-5)


def test_clustering_by_prompt_by_hand() -> None:
    """Two prompts, one with 3 wins and 1 loss, one with 1 win and 3 losses: difference 0, p = .5.

    Scores of d sum to +1 and -1 over the prompts; G/(G-1) = 2, so the middle is 2 * (1 + 1) = 4. Information of d is
    8 * .25 = 2. Variance 4 / 2**2 = 1, while independent votes would give 1/2.
    """
    fit = bradley_terry("a" * 8, "b" * 8, [1, 1, 1, 0, 1, 0, 0, 0], prompts=[1] * 4 + [2] * 4, ridge=TINY)
    estimate, low, high = fit.difference("a", "b")
    t_one_degree = 12.7062047
    assert (low, estimate, high) == pytest.approx((-t_one_degree, 0, t_one_degree), abs=1e-5)
    assert not fit.enough


def test_clustered_votes_give_wider_intervals_than_independent_ones() -> None:
    rng = np.random.default_rng(5)
    annotators = rng.integers(12, size=600)
    taste = rng.normal(0, 1.5, 12)
    outcomes = (rng.random(600) < 1 / (1 + np.exp(-taste[annotators]))).astype(float).tolist()
    prompts = rng.integers(60, size=600).tolist()
    plain = bradley_terry("a" * 600, "b" * 600, outcomes).difference("a", "b")
    robust = bradley_terry("a" * 600, "b" * 600, outcomes, prompts=prompts, annotators=annotators.tolist())
    low_to_high = robust.difference("a", "b")
    assert robust.method == "two-way sandwich t"
    assert robust.enough
    assert low_to_high[2] - low_to_high[1] > 2 * (plain[2] - plain[1])


def test_rank_counts_the_models_that_are_surely_better() -> None:
    """a beats b and c 80 to 20; b beats c 63 to 37, and both rank 2, whatever the reference.

    Their intervals overlap; judged by the estimate of c, or relative to b, c would be third.
    """
    first, second = "a" * 200 + "b" * 100, "b" * 100 + "c" * 200
    outcomes = ([1] * 80 + [0] * 20) * 2 + [1] * 63 + [0] * 37
    for reference in (None, "a", "b"):
        fit = bradley_terry(first, second, outcomes, reference=reference)
        assert {r.model: r.rank for r in fit.ratings} == {"a": 1, "b": 2, "c": 2}


def test_a_model_that_never_lost_is_finite_wide_and_flagged() -> None:
    prompts = list(range(10))
    fit = bradley_terry("a" * 10, "b" * 10, [1] * 10, prompts=prompts)
    _, low, high = fit.difference("a", "b")
    assert not fit.identified
    assert np.isfinite(high)
    assert low < 0, "ten wins in a row bound nothing: the data would accept any strength"


def test_models_that_never_met_are_not_identified() -> None:
    assert not bradley_terry("abcd", "badc", [1, 1, 1, 1]).identified


def test_prompts_that_are_all_split_evenly_do_not_give_a_certain_tie() -> None:
    fit = bradley_terry("a" * 8, "b" * 8, [1, 0] * 4, prompts=[1, 1, 2, 2, 3, 3, 4, 4])
    assert fit.difference("a", "b")[1] < -0.5


@settings(max_examples=40, deadline=None)
@given(rounds=ROUNDS)
def test_swapping_sides_changes_nothing_and_swapping_outcomes_mirrors(rounds: list[tuple[str, float]]) -> None:
    first, second = [pair[0] for pair, _ in rounds], [pair[1] for pair, _ in rounds]
    outcomes = [y for _, y in rounds]
    models = sorted({*first, *second})
    plain = bradley_terry(first, second, outcomes)
    swapped = bradley_terry(second, first, [1 - y for y in outcomes])
    mirrored = bradley_terry(first, second, [1 - y for y in outcomes])
    there = plain.difference(models[0], models[-1])
    assert swapped.difference(models[0], models[-1]) == pytest.approx(there, abs=1e-6)
    assert mirrored.difference(models[-1], models[0]) == pytest.approx(there, abs=1e-6)


def test_bad_input_is_refused() -> None:
    with pytest.raises(NoData):
        bradley_terry([], [], [])
    with pytest.raises(ValueError, match="itself"):
        bradley_terry(["a"], ["a"], [1])
    with pytest.raises(ValueError, match=r"0\.5"):
        bradley_terry(["a"], ["b"], [2])
    with pytest.raises(ValueError, match="never compared"):
        bradley_terry(["a"], ["b"], [1], reference="c")
