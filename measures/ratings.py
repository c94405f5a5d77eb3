"""Strengths of models from pairwise comparisons, by maximum likelihood; never an online Elo.

Bradley & Terry (1952), Biometrika 39, 324-345; ties by Davidson (1970), JASA 65, 317-328: with log-strengths t and
tie parameter nu, win : tie : loss = exp(d/2) : nu : exp(-d/2) where d = t_first - t_second.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.special import ndtri, softmax, stdtrit

from measures.clusters import ENOUGH_CLUSTERS, Codes, Floats, check_lengths, clustered_meats, encode
from measures.errors import NoData

Ties = Literal["davidson", "half"]


@dataclass(frozen=True, kw_only=True)
class Rating:
    """log_strength is relative to the reference, or to the mean of all models; `rank` never depends on the choice."""

    model: Hashable
    log_strength: float
    std_error: float
    low: float
    high: float
    rank: int
    n: int


@dataclass(frozen=True, kw_only=True)
class Ratings:
    """`identified` is False when some models never lost to (or never met) the rest.

    Then no finite maximum exists without the ridge, and the intervals fall back on the ridge's posterior, which is
    wide. `enough` is False under 8 clusters. `tie` is Davidson's nu, None when ties are half wins or absent.
    """

    ratings: tuple[Rating, ...]
    tie: float | None
    method: str
    identified: bool
    enough: bool
    n: int
    _fit: "_Fit" = field(repr=False, compare=False)

    def difference(self, model: Hashable, other: Hashable) -> tuple[float, float, float]:
        """Log-strength of model minus other, with its own interval: (estimate, low, high)."""
        return self._fit.interval(self._fit.unit(model) - self._fit.unit(other))


def bradley_terry(
    first: Sequence[Hashable],
    second: Sequence[Hashable],
    outcomes: Sequence[float],
    *,
    prompts: Sequence[Hashable] | None = None,
    annotators: Sequence[Hashable] | None = None,
    reference: Hashable | None = None,
    ties: Ties = "davidson",
    ridge: float = 0.01,
    confidence: float = 0.95,
) -> Ratings:
    """One entry per judgement; an outcome is 1 when `first` won, 0.5 for a tie, 0 when `second` won.

    Ridge: minus ridge/2 times the sum of squared log-strengths (a normal prior of variance 1/ridge), so that a model
    that never lost keeps a finite strength. ties="half" counts a tie as half a win and half a loss.
    Intervals: sandwich clustered by annotator and prompt, largest of the two-way and one-way variances as in
    win_rate, t with the smaller cluster count - 1; without clusters, from the Fisher information and the normal.
    Rank = 1 + number of models whose lower bound exceeds my upper (Chiang et al. 2024, "Chatbot Arena",
    arXiv:2403.04132), on intervals relative to the mean of all models.
    Errors: NoData without judgements; ValueError for uneven lengths, other outcomes, a model against itself.
    """
    check_lengths(len(first), second=second, outcomes=outcomes, prompts=prompts, annotators=annotators)
    if not first:
        raise NoData("no comparisons")
    if not set(map(float, outcomes)) <= {0.0, 0.5, 1.0}:
        raise ValueError("an outcome is 1, 0.5 or 0")
    design = _design(first, second, outcomes, with_ties=ties == "davidson")
    beta = _maximise(design, ridge)
    clusterings = [labels for labels in (prompts, annotators) if labels is not None]
    fit = _Fit(design, beta, ridge=ridge, clusterings=clusterings, confidence=confidence)
    return Ratings(
        ratings=fit.table(reference),
        tie=float(np.exp(beta[-1])) if design.has_tie else None,
        method=fit.method,
        identified=fit.identified,
        enough=not clusterings or min(fit.counts) >= ENOUGH_CLUSTERS,
        n=len(first),
        _fit=fit,
    )


@dataclass(frozen=True, kw_only=True)
class _Design:
    """Multinomial logit: features (n, c, p) of each possible result, observed (n, c) with rows summing to 1."""

    models: tuple[Hashable, ...]
    first: Codes
    second: Codes
    features: Floats
    observed: Floats
    has_tie: bool


def _design(
    first: Sequence[Hashable], second: Sequence[Hashable], outcomes: Sequence[float], *, with_ties: bool
) -> _Design:
    models = tuple(dict.fromkeys([*first, *second]))
    codes = encode([*first, *second])[0]
    a, b, y = codes[: len(first)], codes[len(first) :], np.asarray(outcomes, dtype=float)
    if (a == b).any():
        raise ValueError("a model cannot be compared with itself")
    has_tie = with_ties and bool((y == 0.5).any())
    n, k, rows = len(first), len(models), np.arange(len(first))
    features = np.zeros((n, 3 if has_tie else 2, k + has_tie))
    features[rows, 0, a] = features[rows, 1, b] = 0.5
    features[rows, 0, b] = features[rows, 1, a] = -0.5
    observed = np.column_stack([y, 1 - y])
    if has_tie:
        features[:, 2, k] = 1
        observed = np.column_stack([y == 1, y == 0, y == 0.5]).astype(float)
    return _Design(models=models, first=a, second=b, features=features, observed=observed, has_tie=has_tie)


def _derivatives(design: _Design, beta: Floats, ridge: float) -> tuple[Floats, Floats]:
    """Scores of the single judgements (n, p), and the information matrix with the ridge on the strengths (p, p)."""
    chance = softmax(design.features @ beta, axis=1)
    mean = np.einsum("nc,ncp->np", chance, design.features)
    scores = np.einsum("nc,ncp->np", design.observed, design.features) - mean
    spread = np.einsum("nc,ncp,ncq->pq", chance, design.features, design.features, optimize=True) - mean.T @ mean
    return scores, spread + np.diag(_penalty(design, ridge))


def _penalty(design: _Design, ridge: float) -> Floats:
    # The tie parameter is observed in every comparison and needs no help unless every result was a tie.
    return np.full(len(design.models) + design.has_tie, ridge)


def _maximise(design: _Design, ridge: float, *, tolerance: float = 1e-10, limit: int = 200) -> Floats:
    """Newton's method with steps cut to length 2; the penalised likelihood is concave, so it cannot get lost."""
    beta = np.zeros(design.features.shape[2])
    for _ in range(limit):
        scores, information = _derivatives(design, beta, ridge)
        step = np.linalg.solve(information, scores.sum(axis=0) - _penalty(design, ridge) * beta)
        # The likelihood ignores a common shift of all strengths and the ridge wants it zero: take out its rounding.
        step[: len(design.models)] -= step[: len(design.models)].mean()
        beta = beta + step / max(1.0, float(np.abs(step).max()) / 2)
        if np.abs(step).max() < tolerance:
            return beta
    raise ArithmeticError("the Bradley-Terry likelihood did not converge; use a larger ridge")


