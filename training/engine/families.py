"""The two families of models that write: in one sequence after the prompt, or with a decoder beside an encoder that read it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.engine import models
from training.engine.apart import encode_source, reads_apart
from training.engine.files import JSON
from training.engine.rows import encode_prompt


@dataclass(frozen=True)
class Family:
    """How a model and its tokenizer are loaded, and what of a prompt it reads."""

    name: str
    tokenizer: Callable[[Path], Any]
    network: Callable[[Path, Any], Any]
    prompt: Callable[[Any, list[JSON]], list[int]]


CAUSAL = Family("causal", models.load_tokenizer, models.load_causal, encode_prompt)
SEQ2SEQ = Family("seq2seq", models.load_plain_tokenizer, models.load_seq2seq, encode_source)


def family_of(path: Path) -> Family:
    return SEQ2SEQ if reads_apart(path) else CAUSAL
