"""One label per item from many fallible annotators."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from measures.clusters import Codes, Floats, check_lengths, encode
from measures.errors import NoData


@dataclass(frozen=True, kw_only=True)
class DawidSkene:
    """Arrays follow the order of `items`, `annotators`, `classes` (I, A, K).

    posterior (I, K): probability of each true class. confusion (A, K, K): [annotator, true, reported], the
    competence matrices, rows summing to 1. priors (K,). log_likelihood is of the observed labels.
    """

    items: tuple[Hashable, ...]
    annotators: tuple[Hashable, ...]
    classes: tuple[Hashable, ...]
    posterior: Floats
    confusion: Floats
    priors: Floats
    log_likelihood: float
    iterations: int
    converged: bool

    def labels(self) -> dict[Hashable, Hashable]:
        """The most probable class of every item; the earlier class wins an exact tie."""
        winners = self.posterior.argmax(axis=1)
        return {item: self.classes[k] for item, k in zip(self.items, winners, strict=True)}


def dawid_skene(
    items: Sequence[Hashable],
    annotators: Sequence[Hashable],
    labels: Sequence[Hashable],
    *,
    classes: Sequence[Hashable] | None = None,
    smoothing: float = 0.0,
    max_iterations: int = 2000,
    tolerance: float = 1e-10,
) -> DawidSkene:
    """EM for true classes and annotators' error rates, one entry per judgement in all three sequences.

    Dawid & Skene (1979), Applied Statistics 28(1), 20-28, started from vote shares (equation 3.1). `smoothing` is
    added to every cell of the confusion counts; 0 is the paper, 0.01 to 1 helps when annotators are sparse.
    A true class an annotator never met gets a uniform row. `classes` fixes their order (default: first seen).
    The likelihood has local maxima; starting from vote shares finds the one in which most annotators are right.
    Errors: NoData without judgements; ValueError for uneven lengths or a label outside `classes`.
    """
    check_lengths(len(items), annotators=annotators, labels=labels)
    if not items:
        raise NoData("no judgements")
    names = _names(labels, classes)
    item, annotator, label = encode(items)[0], encode(annotators)[0], _codes(labels, names)
    posterior = np.zeros((item.max() + 1, len(names)))
    np.add.at(posterior, (item, label), 1)
    posterior /= posterior.sum(axis=1, keepdims=True)
    likelihood, gain, iterations = -np.inf, np.inf, 0
    while iterations == 0 or (gain > tolerance * (1 + abs(likelihood)) and iterations < max_iterations):
        priors, confusion = _maximise(posterior, item, annotator, label, smoothing)
        posterior, found = _expect(priors, confusion, item, annotator, label)
        gain, likelihood, iterations = abs(found - likelihood), found, iterations + 1
    return DawidSkene(
        items=tuple(dict.fromkeys(items)),
        annotators=tuple(dict.fromkeys(annotators)),
        classes=names,
        posterior=posterior,
        confusion=confusion,
        priors=priors,
        log_likelihood=likelihood,
        iterations=iterations,
        converged=gain <= tolerance * (1 + abs(likelihood)),
    )


def _names(labels: Sequence[Hashable], classes: Sequence[Hashable] | None) -> tuple[Hashable, ...]:
    names = tuple(dict.fromkeys(labels if classes is None else classes))
    if stray := set(labels) - set(names):
        raise ValueError(f"labels outside the given classes: {sorted(map(str, stray))}")
    return names


def _codes(labels: Sequence[Hashable], names: tuple[Hashable, ...]) -> Codes:
    index = {name: k for k, name in enumerate(names)}
    return np.array([index[label] for label in labels], dtype=np.intp)


def _maximise(
    posterior: Floats, item: Codes, annotator: Codes, label: Codes, smoothing: float
) -> tuple[Floats, Floats]:
    k = posterior.shape[1]
    reported = np.zeros((annotator.max() + 1, k, k))  # annotator, reported, true
    np.add.at(reported, (annotator, label), posterior[item])
    counts = reported.transpose(0, 2, 1) + smoothing
    rows = counts.sum(axis=2, keepdims=True)
    confusion = np.divide(counts, rows, out=np.full_like(counts, 1 / k), where=rows > 0)
    return posterior.mean(axis=0), confusion


def _expect(priors: Floats, confusion: Floats, item: Codes, annotator: Codes, label: Codes) -> tuple[Floats, float]:
    # A class ruled out by one judgement has log probability -inf, which is meant.
    with np.errstate(divide="ignore"):
        log_confusion, log_priors = np.log(confusion), np.log(priors)
    joint = np.tile(log_priors, (item.max() + 1, 1))
    np.add.at(joint, item, log_confusion[annotator, :, label])
    totals = logsumexp(joint, axis=1, keepdims=True)
    return np.exp(joint - totals), float(totals.sum())
