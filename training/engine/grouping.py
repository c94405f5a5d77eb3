"""Pairs as methods count them: those of one prompt together (reward models), or each completion once (KTO). Without torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from training.engine.pairs import Pair
from training.engine.rows import Encoded

Ids = tuple[int, ...]


@dataclass
class Element:
    """Completions of one prompt, each once, and the pairs among them: (place of chosen, of rejected, share, margin)."""

    sides: dict[Ids, int] = field(default_factory=dict)
    pairs: list[tuple[int, int, float, float]] = field(default_factory=list)

    def add(self, pair: Pair) -> None:
        chosen, rejected = (self.sides.setdefault(ids, len(self.sides)) for ids in sides_of(pair))
        self.pairs.append((chosen, rejected, pair.share, pair.margin))

    def row(self) -> dict[str, Any]:
        left, right, shares, margins = zip(*self.pairs, strict=True)
        return {
            "sides": list(map(list, self.sides)),
            "left": left,
            "right": right,
            "shares": shares,
            "margins": margins,
        }


def sides_of(pair: Pair) -> tuple[Ids, Ids]:
    chosen, rejected = ((*side.prompt, *side.completion) for side in (pair.chosen, pair.rejected))
    return chosen, rejected


def elements(pairs: Iterable[Pair], most: int) -> list[Element]:
    """Pairs of one prompt together, at most `most` completions each, in order of first sight.

    A completion of K - 1 pairs would otherwise be passed K - 1 times an epoch, and a reward model overfits in the
    first (Ouyang et al. 2022, 3.5).
    """
    found: list[Element] = []
    latest: dict[Ids, Element] = {}
    for pair in pairs:
        prompt = tuple(pair.chosen.prompt)
        element = latest.get(prompt)
        if element is None or len({*element.sides, *sides_of(pair)}) > most:
            element = latest[prompt] = Element()
            found.append(element)
        element.add(pair)
    return found


@dataclass(frozen=True)
class Judged:
    """A completion with whether it is desirable."""

    row: Encoded
    desirable: bool


def unpaired(pairs: Iterable[Pair]) -> tuple[list[Judged], int]:
    """Each completion of a prompt once: desirable where more votes chose it than rejected it.

    A ranking puts its middle on both sides of pairs; what won and lost alike says nothing and is counted.
    """
    votes: dict[tuple[tuple[int, ...], tuple[int, ...]], float] = {}
    rows: dict[tuple[tuple[int, ...], tuple[int, ...]], Encoded] = {}
    for pair in pairs:
        for row, vote in ((pair.chosen, pair.share), (pair.rejected, -pair.share)):
            key = (tuple(row.prompt), tuple(row.completion))
            votes[key] = votes.get(key, 0.0) + vote
            rows[key] = row
    judged = [Judged(rows[key], vote > 0) for key, vote in votes.items() if abs(vote) > 1e-9]
    return judged, len(votes) - len(judged)
