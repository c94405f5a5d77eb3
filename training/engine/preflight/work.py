"""How much a run reads: rows as its trainer counts them, which are not always lines of the file. Standard library only."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence as Many
from dataclasses import dataclass, field

from training.engine.files import JSON
from training.engine.grouping import elements, unpaired
from training.engine.pairs import Pair, share_of
from training.engine.preflight.estimate import Work
from training.engine.preflight.sequences import Read, Sequence
from training.engine.pretraining.packing import row_lengths
from training.engine.rows import Encoded
from training.engine.spec import Spec

PACKED_AT_ONCE = 1000
"""Rows that the trainer's library packs with each other."""


@dataclass
class Reading:
    """Fed with every kept row. Of tokens it keeps numbers alone, of pairs a number for each side."""

    spec: Spec
    parts: int = 0
    lengths: list[int] = field(default_factory=list)
    sources: list[int] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)
    sizes: dict[int, int] = field(default_factory=dict)

    def add(self, row: JSON, read: Read, *, is_apart: bool) -> None:
        self.parts += read.parts
        sequences = read.sequences
        if is_apart:
            self.sources.append(len(sequences[0].ids))
            sequences = sequences[1:]
        self.lengths += [len(one.ids) for one in sequences]
        if sequences[0].name == "chosen":
            chosen, rejected = map(self._numbered, sequences)
            self.pairs.append(Pair(read.id, chosen, rejected, share_of(row)))

    def _numbered(self, one: Sequence) -> Encoded:
        """The sequence with a number in the place of its prompt and one in that of its completion."""
        prompt, completion = (
            hash(tuple(part)) for part in (one.ids[: one.prompt_length], one.ids[one.prompt_length :])
        )
        self.sizes[hash((prompt, completion))] = len(one.ids)
        return Encoded([prompt], [completion])

    def work(self) -> Work:
        settings, method = self.spec.hyperparameters, self.spec.method
        if "prompts" in self.spec.data:
            # What is written counts as the longest it may be.
            lengths = [length + settings.max_new_tokens for length in self.lengths]
            return Work(len(lengths), sum(lengths), max(lengths), 1)
        if method == "reward":
            found = elements(self.pairs, settings.group_size)
            lengths = [self._size(side) for one in found for side in one.sides]
            return Work(len(found), sum(lengths), max(lengths), max(len(one.sides) for one in found))
        if method == "kto":
            judged, _ = unpaired(self.pairs)
            lengths = [self._size((*one.row.prompt, *one.row.completion)) for one in judged]
            return Work(len(lengths), sum(lengths), max(lengths, default=0), 1)
        if method == "pretrain":
            return _of_rows(row_lengths([tokens - 1 for tokens in self.lengths], settings.max_length, settings.packing))
        if getattr(settings, "packing", False):
            return _of_rows(packed(self.lengths, settings.max_length))
        sides = 2 if self.pairs else 1
        longest = min(max(self.lengths), settings.max_length)
        source = (sum(self.sources), max(self.sources, default=0))
        return Work(self.parts, sum(self.lengths), longest, sides, *source)

    def _size(self, ids: tuple[int, ...]) -> int:
        return self.sizes[hash(ids)]


def _of_rows(lengths: Many[int]) -> Work:
    return Work(len(lengths), sum(lengths), max(lengths, default=0), 1)


def packed(lengths: Many[int], size: int) -> list[int]:
    """Tokens in each row where rows of `lengths` are packed by best fit decreasing (Ding et al. 2024), as the trainer does it."""
    found: list[int] = []
    for at in range(0, len(lengths), PACKED_AT_ONCE):
        spaces: list[int] = []
        for length in sorted(lengths[at : at + PACKED_AT_ONCE], reverse=True):
            place = bisect_left(spaces, length)
            space = spaces.pop(place) if place < len(spaces) else size
            insort(spaces, space - length)
        found += [size - space for space in spaces]
    return found
