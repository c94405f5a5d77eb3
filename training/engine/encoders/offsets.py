"""Spans of code points to tags of tokens, and back. Pure; standard library only.

Tags are IOB2 (Ramshaw and Marcus 1995): 0 is outside, 1 + 2k begins a span of label k, 2 + 2k goes on with it. A span whose ends
are ends of tokens comes back exactly, beside another of its own label too. One whose ends lie inside tokens, or on white
space, comes back as the tokens it touches; `Tagged` counts them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

OUTSIDE = 0
Offset = tuple[int, int]
Span = tuple[int, int, int]
"""Start and end in code points, the end left out, and the number of the label."""


@dataclass(frozen=True)
class Tagged:
    """`moved` spans get other ends from their tokens, `lost` ones lie in others or touch no token at all."""

    tags: list[int]
    moved: int
    lost: int


def begins(label: int) -> int:
    return 1 + 2 * label


def inside(label: int) -> int:
    return 2 + 2 * label


def tag_names(labels: Sequence[str]) -> list[str]:
    return ["O", *(f"{prefix}-{label}" for label in labels for prefix in "BI")]


def tags_of(offsets: Sequence[Offset], spans: Sequence[Span]) -> Tagged:
    """A tag for each token. `offsets` rise; a token without characters (one that opens or closes the text) is outside.

    A token has one tag, so of spans that share a token the longest is kept, of equal ones the first.
    """
    tags = [OUTSIDE] * len(offsets)
    moved = lost = 0
    for start, end, label in sorted(set(spans), key=lambda span: (span[0] - span[1], span)):
        touched = [at for at, (left, right) in enumerate(offsets) if left < right and left < end and right > start]
        if not touched or any(tags[at] != OUTSIDE for at in touched):
            lost += 1
            continue
        tags[touched[0]] = begins(label)
        for at in touched[1:]:
            tags[at] = inside(label)
        moved += (offsets[touched[0]][0], offsets[touched[-1]][1]) != (start, end)
    return Tagged(tags, moved, lost)


def spans_of(offsets: Sequence[Offset], tags: Sequence[int]) -> list[tuple[Span, list[int]]]:
    """The spans that tags tell, each with its tokens. A tag that goes on with nothing of its label begins a span.

    A token that shares a character with the one before (bytes of one letter) goes along with it: spans never overlap.
    """
    found: list[tuple[Span, list[int]]] = []
    open_label, reached = None, 0
    for at, ((left, right), tag) in enumerate(zip(offsets, tags, strict=True)):
        if left >= right:
            continue
        label = (tag - 1) // 2 if tag != OUTSIDE else None
        if left < reached:
            label, tag = open_label, OUTSIDE if open_label is None else inside(open_label)
        reached = max(reached, right)
        if label is None:
            open_label = None
        elif label == open_label and tag == inside(label):
            (start, _end, _label), tokens = found[-1]
            found[-1] = ((start, reached, label), [*tokens, at])
        else:
            found.append(((left, right, label), [at]))
            open_label = label
    return found


def windows(length: int, size: int, shared: int) -> list[tuple[int, int]]:
    """Pieces of at most `size` tokens that cover `length`, neighbours sharing `shared`; the last one is moved back to be full."""
    if length <= size:
        return [(0, length)]
    step = size - shared
    starts = [*range(0, length - size, step), length - size]
    return [(start, start + size) for start in starts]


def best_window(token: int, pieces: Sequence[tuple[int, int]]) -> int:
    """The piece in which a token has most context on its poorer side; the ends of the text are no lack of it."""
    last = pieces[-1][1]

    def context(number: int) -> tuple[int, int]:
        start, end = pieces[number]
        left = last if start == 0 else token - start
        right = last if end == last else end - 1 - token
        return min(left, right), -number

    return max((number for number, (start, end) in enumerate(pieces) if start <= token < end), key=context)
