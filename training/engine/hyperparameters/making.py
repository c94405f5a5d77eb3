"""What can be set where nothing is trained: bringing a model in, writing, measuring."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from training.engine.fields import setting
from training.engine.hyperparameters.shared import DTYPES, Problems


@dataclass(frozen=True)
class Import:
    source: dict[str, Any] = field(
        metadata={"help": "Where the base model comes from: kind and its keys, see SOURCE_KEYS."}
    )
    dtype: str = setting(
        "bfloat16",
        "Number format of the stored weights.",
        choices=("float32", "bfloat16"),
    )

    def check(self) -> Problems:
        kind = self.source.get("kind")
        if not all(isinstance(value, str) for value in self.source.values()):
            yield "source", "holds texts only"
            return
        if kind not in SOURCE_KEYS:
            yield "source", f"kind must be one of {', '.join(SOURCE_KEYS)}"
            return
        unknown = set(self.source) - {"kind"} - set(SOURCE_KEYS[kind])
        if unknown:
            yield (
                "source",
                f"{', '.join(sorted(unknown))} unknown for {kind}; known are {', '.join(SOURCE_KEYS[kind])}",
            )
        if self.source.get("family", TINY_FAMILIES[0]) not in TINY_FAMILIES:
            yield "source", f"family must be one of {', '.join(TINY_FAMILIES)}"
        if kind in ("hub", "path") and not self.source.get("id" if kind == "hub" else "path"):
            yield "source", f"{kind} needs {'id' if kind == 'hub' else 'path'}"


SOURCE_KEYS: dict[str, tuple[str, ...]] = {
    "auto": ("id", "revision"),
    "hub": ("id", "revision"),
    "wheel": (),
    "path": ("path",),
    "tiny": ("family",),
}
TINY_FAMILIES = ("causal", "encoder", "seq2seq")


@dataclass(frozen=True)
class Sampling:
    """All of them are stated and recorded; nothing is left to the model's own generation_config."""

    max_new_tokens: int = setting(40, "Longest completion, in tokens.", minimum=1)
    temperature: float = setting(1.0, "Logits are divided by it before sampling.", above=0.0)
    top_p: float = setting(0.95, "Nucleus: smallest set of tokens with this mass.", above=0.0, maximum=1.0)
    top_k: int = setting(0, "Only the k likeliest tokens; 0 means all.", minimum=0)
    max_prompt_tokens: int = setting(1024, "Longer prompts are dropped and counted, never cut.", minimum=1)
    batch_size: int = setting(
        32,
        "Completions written at once. Larger is faster and needs more memory.",
        minimum=1,
    )
    dtype: str = setting(
        "auto",
        "auto: bfloat16 where the processor has it, else float32.",
        choices=DTYPES,
    )


@dataclass(frozen=True)
class Generate(Sampling):
    samples_per_prompt: int = setting(2, "Completions written for every prompt.", minimum=1)
    max_redraws: int = setting(
        4,
        "Times an identical second completion is drawn again; 0 keeps duplicates.",
        minimum=0,
    )

    def check(self) -> Problems:
        if self.samples_per_prompt > self.batch_size:
            yield "batch_size", "must be at least samples_per_prompt"
        if self.top_k == 1 and self.samples_per_prompt > 1:
            yield "top_k", "1 is greedy: all completions of a prompt would be identical"


@dataclass(frozen=True)
class Evaluate(Sampling):
    samples_per_prompt: int = setting(1, "Completions of policy and of baseline for every held-out prompt.", minimum=1)
    max_length: int = setting(1024, "Longer pairs are not scored; they are counted.", minimum=8)

    def check(self) -> Problems:
        if self.samples_per_prompt > self.batch_size:
            yield "batch_size", "must be at least samples_per_prompt"
