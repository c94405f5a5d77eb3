"""Rows as the token sequences a method will read, with the tokens it learns from. One row at a time: data may be large."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from training.engine.apart import cut, sides_of
from training.engine.encoders.offsets import windows
from training.engine.files import JSON
from training.engine.hyperparameters.encoders import overlap
from training.engine.rows import Encoded, encode, encode_prompt, fitting
from training.engine.turns import IGNORED, label, within


@dataclass(frozen=True)
class Sequence:
    """`learned` are the places in `ids` whose tokens enter the loss; `whole` is the length before anything was cut."""

    name: str
    ids: list[int]
    learned: Collection[int]
    prompt_length: int
    whole: int

    @property
    def is_cut(self) -> bool:
        return len(self.ids) < self.whole


@dataclass(frozen=True)
class Read:
    """A row as a run reads it. Dropped rows keep their sequences, uncut, so that one can see what was too long.

    `parts`: how many rows of a batch it becomes.
    """

    id: str
    kept: bool
    sequences: list[Sequence]
    parts: int = 1


Reader = Callable[[Any, JSON, Any], Read]


def demonstration(tokenizer: Any, row: JSON, settings: Any) -> Read:
    """Supervised fine-tuning: the assistant's replies are learned, each with its EOS."""
    whole = label(tokenizer, row, every_turn=settings.learn == "every_turn")
    kept, _counts = within([whole], settings.max_length, settings.overlong)
    shown = kept[0] if kept else whole
    learned = frozenset(place for place, value in enumerate(shown.labels) if value != IGNORED)
    return Read(
        row["id"], bool(kept), [Sequence("completion", shown.ids, learned, min(learned, default=0), len(whole))]
    )


def apart(tokenizer: Any, row: JSON, settings: Any) -> Read:
    """An encoder-decoder reads the prompt in one half and learns the answer in the other; max_length holds for each."""
    whole = sides_of(tokenizer, row)
    kept = max(map(len, whole)) <= settings.max_length or settings.overlong != "drop"
    source, answer = (cut(side, settings.max_length) if kept else side for side in whole)
    return Read(
        row["id"], kept,
        [
            Sequence("prompt", source, range(0), len(source), len(whole[0])),
            Sequence("completion", answer, range(len(answer)), 0, len(whole[1])),
        ],
    )  # fmt: skip


def raw(tokenizer: Any, row: JSON, settings: Any) -> Read:
    """Pre-training: every token of a text, and the EOS behind it. A text without tokens is left out."""
    ids = list(tokenizer(row["text"], add_special_tokens=False)["input_ids"])
    ended = [*ids, tokenizer.eos_token_id]
    return Read(row["id"], bool(ids), [Sequence("raw", ended, range(len(ended)), 0, len(ended))])


def direct(tokenizer: Any, row: JSON, settings: Any) -> Read:
    """DPO: the log-probabilities of both completions."""
    return _fitted(row, _sides(tokenizer, row), settings, _completion)


def scored(tokenizer: Any, row: JSON, settings: Any) -> Read:
    """A reward model reads its score at the last token."""
    return _fitted(row, _sides(tokenizer, row), settings, _last)


def prompted(tokenizer: Any, row: JSON, settings: Any) -> Read:
    """Methods that write their own completions: only the prompt is known, and nothing of it is learned."""
    ids = encode_prompt(tokenizer, row["messages"])
    kept = len(ids) + settings.max_new_tokens <= settings.max_length
    return Read(row["id"], kept, [Sequence("prompt", ids, range(0), len(ids), len(ids))])


def windowed(tokenizer: Any, row: JSON, settings: Any) -> Read:
    """Classifying and tagging: the text, with the tokens that open and close it. A tagger reads a long one in windows."""
    whole = tokenizer(row["text"])["input_ids"]
    ids, kept = whole, len(whole) <= settings.max_length or settings.overlong != "drop"
    if kept and settings.overlong == "truncate":
        ids = tokenizer(row["text"], truncation=True, max_length=settings.max_length)["input_ids"]
    tagged = "spans" in row["holds"]
    learned = range(len(ids)) if tagged else range(0)
    read = Sequence("text", list(ids), learned, 0, len(whole))
    return Read(row["id"], kept, [read], _windows(tokenizer, len(whole), settings) if tagged else 1)


def _windows(tokenizer: Any, length: int, settings: Any) -> int:
    """How many windows a tagger reads of a text that has so many tokens with those that open and close it."""
    around = int(tokenizer.num_special_tokens_to_add())
    return len(windows(length - around, settings.max_length - around, overlap(settings)))


READERS: dict[str, tuple[str, str, Reader]] = {
    "sft": ("train", "sft", demonstration),
    "reward": ("train", "preference", scored),
    "dpo": ("train", "preference", direct),
    "kto": ("train", "preference", direct),
    "classify": ("train", "labels", windowed),
    "tag": ("train", "spans", windowed),
    "ppo": ("prompts", "prompts", prompted),
    "grpo": ("prompts", "prompts", prompted),
    "rloo": ("prompts", "prompts", prompted),
    "pretrain": ("texts", "texts", raw),
}
"""Method → the role of the file it learns from, the kind of its rows (`rows.ROW_KEYS`), and how one is read."""


def _sides(tokenizer: Any, row: JSON) -> dict[str, Encoded]:
    return {name: encode(tokenizer, row["prompt"], row[name]) for name in ("chosen", "rejected")}


def _fitted(row: JSON, sides: dict[str, Encoded], settings: Any, learned: Callable[[Encoded], range]) -> Read:
    fitted = {name: fitting(side, settings.max_length, settings.overlong) for name, side in sides.items()}
    kept = all(side is not None for side in fitted.values())
    return Read(
        row["id"], kept, [_sequence(name, fitted[name] if kept else side, len(side), learned) for name, side in sides.items()]
    )  # fmt: skip


def _sequence(name: str, side: Encoded | None, whole: int, learned: Callable[[Encoded], range]) -> Sequence:
    assert side is not None
    return Sequence(name, side.prompt + side.completion, learned(side), len(side.prompt), whole)


def _completion(side: Encoded) -> range:
    return range(len(side.prompt), len(side))


def _last(side: Encoded) -> range:
    return range(len(side) - 1, len(side))
