"""Agreement between annotators beyond what chance would give."""

from collections.abc import Hashable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from measures.clusters import Floats, encode
from measures.errors import NoData

Level = Literal["nominal", "ordinal", "interval", "ratio"]


def cohen_kappa(first: Sequence[Hashable], second: Sequence[Hashable]) -> float | None:
    """Agreement of two annotators on the same n items, corrected for chance.

    Cohen (1960), Educ. Psychol. Meas. 20(1), 37-46. None when both used one and the same label throughout: chance
    agreement is then 1 and kappa is 0/0. Errors: NoData for no items; ValueError for uneven lengths.
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} labels against {len(second)}")
    if not first:
        raise NoData("no items labelled by both")
    codes, count = encode([*first, *second])
    table = np.zeros((count, count))
    np.add.at(table, (codes[: len(first)], codes[len(first) :]), 1 / len(first))
    return _beyond_chance(float(np.trace(table)), float(table.sum(axis=1) @ table.sum(axis=0)))


def fleiss_kappa(counts: ArrayLike) -> float | None:
    """Agreement of any annotators, the same number m >= 2 per item; counts (items, classes), rows summing to m.

    Fleiss (1971), Psychol. Bull. 76(5), 378-382. None when one class took every vote.
    Errors: NoData for no items; ValueError for unequal row sums (use krippendorff_alpha) or m < 2.
    """
    table = np.asarray(counts, dtype=float)
    if table.size == 0:
        raise NoData("no items")
    votes = table.sum(axis=1)
    if votes[0] < 2 or not (votes == votes[0]).all():
        raise ValueError("every item needs the same number of ratings, at least two")
    m = votes[0]
    observed = ((table**2).sum(axis=1) - m) / (m * (m - 1))
    return _beyond_chance(float(observed.mean()), float(((table.sum(axis=0) / table.sum()) ** 2).sum()))


def krippendorff_alpha(ratings: Sequence[Sequence[Any]], *, level: Level) -> float | None:
    """Agreement of any number of annotators with missing ratings: one row per annotator, one column per item.

    Krippendorff (2011), "Computing Krippendorff's alpha-reliability". None or NaN is a missing rating. Nominal
    labels may be anything hashable; ordinal, interval and ratio need numbers (ordinal uses only their order).
    None when every paired rating is the same value: there is no variation to be reliable about.
    Errors: NoData when no item has two ratings; ValueError for uneven rows or a negative ratio value.
    """
    if len({len(row) for row in ratings}) > 1:
        raise ValueError("every annotator needs one entry per item")
    units = [[v for v in column if not _missing(v)] for column in zip(*ratings, strict=True)]
    paired = [unit for unit in units if len(unit) > 1]
    if not paired:
        raise NoData("no item was rated twice")
    values = _distinct([v for unit in paired for v in unit], level)
    coincidences = _coincidences(paired, values)
    totals = coincidences.sum(axis=1)
    distance = _distance(values, totals, level)
    expected = float(totals @ distance @ totals) / (totals.sum() - 1)
    return None if expected == 0 else 1 - float((coincidences * distance).sum()) / expected


def _beyond_chance(observed: float, expected: float) -> float | None:
    return None if 1 - expected < 1e-12 else (observed - expected) / (1 - expected)


def _missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and value != value)


def _distinct(values: Sequence[Any], level: Level) -> list[Any]:
    return list(dict.fromkeys(values)) if level == "nominal" else sorted(set(values))


def _coincidences(units: Sequence[Sequence[Any]], values: Sequence[Any]) -> Floats:
    """Values x values: ordered pairs within items, each item weighted by 1 / (ratings - 1)."""
    index = {value: i for i, value in enumerate(values)}
    counts = np.zeros((len(units), len(values)))
    for u, unit in enumerate(units):
        np.add.at(counts[u], [index[value] for value in unit], 1)
    weighted = counts / (counts.sum(axis=1, keepdims=True) - 1)
    pairs: Floats = weighted.T @ counts - np.diag(weighted.sum(axis=0))
    return pairs


def _distance(values: Sequence[Any], totals: Floats, level: Level) -> Floats:
    """Squared differences between values, by level of measurement; totals are the values' counts."""
    if level == "nominal":
        return 1 - np.eye(len(values))
    x = np.cumsum(totals) - totals / 2 if level == "ordinal" else np.asarray(values, dtype=float)
    difference = x[:, None] - x[None, :]
    if level != "ratio":
        return np.asarray(difference**2, dtype=float)
    if x.min() < 0:
        raise ValueError("ratio values cannot be negative")
    total = x[:, None] + x[None, :]
    return np.divide(difference, total, out=np.zeros_like(total), where=total > 0) ** 2
