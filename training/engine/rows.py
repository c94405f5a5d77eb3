"""Rows of the frozen snapshot: read, checked, and turned into token ids the same way everywhere.

Always conversational: the chat template decides the text in training, in sampling and in scoring, so that a reward
model sees the same tokens for a completion in all three.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.engine.errors import EngineError
from training.engine.files import JSON, sha256_file
from training.engine.spec import DataRef

ROW_KEYS = {
    "sft": ("id", "prompt", "completion"),
    "preference": ("id", "prompt", "chosen", "rejected"),
    "prompts": ("id", "messages"),
    "labels": ("id", "question", "options", "text", "holds"),
    "spans": ("id", "question", "options", "text", "holds"),
    "texts": ("id", "text"),
}


@dataclass(frozen=True)
class Encoded:
    """Token ids of a prompt (with the generation prompt) and of a completion that ends with its EOS."""

    prompt: list[int]
    completion: list[int]

    def __len__(self) -> int:
        return len(self.prompt) + len(self.completion)


def read_rows(root: Path, ref: DataRef, kind: str) -> list[JSON]:
    """Rows of one data file, in order; the digest and every row are checked before any work starts."""
    path = root / ref.path
    if not path.is_file():
        raise EngineError(
            "missing_data",
            f"{ref.path} is not in the run directory.",
            "Stage the data again.",
        )
    if ref.sha256 and sha256_file(path) != ref.sha256.removeprefix("sha256:"):
        raise EngineError(
            "changed_data",
            f"{ref.path} differs from its digest.",
            "Stage the frozen snapshot again.",
        )
    with path.open(encoding="utf-8") as stream:
        rows = [_row(line, number, ref.path, kind) for number, line in enumerate(stream, 1) if line.strip()]
    if not rows:
        raise EngineError(
            "empty_data",
            f"{ref.path} has no rows.",
            "Freeze a snapshot that has rows in this split.",
        )
    if ref.rows is not None and ref.rows != len(rows):
        raise EngineError(
            "changed_data",
            f"{ref.path} has {len(rows)} rows, not {ref.rows}.",
            "Stage the data again.",
        )
    return rows


def _row(line: str, number: int, name: str, kind: str) -> JSON:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise _bad(name, number, f"is not JSON ({error})") from error
    if not isinstance(row, dict):
        raise _bad(name, number, "is not an object")
    for key in ROW_KEYS[kind]:
        problem = _problem(row.get(key), key)
        if problem:
            raise _bad(name, number, f"{key} {problem}")
    return row


def _problem(value: Any, key: str) -> str | None:
    if key in ("id", "question"):
        return None if isinstance(value, str) and value else "must be a text"
    if key == "text":
        return None if isinstance(value, str) else "must be a text"
    if key == "options":
        return None if _are_texts(value) else "must be a list of texts"
    if key == "holds":
        return None if value is None or isinstance(value, dict) else "must be an object or null"
    return _problem_of_messages(value)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _problem_of_messages(value: Any) -> str | None:
    if not isinstance(value, list) or not value:
        return "must be a list of messages"
    for message in value:
        if not isinstance(message, dict) or not all(isinstance(message.get(part), str) for part in ("role", "content")):
            return "has a message without role and content"
    return None


def _bad(name: str, number: int, problem: str) -> EngineError:
    return EngineError(
        "bad_row",
        f"{name} line {number}: {problem}.",
        "Correct the row and freeze the snapshot again.",
    )


def encode_prompt(tokenizer: Any, messages: list[JSON]) -> list[int]:
    return token_ids(tokenizer, render(tokenizer, messages, True))


def encode(tokenizer: Any, prompt: list[JSON], completion: list[JSON]) -> Encoded:
    """Ids of prompt and completion, tokenized apart so that the boundary is where sampling had it."""
    head = render(tokenizer, prompt, True)
    tail = appended(head, render(tokenizer, [*prompt, *completion], False))
    return Encoded(token_ids(tokenizer, head), ending_in_eos(token_ids(tokenizer, tail), tokenizer.eos_token_id))


def appended(head: str, whole: str) -> str:
    """What the template wrote after `head`; sampling starts there, so it must not have changed what stands before."""
    if not whole.startswith(head):
        raise EngineError(
            "chat_template",
            "The chat template writes a different prompt when a completion follows.",
            "Use a chat template that only appends.",
        )
    return whole[len(head) :]


def fitting(row: Encoded, limit: int, overlong: str) -> Encoded | None:
    """The row itself, the row with its end cut off (its EOS too), or None when it is dropped."""
    if len(row) <= limit:
        return row
    if overlong == "drop" or len(row.prompt) >= limit:
        return None
    return Encoded(row.prompt, row.completion[: limit - len(row.prompt)])


def ending_in_eos(ids: list[int], eos: int) -> list[int]:
    """Cut what a template writes after the last EOS (ChatML: a newline), or add the EOS it does not write."""
    if eos not in ids:
        return [*ids, eos]
    return ids[: len(ids) - ids[::-1].index(eos)]


def render(tokenizer: Any, messages: list[JSON], generation_prompt: bool) -> str:
    plain = [{"role": message["role"], "content": message["content"]} for message in messages]
    return str(tokenizer.apply_chat_template(plain, tokenize=False, add_generation_prompt=generation_prompt))


def token_ids(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])
