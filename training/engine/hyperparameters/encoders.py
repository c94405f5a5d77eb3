"""What can be set where an encoder learns to label texts or the words in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from training.engine.fields import setting
from training.engine.hyperparameters.shared import DTYPES, Problems, Train


@dataclass(frozen=True)
class Encoder(Train):
    """Devlin et al. 2019: every weight, a small learning rate, a few epochs."""

    rates: ClassVar[tuple[float, float]] = (5e-4, 2.5e-5)
    """Stated for a billion parameters; smaller encoders, which nearly all are, get 5e-5."""
    usual_epochs: ClassVar[float] = 4.0

    question: str | None = setting(None, "Whose answers are learned; null where the data has one question.")
    epochs: float | None = setting(None, "Passes over the rows; null with null max_steps means 4.", above=0.0)
    batch_size: int = setting(16, "Rows per optimizer step, over all processes.", minimum=1)
    max_length: int = setting(256, "Tokens of a text, with those that open and close it.", minimum=8)
    weight_decay: float = setting(0.01, "Decoupled weight decay.", minimum=0.0)
    artifact: str = setting("merged", "A model that stands alone.", choices=("merged",))
    lora_r: int = setting(0, "Rank of adapters on all linear layers; 0 trains every weight.", minimum=0)


@dataclass(frozen=True)
class Classify(Encoder):
    """Cross-entropy over the labels, or for several labels a text the binary cross-entropy of each."""

    labels: str = setting(
        "auto",
        "single or multi: labels of a text. auto: single where every row has exactly one.",
        choices=("auto", "single", "multi"),
    )
    threshold: float = setting(0.5, "A label holds from this probability (multi only).", above=0.0, maximum=0.99)
    class_weights: str = setting(
        "none",
        "balanced: rare labels weigh more, in inverse proportion to their rows.",
        choices=("none", "balanced"),
    )
    overlong: str = setting(
        "truncate",
        "Texts over max_length: truncate (their beginning decides, now and in predictions), or drop.",
        choices=("truncate", "drop"),
    )

    def check(self) -> Problems:
        yield from super().check()
        if self.threshold != 0.5 and self.labels != "multi":
            yield "threshold", "does nothing for one label a text; set labels to multi, or leave it at 0.5"


@dataclass(frozen=True)
class Tag(Encoder):
    """Each token begins a span, goes on with one, or is outside (IOB2: Ramshaw and Marcus 1995)."""

    overlong: str = setting(
        "window",
        "Texts over max_length: window (cut in pieces that overlap), or drop.",
        choices=("window", "drop"),
    )
    overlap: int | None = setting(None, "Tokens that two windows share; null: a quarter of max_length.", minimum=0)

    def check(self) -> Problems:
        yield from super().check()
        if self.overlong == "drop" and self.overlap is not None:
            yield "overlap", "does nothing when overlong is drop"
        if self.overlap is not None and self.overlap > self.max_length // 2:
            yield "overlap", "must be at most half of max_length"


def overlap(settings: Tag) -> int:
    return settings.max_length // 4 if settings.overlap is None else settings.overlap


@dataclass(frozen=True)
class Predict:
    """Labels or spans for texts that nobody judged yet, by a trained classifier or tagger."""

    batch_size: int = setting(32, "Texts read at once. Larger is faster and needs more memory.", minimum=1)
    dtype: str = setting("auto", "auto: bfloat16 where the processor has it, else float32.", choices=DTYPES)

    def check(self) -> Problems:
        yield from ()
