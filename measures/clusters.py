"""Means of bounded values with cluster-robust intervals, shared by every share and rate in this package.

Cameron, Gelbach & Miller (2011), "Robust inference with multiway clustering", J. Bus. Econ. Stat. 29(2), 238-249.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv, stdtrit

from measures.errors import NoData

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]

ENOUGH_CLUSTERS = 8
"""Below this many prompts or annotators an interval is still computed, but says "too few people to tell"."""


@dataclass(frozen=True, kw_only=True)
class Interval:
    estimate: float
    low: float
    high: float
    clusters: tuple[int, ...]
    method: str

    @property
    def enough(self) -> bool:
        return min(self.clusters) >= ENOUGH_CLUSTERS


def encode(labels: Sequence[Hashable]) -> tuple[Codes, int]:
    """Integer codes in order of first appearance, and how many labels there are. Labels of mixed types are fine."""
    known: dict[Hashable, int] = {}
    codes = np.array([known.setdefault(label, len(known)) for label in labels], dtype=np.intp)
    return codes, len(known)


def check_lengths(n: int, **labels: Sequence[Hashable] | None) -> None:
    """ValueError when a label sequence does not have one label per value."""
    for name, sequence in labels.items():
        if sequence is not None and len(sequence) != n:
            raise ValueError(f"{name} has {len(sequence)} entries for {n} values")


def clustered_meat(scores: Floats, codes: Codes, count: int) -> Floats:
    """G/(G-1) times the sum over clusters of the outer product of a cluster's summed scores; (n, p) -> (p, p)."""
    sums = np.zeros((count, scores.shape[1]))
    np.add.at(sums, codes, scores)
    meat: Floats = sums.T @ sums * (count / (count - 1))
    return meat


def clustered_meats(scores: Floats, clusterings: Sequence[Sequence[Hashable]]) -> list[Floats]:
    """The candidate middle matrices of the sandwich: each one-way, then the two-way one when there are two.

    The two-way matrix is one + other - intersection (Cameron, Gelbach & Miller); it need not be positive
    definite. The caller takes the largest variance over the candidates for each quantity it reports
    (the "max-se" rule of MacKinnon, Nielsen & Webb 2024, arXiv:2406.08880), which also covers that case.
    A clustering with a single cluster says nothing about variation between clusters and is left out.
    """
    coded = [encode(labels) for labels in clusterings]
    usable = [(codes, count) for codes, count in coded if count > 1]
    meats = [clustered_meat(scores, codes, count) for codes, count in usable]
    if len(usable) == 2:
        (first, _), (second, width) = usable
        cells, count = encode((first * width + second).tolist())
        meats.append(meats[0] + meats[1] - clustered_meat(scores, cells, count))
    return meats


def clopper_pearson(share: float, size: float, *, confidence: float) -> tuple[float, float]:
    """Clopper-Pearson limits for `share` of an effective sample of `size`, which need not be a whole number.

    Korn & Graubard (1998), Survey Methodology 24(2), 193-201: the beta form with an effective sample size.
    """
    alpha, hits = 1 - confidence, share * size
    low = 0.0 if hits <= 0 else float(betaincinv(hits, size - hits + 1, alpha / 2))
    high = 1.0 if hits >= size else float(betaincinv(hits + 1, size - hits, 1 - alpha / 2))
    return low, high


def mean_interval(
    values: ArrayLike, *, clusterings: Sequence[Sequence[Hashable]] = (), confidence: float = 0.95
) -> Interval:
    """Mean of values in [0, 1] with a t interval, degrees of freedom = smaller cluster count - 1, clipped to [0, 1].

    `clusterings` holds zero, one or two label sequences as long as `values`; with none every value is a cluster of
    its own. When the variance is zero or cannot be estimated (all wins, a single cluster), the limits are
    Clopper-Pearson on the smaller cluster count, so the interval never has zero width.
    Errors: NoData without values; ValueError for a value outside [0, 1], a wrong length, or three clusterings.
    """
    x = np.asarray(values, dtype=float)
    _check(x, clusterings, confidence)
    groups = list(clusterings) or [range(x.size)]
    counts = tuple(len(set(labels)) for labels in groups)
    mean = float(x.mean())
    meats = clustered_meats((x - mean)[:, None], groups)
    error = float(np.sqrt(max(float(m[0, 0]) for m in meats))) / x.size if meats else 0.0
    # All values equal leaves rounding dust around zero, not an exact zero.
    if error < 1e-12:
        low, high = clopper_pearson(mean, min(counts), confidence=confidence)
        return Interval(estimate=mean, low=low, high=high, clusters=counts, method="clopper-pearson on clusters")
    reach = error * float(stdtrit(min(c for c in counts if c > 1) - 1, 0.5 + confidence / 2))
    return Interval(
        estimate=mean,
        low=max(0.0, mean - reach),
        high=min(1.0, mean + reach),
        clusters=counts,
        method=_method_name(len(meats)),
    )


def _check(x: Floats, clusterings: Sequence[Sequence[Hashable]], confidence: float) -> None:
    if x.size == 0:
        raise NoData("no values to average")
    if not (np.isfinite(x).all() and x.min() >= 0 and x.max() <= 1):
        raise ValueError("values must lie in [0, 1]")
    if not 0 < confidence < 1:
        raise ValueError("confidence must lie strictly between 0 and 1")
    if len(clusterings) > 2:
        raise ValueError("at most two clusterings")
    for labels in clusterings:
        check_lengths(x.size, clusters=labels)


def _method_name(candidates: int) -> str:
    return "two-way cluster-robust t" if candidates == 3 else "one-way cluster-robust t"
