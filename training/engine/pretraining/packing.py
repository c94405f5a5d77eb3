"""Which texts are learned, and texts as rows of tokens. Pure; standard library only."""

from __future__ import annotations

import random
from collections.abc import Sequence


def rows_of(texts: Sequence[list[int]], length: int, eos: int, packing: bool) -> tuple[list[list[int]], dict[str, int]]:
    """Rows of at most `length` tokens with every token once, each text behind the EOS of the one before (Brown et al. 2020).

    With `packing` all rows but the last are full; without it each text begins a row. Empty texts are dropped.
    """
    ended = [[*text, eos] for text in texts if text]
    streams = [[token for text in ended for token in text]] if packing else ended
    rows = [stream[at : at + length] for stream in streams for at in range(0, len(stream), length)]
    # A row of one token teaches nothing: there is no token before it.
    kept = [row for row in rows if len(row) > 1]
    return kept, {
        "rows": len(texts),
        "rows_dropped": len(texts) - len(ended),
        "rows_truncated": 0,
        "packed_rows": len(kept),
        "train_tokens": sum(map(len, kept)),
    }


def row_lengths(texts: Sequence[int], length: int, packing: bool) -> list[int]:
    """Lengths of the rows that `rows_of` makes of texts of so many tokens."""
    ended = [tokens + 1 for tokens in texts if tokens]
    streams = [sum(ended)] if packing else ended
    pieces = [min(length, tokens - at) for tokens in streams for at in range(0, tokens, length)]
    return [piece for piece in pieces if piece > 1]


def split(texts: Sequence[str], share: float, seed: int) -> tuple[list[str], list[str]]:
    """Texts to learn and texts kept out, drawn by the seed; texts that are the same stand on one side. One is always learned."""
    once = list(dict.fromkeys(texts))
    out = random.Random(seed).sample(once, min(len(once) - 1, round(share * len(once))))  # noqa: S311  no secret
    kept_out = set(out)
    return [text for text in texts if text not in kept_out], [text for text in once if text in kept_out]
