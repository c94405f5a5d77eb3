"""Preference pairs as token ids, for reward models and DPO alike."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from training.engine.context import Context
from training.engine.errors import EngineError
from training.engine.files import JSON
from training.engine.rows import Encoded, encode, fitting


@dataclass(frozen=True)
class Pair:
    """`share` of the votes on the pair that the chosen side has; `margin` by which it should lead, where rows say so."""

    id: str
    chosen: Encoded
    rejected: Encoded
    share: float = 1.0
    margin: float = 0.0


def encode_pairs(tokenizer: Any, rows: list[JSON]) -> list[Pair]:
    return [
        Pair(
            row["id"],
            encode(tokenizer, row["prompt"], row["chosen"]),
            encode(tokenizer, row["prompt"], row["rejected"]),
            share_of(row),
            _number(row, "margin", 0.0),
        )
        for row in rows
    ]


def share_of(row: JSON) -> float:
    """A snapshot divides the weight of a ranking's pairs by their number: a trainer that groups them does that itself."""
    return _number(row, "weight", 1.0) * _number(row, "group_size", 1.0)


def _number(row: JSON, name: str, default: float) -> float:
    value = row.get(name, default)
    if not isinstance(value, int | float) or isinstance(value, bool) or value < 0:
        raise EngineError(
            "bad_row",
            f"Row {row['id']}: {name} must be a number of at least 0, not {value!r}.",
            "Correct the row and freeze the snapshot again.",
        )
    return float(value)


def within(pairs: list[Pair], limit: int, overlong: str) -> tuple[list[Pair], dict[str, int]]:
    """Pairs whose two sides have at most `limit` tokens, with counts; a pair goes when either side goes."""
    kept, truncated = [], 0
    for pair in pairs:
        chosen, rejected = (fitting(side, limit, overlong) for side in (pair.chosen, pair.rejected))
        if chosen is not None and rejected is not None:
            kept.append(replace(pair, chosen=chosen, rejected=rejected))
            truncated += chosen is not pair.chosen or rejected is not pair.rejected
    return kept, {"rows": len(pairs), "rows_dropped": len(pairs) - len(kept), "rows_truncated": truncated}


def training_pairs(context: Context, tokenizer: Any, *, weighted: bool = False) -> tuple[list[Pair], dict[str, int]]:
    """The train split within max_length. What the rows say and the loss will not use is counted and warned of."""
    settings = context.spec.hyperparameters
    pairs = encode_pairs(tokenizer, context.rows("train", "preference"))
    unused = 0 if weighted else sum(pair.share != 1 for pair in pairs)
    if unused:
        context.log.emit("warning", name="weights_not_used", rows=unused)
    kept, counts = within(pairs, settings.max_length, settings.overlong)
    return kept, {**counts, "rows_weight_not_used": unused}


def held_out_pairs(context: Context, tokenizer: Any) -> tuple[list[Pair], dict[str, int]]:
    """The test split; overlong pairs are left out and counted."""
    pairs = encode_pairs(tokenizer, context.rows("test", "preference"))
    return within(pairs, context.spec.hyperparameters.max_length, "drop")
