"""What can be set where a language model learns from raw text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from training.engine.fields import setting
from training.engine.hyperparameters.shared import Problems, Train

SHAPE = ("layers", "width")
USUAL_VOCABULARY = 8192


@dataclass(frozen=True)
class Pretrain(Train):
    """Every token of every text is learned. Gururangan et al. 2020 go on from a base; `scratch` forgets its weights."""

    rates: ClassVar[tuple[float, float]] = (2e-4, 2.5e-5)
    scratch_rates: ClassVar[tuple[float, float]] = (5e-4, 5e-4)
    usual_epochs: ClassVar[float] = 1.0

    start: str = setting(
        "continue", "continue: from the base's weights; scratch: from random ones.", choices=("continue", "scratch")
    )
    tokenizer: str = setting(
        "keep",
        "keep the base's, or train one of its kind on these texts: for another language or a narrow domain.",
        choices=("keep", "train"),
    )
    vocabulary: int | None = setting(None, "Tokens of a trained tokenizer; null means 8192.", minimum=300)
    layers: int | None = setting(None, "Layers of a model from scratch; null: as the base.", minimum=1)
    width: int | None = setting(None, "Hidden size of a model from scratch; null: as the base.", minimum=16)
    packing: bool = setting(
        True, "Texts follow one another in rows of max_length, an EOS between them; else a row each."
    )
    test_share: float = setting(
        0.05, "Part of the texts kept out to measure bits per byte on, before and after.", minimum=0.0, maximum=0.5
    )
    epochs: float | None = setting(None, "Passes over the texts; null with null max_steps means 1.", above=0.0)
    max_length: int = setting(512, "Tokens in a row.", minimum=8)
    overlong: str = setting("split", "Texts over max_length go on in the next row.", choices=("split",))
    artifact: str = setting("merged", "A model that stands alone.", choices=("merged",))
    lora_r: int = setting(0, "Rank of adapters on all linear layers; 0 trains every weight.", minimum=0)
    weight_decay: float = setting(0.1, "Decoupled weight decay.", minimum=0.0)

    @property
    def usual_rates(self) -> tuple[float, float]:
        return self.scratch_rates if self.start == "scratch" else self.rates

    def check(self) -> Problems:
        yield from super().check()
        if self.vocabulary is not None and self.tokenizer == "keep":
            yield "vocabulary", "does nothing when the tokenizer is kept; set tokenizer to train"
        for name in SHAPE:
            if getattr(self, name) is not None and self.start == "continue":
                yield name, "does nothing when the base's weights are kept; set start to scratch"
        if self.lora_r and (self.start == "scratch" or self.tokenizer == "train"):
            yield "lora_r", "adapters leave random or new embeddings as they are; set 0"
