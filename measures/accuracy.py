"""How well a reward model's scores agree with the preferences people stated."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

from measures.clusters import Floats
from measures.errors import NoData
from measures.shares import Share, share_of


@dataclass(frozen=True, kw_only=True)
class Bin:
    confidence: float
    accuracy: float
    n: int


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """`error` in [0, 1]; `bins` leaves out the empty ones, lowest confidence first."""

    error: float
    n: int
    bins: tuple[Bin, ...]


def paired_accuracy(
    scores_chosen: ArrayLike,
    scores_rejected: ArrayLike,
    *,
    prompts: Sequence[Hashable] | None = None,
    annotators: Sequence[Hashable] | None = None,
    confidence: float = 0.95,
) -> Share:
    """Share of pairs in which the chosen completion scores higher; equal scores count as half (`ties` says how many).

    Lambert et al. (2024), "RewardBench", arXiv:2403.13787; ties as half, as the
    Mann-Whitney statistic counts them. Interval clustered by prompt (and annotator) when given. Both inputs: (n,).
    Errors: NoData for no pairs; ValueError for uneven lengths or a score that is not finite.
    """
    margins = _margins(scores_chosen, scores_rejected)
    credit = 0.5 * (1 + np.sign(margins))
    return share_of(credit.tolist(), clusterings=(prompts, annotators), confidence=confidence)


def calibration_error(scores_chosen: ArrayLike, scores_rejected: ArrayLike, *, bins: int = 10) -> Calibration:
    """Expected calibration error of the Bradley-Terry probability sigmoid(chosen - rejected).

    Guo et al. (2017), "On calibration of modern neural networks", arXiv:1706.04599: the mean over pairs
    of |accuracy - confidence| of their bin. Confidence is the probability of the likelier side, so it lies in
    [0.5, 1], which is cut into `bins` of equal width; a margin of zero is half right. Errors as paired_accuracy.
    """
    margins = _margins(scores_chosen, scores_rejected)
    confidence, correct = expit(np.abs(margins)), 0.5 * (1 + np.sign(margins))
    index = np.minimum(((confidence - 0.5) * 2 * bins).astype(int), bins - 1)
    found = tuple(_bin(confidence[index == b], correct[index == b]) for b in np.unique(index))
    error = sum(b.n * abs(b.accuracy - b.confidence) for b in found) / margins.size
    return Calibration(error=float(error), n=int(margins.size), bins=found)


def _bin(confidence: Floats, correct: Floats) -> Bin:
    return Bin(confidence=float(confidence.mean()), accuracy=float(correct.mean()), n=int(correct.size))


def _margins(scores_chosen: ArrayLike, scores_rejected: ArrayLike) -> Floats:
    chosen, rejected = np.asarray(scores_chosen, dtype=float), np.asarray(scores_rejected, dtype=float)
    if chosen.ndim != 1 or chosen.shape != rejected.shape:
        raise ValueError(f"need two flat sequences of one length, got {chosen.shape} and {rejected.shape}")
    if chosen.size == 0:
        raise NoData("no pairs")
    margins: Floats = chosen - rejected
    if not np.isfinite(margins).all():
        raise ValueError("scores must be finite")
    return margins
