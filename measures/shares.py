"""A share of judgements with its interval: what bias and accuracy report."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from measures.clusters import mean_interval


@dataclass(frozen=True, kw_only=True)
class Share:
    """`ties` were counted as half; `excluded` were not counted at all; `clusters` holds the cluster counts used."""

    estimate: float
    low: float
    high: float
    n: int
    ties: int
    excluded: int
    clusters: tuple[int, ...]
    method: str
    enough: bool


def share_of(
    values: Sequence[float],
    *,
    clusterings: Sequence[Sequence[Hashable] | None],
    confidence: float,
    excluded: int = 0,
) -> Share:
    """Share over values 1, 0.5 (tie) or 0; clusterings that are None are left out. Errors as mean_interval."""
    scores = [float(value) for value in values]
    given = [labels for labels in clusterings if labels is not None]
    found = mean_interval(scores, clusterings=given, confidence=confidence)
    return Share(
        estimate=found.estimate,
        low=found.low,
        high=found.high,
        n=len(scores),
        ties=sum(score == 0.5 for score in scores),
        excluded=excluded,
        clusters=found.clusters,
        method=found.method,
        enough=found.enough,
    )
