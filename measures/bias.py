"""Two habits that look like preferences: choosing what is shown first, and choosing what is longer."""

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from measures.accuracy import paired_accuracy
from measures.clusters import check_lengths
from measures.shares import Share, share_of


def position_bias(
    choices: Sequence[Hashable | None],
    first_shown: Sequence[Hashable],
    *,
    prompts: Sequence[Hashable] | None = None,
    annotators: Sequence[Hashable] | None = None,
    confidence: float = 0.95,
) -> Share:
    """Share of decided judgements that chose the candidate shown first; 0.5 when the order is drawn and ignored.

    Zheng et al. (2023), "Judging LLM-as-a-judge", arXiv:2306.05685. Both sequences name candidates;
    a choice of None (tie, both bad) is excluded and counted. Errors: NoData when nobody decided.
    """
    check_lengths(len(choices), first_shown=first_shown, prompts=prompts, annotators=annotators)
    decided = [i for i, choice in enumerate(choices) if choice is not None]
    clusterings = [None if labels is None else [labels[i] for i in decided] for labels in (prompts, annotators)]
    chose_first = [float(choices[i] == first_shown[i]) for i in decided]
    return share_of(chose_first, clusterings=clusterings, confidence=confidence, excluded=len(choices) - len(decided))


def length_bias(
    chosen_lengths: ArrayLike,
    rejected_lengths: ArrayLike,
    *,
    prompts: Sequence[Hashable] | None = None,
    annotators: Sequence[Hashable] | None = None,
    confidence: float = 0.95,
) -> Share:
    """Share of preferences that went to the longer completion, equal lengths counted as half.

    The same number is the accuracy of the baseline "the longer one wins", which a reward model has to beat
    (Singhal et al. 2023, "A long way to go", arXiv:2310.03716). Lengths in any one unit, tokens or characters.
    """
    lengths = np.asarray(chosen_lengths, dtype=float), np.asarray(rejected_lengths, dtype=float)
    return paired_accuracy(*lengths, prompts=prompts, annotators=annotators, confidence=confidence)
