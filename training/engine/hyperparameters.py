"""Settings of every method, with their defaults and why. Standard library only.

A setting that would silently do nothing is refused by `check`, because a person who set it believes it did something.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from training.engine.fields import setting

Problems = Iterator[tuple[str, str]]
DTYPES = ("auto", "float32", "bfloat16")
DPO_LOSSES = ("sigmoid", "robust", "ipo", "hinge", "sigmoid_norm")


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
        if kind in ("hub", "path") and not self.source.get("id" if kind == "hub" else "path"):
            yield "source", f"{kind} needs {'id' if kind == 'hub' else 'path'}"


SOURCE_KEYS: dict[str, tuple[str, ...]] = {
    "auto": ("id", "revision"),
    "hub": ("id", "revision"),
    "wheel": (),
    "path": ("path",),
    "tiny": (),
}


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


@dataclass(frozen=True)
class Train:
    """Shared by sft, reward and dpo. `learning_rate` and `epochs` default by method, see `resolved`."""

    learning_rate: float | None = setting(None, "Peak; null takes the method's default.", above=0.0)
    epochs: float | None = setting(None, "Passes over the rows; null with null max_steps means 2.", above=0.0)
    max_steps: int | None = setting(None, "Optimizer steps instead of epochs.", minimum=1)
    batch_size: int = setting(8, "Rows per optimizer step, over all processes.", minimum=1)
    micro_batch_size: int | None = setting(None, "Rows per process and forward pass; null: no accumulation.", minimum=1)
    max_length: int = setting(512, "Prompt and completion together, in tokens.", minimum=8)
    overlong: str = setting(
        "drop",
        "Rows over max_length: drop, or truncate (loses the end).",
        choices=("drop", "truncate"),
    )
    warmup_ratio: float = setting(
        0.1,
        "Part of the steps in which the learning rate rises.",
        minimum=0.0,
        maximum=0.9,
    )
    lr_scheduler: str = setting(
        "linear",
        "Shape after warm-up.",
        choices=("linear", "cosine", "constant_with_warmup", "constant"),
    )
    weight_decay: float = setting(0.0, "Decoupled weight decay.", minimum=0.0)
    max_grad_norm: float = setting(1.0, "Gradients are clipped to this norm.", above=0.0)
    dtype: str = setting(
        "auto",
        "auto: bfloat16 where the processor has it, else float32.",
        choices=DTYPES,
    )
    activation_checkpointing: bool = setting(False, "Less memory for about 20 % more time.")
    lora_r: int = setting(
        16,
        "Rank of the adapters on all linear layers; 0 trains every weight.",
        minimum=0,
    )
    lora_alpha: int | None = setting(None, "Scale; null means twice lora_r.", minimum=1)
    lora_dropout: float = setting(0.0, "Dropout inside the adapters.", minimum=0.0, maximum=0.9)
    export_dtype: str = setting("auto", "Stored weights; auto keeps the base model's format.", choices=DTYPES)

    def check(self) -> Problems:
        if self.epochs is not None and self.max_steps is not None:
            yield "epochs", "does nothing when max_steps is set; set one of them"
        if self.lora_r == 0 and self.lora_alpha is not None:
            yield "lora_alpha", "does nothing when lora_r is 0"
        if self.lora_r == 0 and self.lora_dropout > 0:
            yield "lora_dropout", "does nothing when lora_r is 0"
        if self.lr_scheduler == "constant" and self.warmup_ratio > 0:
            yield (
                "warmup_ratio",
                "does nothing with the constant scheduler; use constant_with_warmup, or set 0",
            )


@dataclass(frozen=True)
class SFT(Train):
    """Loss on completion tokens only. Default learning rate 2e-4 with adapters, 2e-5 without."""


@dataclass(frozen=True)
class Reward(Train):
    """Bradley-Terry loss. Default learning rate 2e-4 with adapters, 1e-5 without."""

    center_rewards_coefficient: float = setting(
        0.01,
        "Pulls the mean reward of a pair to zero (Eisenstein et al. 2023); 0 turns it off.",
        minimum=0.0,
    )

    def check(self) -> Problems:
        yield from super().check()
        if self.overlong == "truncate":
            yield (
                "overlong",
                "a cut completion has no end to score; reward models drop overlong pairs",
            )


@dataclass(frozen=True)
class DPO(Train):
    """Rafailov et al. 2023. Default learning rate 2e-4 with adapters, 1e-6 without. The reference is the base."""

    beta: float = setting(0.1, "Strength of the pull to the reference.", above=0.0)
    loss_type: str = setting("sigmoid", "sigmoid is DPO; robust models flipped labels.", choices=DPO_LOSSES)
    label_smoothing: float = setting(0.0, "Assumed share of flipped labels (robust only).", minimum=0.0, maximum=0.49)

    def check(self) -> Problems:
        yield from super().check()
        if self.label_smoothing > 0 and self.loss_type != "robust":
            yield (
                "label_smoothing",
                f"does nothing with loss_type {self.loss_type}; use robust",
            )
        if self.label_smoothing == 0 and self.loss_type == "robust":
            yield (
                "label_smoothing",
                "robust with 0 is the same as sigmoid; set the share of flipped labels",
            )


SETTINGS: dict[str, type[Any]] = {
    "import": Import,
    "generate": Generate,
    "sft": SFT,
    "reward": Reward,
    "dpo": DPO,
    "evaluate": Evaluate,
}
DEFAULT_EPOCHS = 2.0
_LEARNING_RATES: dict[type[Train], tuple[float, float]] = {
    SFT: (2e-4, 2e-5),
    Reward: (2e-4, 1e-5),
    DPO: (2e-4, 1e-6),
}


def learning_rate(settings: Train) -> float:
    """The stated learning rate, or the method's default for adapters or for all weights."""
    with_adapters, all_weights = _LEARNING_RATES[type(settings)]
    return settings.learning_rate or (with_adapters if settings.lora_r else all_weights)


def epochs(settings: Train) -> float:
    return settings.epochs or DEFAULT_EPOCHS


def lora_alpha(settings: Train) -> int:
    return settings.lora_alpha or 2 * settings.lora_r
