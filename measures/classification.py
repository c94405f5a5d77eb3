"""How well labels and spans were found: precision, recall, F1 (van Rijsbergen 1979), and what was taken for what.

A score whose denominator is zero is None: nothing was predicted, or nothing was there to find.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from itertools import chain
from typing import Any

JSON = dict[str, Any]
Place = tuple[int, int, str]
Z95 = 1.959964
"""Of the normal distribution, for 95 %."""


def scores(found: int, predicted: int, there: int) -> JSON:
    """Of `predicted` and `there`, `found` are in both. F1 = 2 found / (predicted + there)."""
    return {
        "precision": found / predicted if predicted else None,
        "recall": found / there if there else None,
        "f1": 2 * found / (predicted + there) if predicted + there else None,
        "predicted": predicted,
        "support": there,
    }


def wilson(right: int, n: int) -> tuple[float, float] | None:
    """The 95 % interval of a share (Wilson 1927). None of nothing."""
    if not n:
        return None
    share, square = right / n, Z95 * Z95
    middle = (share + square / (2 * n)) / (1 + square / n)
    half = Z95 * math.sqrt(share * (1 - share) / n + square / (4 * n * n)) / (1 + square / n)
    return middle - half, middle + half


def macro_f1(per_class: dict[str, JSON]) -> float | None:
    """Mean of the F1 of the classes that occur or were predicted (the first of the two macro-F1 of Opitz and Burst 2019)."""
    known = [row["f1"] for row in per_class.values() if row["f1"] is not None]
    return sum(known) / len(known) if known else None


def one_label(gold: Sequence[str], predicted: Sequence[str], labels: Sequence[str]) -> JSON:
    """One label a row. `confusion[i][j]` counts rows of class i that were taken for class j."""
    right = sum(was == said for was, said in zip(gold, predicted, strict=True))
    place = {label: at for at, label in enumerate(labels)}
    confusion = [[0] * len(labels) for _ in labels]
    for was, said in zip(gold, predicted, strict=True):
        confusion[place[was]][place[said]] += 1
    rows, columns = [sum(row) for row in confusion], [sum(column) for column in zip(*confusion, strict=True)]
    per_class = {label: scores(confusion[at][at], columns[at], rows[at]) for label, at in place.items()}
    return {
        "n": len(gold),
        "accuracy": right / len(gold) if gold else None,
        "interval": wilson(right, len(gold)),
        "majority_share": max(rows) / len(gold) if gold else None,
        "macro_f1": macro_f1(per_class),
        "per_class": per_class,
        "labels": list(labels),
        "confusion": confusion,
    }


def several_labels(
    gold: Sequence[Collection[str]], predicted: Sequence[Collection[str]], labels: Sequence[str]
) -> JSON:
    """Any number of labels a row. `exact_match` is the share of rows whose labels are all right and complete."""
    pairs = list(zip(map(set, gold), map(set, predicted), strict=True))
    right = sum(was == said for was, said in pairs)
    per_class = {
        label: scores(
            sum(label in was and label in said for was, said in pairs),
            sum(label in said for _was, said in pairs),
            sum(label in was for was, _said in pairs),
        )
        for label in labels
    }
    return {
        "n": len(pairs),
        "exact_match": right / len(pairs) if pairs else None,
        "interval": wilson(right, len(pairs)),
        **micro(pairs),
        "macro_f1": macro_f1(per_class),
        "per_class": per_class,
        "labels": list(labels),
    }


def micro(pairs: Sequence[tuple[set[Any], set[Any]]]) -> JSON:
    """Every label or span of every row counts once."""
    totals = scores(
        sum(len(was & said) for was, said in pairs),
        sum(len(said) for _was, said in pairs),
        sum(len(was) for was, _said in pairs),
    )
    return {f"micro_{name}": totals[name] for name in ("precision", "recall", "f1")}


def spans(gold: Sequence[Collection[Place]], predicted: Sequence[Collection[Place]], labels: Sequence[str]) -> JSON:
    """A span counts where both ends and the label agree (CoNLL-2003: Tjong Kim Sang and De Meulder 2003).

    `confusion` has a row and a column for each label, and a last one for nothing: spans with the right ends under another
    label, spans that were missed (last column), spans where none are (last row).
    """
    pairs = list(zip(map(set, gold), map(set, predicted), strict=True))
    per_class = {
        label: scores(
            sum(_under(label, was & said) for was, said in pairs),
            sum(_under(label, said) for _was, said in pairs),
            sum(_under(label, was) for was, _said in pairs),
        )
        for label in labels
    }
    return {
        "n": len(pairs),
        "spans": sum(len(was) for was, _said in pairs),
        **micro(pairs),
        "macro_f1": macro_f1(per_class),
        "per_class": per_class,
        "labels": list(labels),
        "confusion": _span_confusion(pairs, labels),
    }


def _under(label: str, places: set[Place]) -> int:
    return sum(place[2] == label for place in places)


def _span_confusion(pairs: Sequence[tuple[set[Place], set[Place]]], labels: Sequence[str]) -> list[list[int]]:
    at = {label: number for number, label in enumerate(labels)}
    nothing = len(labels)
    table = [[0] * (nothing + 1) for _ in range(nothing + 1)]
    for was, said in pairs:
        for ends in {place[:2] for place in chain(was, said)}:
            under = [{place[2] for place in some if place[:2] == ends} for some in (was, said)]
            right = under[0] & under[1]
            wrong = [sorted(some - right) or [""] for some in under]
            for label in right:
                table[at[label]][at[label]] += 1
            if wrong == [[""], [""]]:
                continue
            for one in wrong[0]:
                for other in wrong[1]:
                    table[at.get(one, nothing)][at.get(other, nothing)] += 1
    return table
