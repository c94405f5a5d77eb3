"""What encoder-decoders read and write, as token ids: the prompt in one half, the answer in the other. Without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from training.engine.errors import EngineError
from training.engine.files import JSON
from training.engine.rows import token_ids


def reads_apart(path: Path) -> bool:
    """Whether the model has an encoder for the prompt and a decoder for the answer."""
    from transformers import AutoConfig

    return bool(AutoConfig.from_pretrained(path).is_encoder_decoder)


def refuse_what_does_nothing(settings: Any) -> None:
    """Settings of SFT that only language models know. Seen here first, because only the model's files tell its kind."""
    given = {
        "packing": settings.packing,
        "learn": settings.learn != "completion",
        "artifact": settings.artifact == "adapter",
    }
    for name in (name for name, is_given in given.items() if is_given):
        message = (
            f"{name} is for language models; an encoder-decoder reads each prompt by itself and is exported whole."
        )
        raise EngineError("not_for_seq2seq", message, f"Leave {name} at its default.")


def encoded(tokenizer: Any, rows: list[JSON], settings: Any) -> tuple[list[JSON], dict[str, int]]:
    """Source and target ids, each of at most max_length tokens and each with its EOS, also where its end was cut."""
    kept, truncated = [], 0
    for row in rows:
        sides = sides_of(tokenizer, row)
        if max(map(len, sides)) > settings.max_length:
            if settings.overlong == "drop":
                continue
            truncated += 1
            sides = [cut(side, settings.max_length) for side in sides]
        kept.append({"input_ids": sides[0], "labels": sides[1]})
    return kept, {"rows": len(rows), "rows_dropped": len(rows) - len(kept), "rows_truncated": truncated}


def sides_of(tokenizer: Any, row: JSON) -> list[list[int]]:
    """Ids of the prompt and of the answer, uncut."""
    return [encode_source(tokenizer, row["prompt"]), with_end(tokenizer, said(row["completion"]))]


def encode_source(tokenizer: Any, messages: list[JSON]) -> list[int]:
    return with_end(tokenizer, source(tokenizer, messages))


def source(tokenizer: Any, messages: list[JSON]) -> str:
    """Through the model's chat template where it has one. Else the words themselves: T5 was taught tasks, not turns."""
    if tokenizer.chat_template:
        return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
    if len(messages) == 1:
        return str(messages[0]["content"])
    return "\n".join(f"{message['role']}: {message['content']}" for message in messages)


def said(completion: list[JSON]) -> str:
    return "\n".join(message["content"] for message in completion if message["role"] == "assistant")


def with_end(tokenizer: Any, text: str) -> list[int]:
    return [*token_ids(tokenizer, text), tokenizer.eos_token_id]


def cut(ids: list[int], length: int) -> list[int]:
    return ids if len(ids) <= length else [*ids[: length - 1], ids[-1]]
