"""How often one model's response is preferred to another's."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from measures.clusters import check_lengths, mean_interval


@dataclass(frozen=True, kw_only=True)
class WinRate:
    """`n` counts judgements in the estimate; `both_bad` were left out of it. `n_annotators` is None if not given."""

    estimate: float
    low: float
    high: float
    n: int
    n_prompts: int
    n_annotators: int | None
    method: str
    enough: bool
    wins: int
    ties: int
    losses: int
    both_bad: int


def win_rate(
    outcomes: Sequence[float | None],
    *,
    prompts: Sequence[Hashable],
    annotators: Sequence[Hashable] | None = None,
    confidence: float = 0.95,
) -> WinRate:
    """Mean of 1 (win), 0.5 (tie), 0 (loss); None is "both bad": left out of the estimate and counted apart.

    Clustered by prompt and annotator (Cameron, Gelbach & Miller 2011), by prompt alone without annotators. The
    variance is the largest of the two-way and the one-way estimates (MacKinnon, Nielsen & Webb 2024); t with the
    smaller cluster count - 1 degrees of freedom. All wins or all losses: Clopper-Pearson on the smaller cluster
    count. `enough` is False under 8 prompts or 8 annotators: show "too few people to tell", not the interval.
    Errors: NoData when nothing but "both bad" was said; ValueError for another outcome or uneven lengths.
    """
    check_lengths(len(outcomes), prompts=prompts, annotators=annotators)
    kept = [i for i, outcome in enumerate(outcomes) if outcome is not None]
    scores = [float(o) for o in outcomes if o is not None]
    if not set(scores) <= {0.0, 0.5, 1.0}:
        raise ValueError("an outcome is 1, 0.5, 0 or None")
    clusterings = [[labels[i] for i in kept] for labels in (prompts, annotators) if labels is not None]
    found = mean_interval(scores, clusterings=clusterings, confidence=confidence)
    return WinRate(
        estimate=found.estimate,
        low=found.low,
        high=found.high,
        n=len(scores),
        n_prompts=found.clusters[0],
        n_annotators=None if annotators is None else found.clusters[1],
        method=found.method,
        enough=found.enough,
        wins=scores.count(1.0),
        ties=scores.count(0.5),
        losses=scores.count(0.0),
        both_bad=len(outcomes) - len(scores),
    )
