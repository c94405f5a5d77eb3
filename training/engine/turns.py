"""Conversations as token ids and labels: the assistant's words are learned, what others said is only read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from training.engine.errors import EngineError
from training.engine.files import JSON
from training.engine.rows import appended, ending_in_eos, render, token_ids

IGNORED = -100
"""The label that cross-entropy skips."""


@dataclass(frozen=True)
class Labelled:
    """Token ids of a conversation, and for each the label to predict there: the token itself, or IGNORED."""

    ids: list[int]
    labels: list[int]

    def __len__(self) -> int:
        return len(self.ids)


def label(tokenizer: Any, row: JSON, *, every_turn: bool) -> Labelled:
    """The conversation of `row`, up to its last learned reply. Each learned reply ends in the EOS that ends it in sampling.

    Learned are the assistant's messages of the completion; with `every_turn` those of the prompt too. Every reply is
    tokenized apart from what stands before it, as sampling would have it. EngineError when there is none.
    """
    messages = [*row["prompt"], *row["completion"]]
    first = 0 if every_turn else len(row["prompt"])
    ids: list[int] = []
    labels: list[int] = []
    done = ""
    for place in range(first, len(messages)):
        if messages[place]["role"] != "assistant":
            continue
        head = render(tokenizer, messages[:place], True)
        context = token_ids(tokenizer, appended(done, head))
        reply = _through_eos(tokenizer, appended(head, render(tokenizer, messages[: place + 1], False)))
        learned = ending_in_eos(token_ids(tokenizer, reply), tokenizer.eos_token_id)
        ids += context + learned
        labels += [IGNORED] * len(context) + learned
        done = head + reply
        if place + 1 < len(messages) and not reply.endswith(tokenizer.eos_token):
            raise EngineError(
                "chat_template",
                "The chat template ends a reply without the EOS token, so replies before the last one cannot be learned.",
                "Use a chat template that ends every reply with EOS, or rows with one reply each.",
            )
    if not ids:
        raise EngineError(
            "bad_row",
            f"Row {row['id']} has no assistant message to learn.",
            "Give its completion the role assistant.",
        )
    return Labelled(ids, labels)


def _through_eos(tokenizer: Any, text: str) -> str:
    """Without what a template writes after the last EOS (ChatML: a newline): it belongs to the next turn."""
    cut = text.rfind(tokenizer.eos_token)
    return text if cut < 0 else text[: cut + len(tokenizer.eos_token)]


def within(rows: list[Labelled], limit: int, overlong: str) -> tuple[list[Labelled], dict[str, int]]:
    """Rows of at most `limit` tokens, and how many were dropped or cut (the last EOS with the end).

    A row that would have nothing left to learn is dropped.
    """
    kept, truncated = [], 0
    for row in rows:
        if len(row) <= limit:
            kept.append(row)
        elif overlong == "truncate" and set(row.labels[:limit]) != {IGNORED}:
            kept.append(Labelled(row.ids[:limit], row.labels[:limit]))
            truncated += 1
    return kept, {"rows": len(rows), "rows_dropped": len(rows) - len(kept), "rows_truncated": truncated}