def _is_identified(design: _Design) -> bool:
    """Ford (1957): a finite maximum exists when "beat or tied" connects every model to every other and back."""
    k, y = len(design.models), design.observed @ np.array([1, 0, 0.5])[: design.observed.shape[1]]
    won, lost = y > 0, y < 1
    source = np.concatenate([design.first[won], design.second[lost]])
    target = np.concatenate([design.second[won], design.first[lost]])
    graph = coo_array((np.ones(source.size), (source, target)), shape=(k, k))
    return int(connected_components(graph, directed=True, connection="strong")[0]) == 1


def _method_name(candidates: int, *, identified: bool) -> str:
    if candidates == 0:
        return "fisher information" if identified else "ridge posterior"
    ways = "two-way" if candidates == 3 else "one-way"
    return f"{ways} sandwich t" if identified else f"{ways} sandwich t or ridge posterior, the wider"


class _Fit:
    """Variance of any contrast of log-strengths at the fitted point."""

    def __init__(
        self,
        design: _Design,
        beta: Floats,
        *,
        ridge: float,
        clusterings: Sequence[Sequence[Hashable]],
        confidence: float,
    ) -> None:
        scores, information = _derivatives(design, beta, ridge)
        bread = np.linalg.inv(information)
        self.design, self.beta = design, beta
        self.identified = _is_identified(design)
        self.counts = tuple(len(set(labels)) for labels in clusterings)
        meats = clustered_meats(scores, clusterings)
        self.variances = [bread @ meat @ bread for meat in meats]
        # Where the data alone say "infinitely better", their own variation is no guide: keep the posterior's.
        if not meats or not self.identified:
            self.variances.append(bread)
        self.model_variance = bread
        self.method = _method_name(len(meats), identified=self.identified)
        usable, p = [count for count in self.counts if count > 1], 0.5 + confidence / 2
        self.quantile = float(stdtrit(min(usable) - 1, p) if usable else ndtri(p))

    def unit(self, model: Hashable) -> Floats:
        if model not in self.design.models:
            raise ValueError(f"{model!r} was never compared")
        contrast = np.zeros(self.beta.size)
        contrast[self.design.models.index(model)] = 1
        return contrast

    def std_error(self, contrast: Floats) -> float:
        variance = max(float(contrast @ v @ contrast) for v in self.variances)
        # Clusters that all agree (every prompt one win each way) leave no variation to measure: use the model's.
        return float(np.sqrt(variance if variance > 1e-12 else contrast @ self.model_variance @ contrast))

    def interval(self, contrast: Floats) -> tuple[float, float, float]:
        estimate, reach = float(contrast @ self.beta), self.quantile * self.std_error(contrast)
        return estimate, estimate - reach, estimate + reach

    def table(self, reference: Hashable | None) -> tuple[Rating, ...]:
        """Ratings, strongest first; equal strengths keep their order of appearance."""
        mean = np.mean([self.unit(m) for m in self.design.models], axis=0)
        base = mean if reference is None else self.unit(reference)
        centred = [self.interval(self.unit(m) - mean) for m in self.design.models]
        ratings = []
        for i, model in enumerate(self.design.models):
            estimate, low, high = self.interval(self.unit(model) - base)
            ratings.append(
                Rating(
                    model=model,
                    log_strength=estimate,
                    std_error=self.std_error(self.unit(model) - base),
                    low=low,
                    high=high,
                    rank=1 + sum(other_low > centred[i][2] for _, other_low, _ in centred),
                    n=int((self.design.first == i).sum() + (self.design.second == i).sum()),
                )
            )
        return tuple(sorted(ratings, key=lambda rating: -rating.log_strength))
