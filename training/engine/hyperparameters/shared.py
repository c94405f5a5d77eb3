"""What every method with a gradient can set."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from training.engine.fields import setting

Problems = Iterator[tuple[str, str]]
DTYPES = ("auto", "float32", "bfloat16")
SMALL, MIDDLE, LARGE = 10**9, 7 * 10**9, 13 * 10**9
"""Parameters: where defaults change, and the size that learning rates are stated for."""


@dataclass(frozen=True)
class Train:
    """Shared by every method with a gradient. `learning_rate` defaults by method, see `rates`."""

    rates: ClassVar[tuple[float, float]] = (2e-4, 2e-5)
    """The method's default learning rate with adapters, and without."""
    least_micro_batch: ClassVar[int] = 1
    """Fewest rows in a forward pass that the method's loss can be computed from."""

    usual_epochs: ClassVar[float] = 2.0

    learning_rate: float | None = setting(
        None, "Peak; null takes the method's default for a model of this size.", above=0.0
    )
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
        choices=("linear", "cosine", "cosine_with_min_lr", "constant_with_warmup", "constant"),
    )
    min_lr_ratio: float | None = setting(
        None, "Where cosine_with_min_lr ends, as a part of the peak; null: 0.1.", above=0.0, maximum=1.0
    )
    weight_decay: float = setting(0.0, "Decoupled weight decay.", minimum=0.0)
    max_grad_norm: float = setting(1.0, "Gradients are clipped to this norm.", above=0.0)
    dtype: str = setting(
        "auto",
        "auto: bfloat16 where the processor has it, else float32.",
        choices=DTYPES,
    )
    activation_checkpointing: bool | None = setting(
        None, "Less memory for about 20 % more time; null: from a billion parameters on."
    )
    lora_r: int = setting(
        16,
        "Rank of the adapters on all linear layers; 0 trains every weight.",
        minimum=0,
    )
    lora_alpha: int | None = setting(None, "Scale; null means twice lora_r.", minimum=1)
    lora_dropout: float = setting(0.0, "Dropout inside the adapters.", minimum=0.0, maximum=0.9)
    artifact: str = setting(
        "merged",
        "merged: a model that stands alone; adapter: only what was learned, a few MB that need the base beside them.",
        choices=("merged", "adapter"),
    )
    export_dtype: str = setting("auto", "Stored weights; auto keeps the base model's format.", choices=DTYPES)

    @property
    def smallest_batch(self) -> int:
        """`batch_size` must be a multiple of this for every process."""
        return self.micro_batch_size or 1

    @property
    def usual_rates(self) -> tuple[float, float]:
        """`rates`, where no other setting asks for others."""
        return self.rates

    def check(self) -> Problems:
        if self.epochs is not None and self.max_steps is not None:
            yield "epochs", "does nothing when max_steps is set; set one of them"
        if self.lora_r == 0 and self.lora_alpha is not None:
            yield "lora_alpha", "does nothing when lora_r is 0"
        if self.lora_r == 0 and self.lora_dropout > 0:
            yield "lora_dropout", "does nothing when lora_r is 0"
        if self.lora_r == 0 and self.artifact == "adapter":
            yield "artifact", "there is no adapter when lora_r is 0"
        if self.artifact == "adapter" and self.export_dtype != "auto":
            yield "export_dtype", "does nothing with artifact adapter, which keeps the format it was trained in"
        if self.min_lr_ratio is not None and self.lr_scheduler != "cosine_with_min_lr":
            yield "min_lr_ratio", f"does nothing with lr_scheduler {self.lr_scheduler}; use cosine_with_min_lr"
        if self.lr_scheduler == "constant" and self.warmup_ratio > 0:
            yield (
                "warmup_ratio",
                "does nothing with the constant scheduler; use constant_with_warmup, or set 0",
            )


@dataclass(frozen=True)
class Shown(Train):
    """Can write to the same prompts as it learns, for people to look at."""

    show_every: int | None = setting(
        None, "Steps between two looks at what it writes to the same prompts; null: never.", minimum=1
    )
    show_prompts: str | None = setting(
        None, "The prompts, one a line; null: those of the first three rows, held-out ones where there are."
    )
    show_tokens: int | None = setting(None, "Longest text it writes there, in tokens; null: 64.", minimum=1)

    def check(self) -> Problems:
        yield from super().check()
        if self.show_prompts is not None and not self.show_prompts.strip():
            yield "show_prompts", "names no prompt; leave it out to take those of the first rows"
        if self.show_every is None:
            for name in ("show_prompts", "show_tokens"):
                if getattr(self, name) is not None:
                    yield name, "does nothing without show_every"


def learning_rate(settings: Train, parameters: int = MIDDLE) -> float:
    """The stated learning rate, or the method's default for a model of so many parameters.

    Methods state theirs for 1 to 13 billion. Smaller models bear twice as much when every weight is trained; larger ones
    half, with adapters too (Dettmers et al. 2023, table 9: 2e-4 up to 13B, 1e-4 at 33B and 65B).
    """
    with_adapters, all_weights = settings.usual_rates
    stated = settings.learning_rate
    if stated is not None:
        return stated
    rate = with_adapters if settings.lora_r else all_weights
    if parameters > LARGE:
        return rate / 2
    return rate * 2 if parameters < SMALL and not settings.lora_r else rate


def checkpoints_activations(settings: Train, parameters: int) -> bool:
    """Whether the backward pass computes activations again: as stated, else for models of a billion parameters and more."""
    stated = settings.activation_checkpointing
    return parameters >= SMALL if stated is None else stated


def default_rates(shape: type[Train]) -> list[dict[str, float]]:
    """The learning rates that an empty setting stands for, by the parameters from which each holds."""
    with_adapters, all_weights = (replace(shape(), lora_r=rank) for rank in (16, 0))
    return [
        {
            "from_parameters": least,
            "with_adapters": learning_rate(with_adapters, least),
            "all_weights": learning_rate(all_weights, least),
        }
        for least in (0, SMALL, LARGE + 1)
    ]


def default_checkpointing(shape: type[Train]) -> list[dict[str, float]]:
    """Whether an empty setting checkpoints activations, by the parameters from which each holds."""
    return [{"from_parameters": least, "on": checkpoints_activations(shape(), least)} for least in (0, SMALL)]


def scheduler_arguments(settings: Train) -> dict[str, float]:
    """What the schedule wants to know beside warm-up and length, in transformers' names."""
    if settings.lr_scheduler != "cosine_with_min_lr":
        return {}
    return {"min_lr_rate": settings.min_lr_ratio or 0.1}


def epochs(settings: Train) -> float:
    return settings.epochs or settings.usual_epochs


def lora_alpha(settings: Train) -> int:
    return settings.lora_alpha or 2 * settings.lora_r
