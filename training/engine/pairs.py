"""Preference pairs as token ids, for reward models and DPO alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from training.engine.context import Context
from training.engine.files import JSON
from training.engine.rows import Encoded, encode, fitting


@dataclass(frozen=True)
class Pair:
    id: str
    chosen: Encoded
    rejected: Encoded


def encode_pairs(tokenizer: Any, rows: list[JSON]) -> list[Pair]:
    return [
        Pair(
            row["id"],
            encode(tokenizer, row["prompt"], row["chosen"]),
            encode(tokenizer, row["prompt"], row["rejected"]),
        )
        for row in rows
    ]


def within(pairs: list[Pair], limit: int, overlong: str) -> tuple[list[Pair], dict[str, int]]:
    """Pairs whose two sides have at most `limit` tokens, with counts; a pair goes when either side goes."""
    kept, truncated = [], 0
    for pair in pairs:
        chosen, rejected = (fitting(side, limit, overlong) for side in (pair.chosen, pair.rejected))
        if chosen is not None and rejected is not None:
            kept.append(Pair(pair.id, chosen, rejected))
            truncated += chosen is not pair.chosen or rejected is not pair.rejected
    return kept, {"rows": len(pairs), "rows_dropped": len(pairs) - len(kept), "rows_truncated": truncated}


def training_pairs(context: Context, tokenizer: Any) -> tuple[list[Pair], dict[str, int]]:
    """The train split within max_length. Pair weights are not part of either loss; say so rather than drop them."""
    settings = context.spec.hyperparameters
    rows = context.rows("train", "preference")
    weighted = sum(row.get("weight", 1) != 1 for row in rows)
    if weighted:
        context.log.emit("warning", name="weights_not_used", rows=weighted)
    kept, counts = within(encode_pairs(tokenizer, rows), settings.max_length, settings.overlong)
    return kept, {**counts, "rows_weight_not_used": weighted}
