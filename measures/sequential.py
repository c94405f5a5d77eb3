"""A decision that stays valid however often one looks.

Waudby-Smith & Ramdas (2024), "Estimating means of bounded random variables by betting", J. R. Stat. Soc. B 86(1),
1-27: the hedged capital confidence sequence with predictable plug-in bets.

The units are prompts or annotators, never votes: votes on one prompt, or by one person, are not independent, and a
sequence over them promotes a copy of the champion in a third of all cases. Average the votes of a unit first
(`unit_means`), and enter a unit only when its votes are complete, in an order that does not depend on them.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from measures.clusters import Floats, check_lengths
from measures.errors import NoData

Verdict = Literal["better", "worse", "continue"]

GRID = 1000
"""Candidate means are multiples of 1/GRID; limits are moved out by one step, so the grid never costs coverage."""

LARGEST_BET = 0.75
"""Share of the capital a bet may risk at most (the paper's c, which it suggests to be 1/2 or 3/4)."""


@dataclass(frozen=True, kw_only=True)
class ConfidenceSequence:
    """low[t], high[t]: limits after t + 1 units, covering the mean at every t at once; never widening. (n,) each."""

    estimate: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The interval is the one decided on: after `n` units, where the verdict was first reached, else after all."""

    verdict: Verdict
    estimate: float
    low: float
    high: float
    n: int


def unit_means(outcomes: Sequence[float | None], units: Sequence[Hashable]) -> list[float]:
    """Mean outcome of each unit, in order of first appearance; None ("both bad") is skipped, as in win_rate."""
    check_lengths(len(outcomes), units=units)
    votes: dict[Hashable, list[float]] = {}
    for outcome, unit in zip(outcomes, units, strict=True):
        if outcome is not None:
            votes.setdefault(unit, []).append(float(outcome))
    return [sum(values) / len(values) for values in votes.values()]


def confidence_sequence(units: ArrayLike, *, confidence: float = 0.95) -> ConfidenceSequence:
    """Limits for the mean of units in [0, 1], in order of arrival, shape (n,).

    Errors: NoData for no units; ValueError for a unit outside [0, 1]. Memory and time grow as n times GRID.
    """
    x = _units(units)
    log_capital = _log_capital(x, _bets(x, 1 - confidence))
    plausible = log_capital < np.log(1 / (1 - confidence))
    # Running intersection: a mean once ruled out stays ruled out, so a decision once made stays made.
    plausible = np.logical_and.accumulate(plausible, axis=0)
    low, high = _ends(plausible)
    return ConfidenceSequence(estimate=np.cumsum(x) / np.arange(1, x.size + 1), low=low, high=high)


def decision(units: ArrayLike, *, margin: float = 0.0, confidence: float = 0.95) -> Decision:
    """First moment at which the whole interval lies above 0.5 + margin ("better") or below 0.5 - margin ("worse").

    With no such moment the verdict is "continue"; at the end of the budget that means inconclusive.
    """
    if not 0 <= margin < 0.5:
        raise ValueError("margin must lie in [0, 0.5)")
    sequence = confidence_sequence(units, confidence=confidence)
    better, worse = sequence.low > 0.5 + margin, sequence.high < 0.5 - margin
    reached = np.flatnonzero(better | worse)
    t = int(reached[0]) if reached.size else sequence.low.size - 1
    verdict: Verdict = "better" if better[t] else "worse" if worse[t] else "continue"
    return Decision(
        verdict=verdict,
        estimate=float(sequence.estimate[t]),
        low=float(sequence.low[t]),
        high=float(sequence.high[t]),
        n=t + 1,
    )


def decide(units: ArrayLike, *, margin: float = 0.0, confidence: float = 0.95) -> Verdict:
    """The verdict of `decision`; "continue" also before the first unit."""
    if np.asarray(units).size == 0:
        return "continue"
    return decision(units, margin=margin, confidence=confidence).verdict


def _units(units: ArrayLike) -> Floats:
    x = np.asarray(units, dtype=float)
    if x.size == 0:
        raise NoData("no units yet")
    if x.ndim != 1 or not (np.isfinite(x).all() and x.min() >= 0 and x.max() <= 1):
        raise ValueError("units must be a flat sequence of values in [0, 1]")
    return x


def _bets(x: Floats, alpha: float) -> Floats:
    """Each bet uses only the units before it, starting as if one unit of mean 1/2 and variance 1/4 had been seen."""
    t = np.arange(1, x.size + 1)
    mean = (0.5 + np.cumsum(x)) / (t + 1)
    variance = (0.25 + np.cumsum((x - mean) ** 2)) / (t + 1)
    before = np.concatenate([[0.25], variance[:-1]])
    return np.asarray(np.sqrt(2 * np.log(2 / alpha) / (before * t * np.log(t + 1))))


def _log_capital(x: Floats, bets: Floats) -> Floats:
    """Log of the hedged capital (n, GRID + 1): the better of betting up and betting down, half the stake each."""
    m = np.linspace(0, 1, GRID + 1)
    with np.errstate(divide="ignore"):
        up = np.minimum(bets[:, None], LARGEST_BET / m)
        down = np.minimum(bets[:, None], LARGEST_BET / (1 - m))
    gain = x[:, None] - m
    capital = np.maximum(np.cumsum(np.log1p(up * gain), axis=0), np.cumsum(np.log1p(-down * gain), axis=0))
    return np.asarray(capital + np.log(0.5))


def _ends(plausible: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    n, size = plausible.shape
    low = np.maximum(0, plausible.argmax(axis=1) - 1) / GRID
    high = np.minimum(GRID, size - plausible[:, ::-1].argmax(axis=1)) / GRID
    # An empty set (probability at most alpha, or units that drift) keeps the last interval that was not empty.
    last = np.maximum.accumulate(np.where(plausible.any(axis=1), np.arange(n), 0))
    return low[last], high[last]
