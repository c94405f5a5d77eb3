"""What can be set where a model learns from answers that are there already."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from training.engine.fields import setting
from training.engine.hyperparameters.shared import Problems, Shown, Train

DPO_LOSSES = ("sigmoid", "cdpo", "robust", "ipo", "hinge", "sigmoid_norm")
SMOOTHED = ("cdpo", "robust")
DROPOUT = "Of the model's own layers while it learns, wherever it has dropout; null keeps what it has."
NORMALISED = ("ipo", "sigmoid_norm")


@dataclass(frozen=True)
class Watched(Train):
    """Can be measured on held-out rows while it learns. The loss is the mean over rows, each by itself."""

    evaluate_every: int | None = setting(
        None, "Steps between two measurements of the loss on the held-out rows; null: never.", minimum=1
    )
    patience: int | None = setting(
        None,
        "Measurements without a lower loss after which the run ends; the best weights are kept. null: it goes to its end.",
        minimum=1,
    )

    def check(self) -> Problems:
        yield from super().check()
        if self.patience is not None and self.evaluate_every is None:
            yield "patience", "does nothing without evaluate_every"


@dataclass(frozen=True)
class SFT(Watched, Shown):
    """Loss on the assistant's tokens only."""

    learn: str = setting(
        "completion",
        "completion: the row's own replies; every_turn: also those in its prompt, for rows that hold whole conversations.",
        choices=("completion", "every_turn"),
    )
    packing: bool = setting(
        False,
        "Several short rows in one of max_length tokens, apart from each other; batch_size then counts packed rows.",
    )
    dropout: float | None = setting(None, DROPOUT, minimum=0.0, maximum=0.9)


@dataclass(frozen=True)
class Reward(Watched):
    """Bradley-Terry loss; batch_size counts prompts, each with all its pairs."""

    rates: ClassVar[tuple[float, float]] = (2e-4, 1e-5)

    dropout: float | None = setting(None, DROPOUT, minimum=0.0, maximum=0.9)
    center_rewards_coefficient: float = setting(
        0.01,
        "Pulls the mean reward of a pair to zero (Eisenstein et al. 2023); 0 turns it off.",
        minimum=0.0,
    )
    group_size: int = setting(
        9,
        "Most completions of one prompt that are learned together, each passed once (Ouyang et al. 2022); 2: pair by pair.",
        minimum=2,
        maximum=64,
    )
    weighting: str = setting(
        "votes",
        "votes: a pair counts by the share of votes its chosen side has; none: all alike.",
        choices=("votes", "none"),
    )
    margin_scale: float = setting(
        0.0,
        "Times the margin of each row, by which chosen should lead (Touvron et al. 2023); 0 turns it off.",
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
class DPO(Watched, Shown):
    """Rafailov et al. 2023. The reference is the base.

    cdpo: Mitchell 2023; robust: Chowdhury et al. 2024; ipo: Azar et al. 2023; hinge: Zhao et al. 2023 (SLiC);
    sft_weight: Pang et al. 2024; ld_alpha: Liu et al. 2024.
    """

    rates: ClassVar[tuple[float, float]] = (2e-4, 1e-6)

    beta: float = setting(
        0.1,
        "Strength of the pull to the reference; with ipo its tau, where 1/(2 tau) is the margin per token.",
        above=0.0,
    )
    loss_type: str = setting(
        "sigmoid",
        "sigmoid is DPO; cdpo and robust assume flipped labels; ipo and sigmoid_norm divide by length.",
        choices=DPO_LOSSES,
    )
    label_smoothing: float = setting(
        0.0, "Assumed share of flipped labels (cdpo and robust only).", minimum=0.0, maximum=0.49
    )
    sft_weight: float = setting(
        0.0,
        "Weight of the chosen completion's own loss beside it, against falling chosen log-probabilities.",
        minimum=0.0,
    )
    ld_alpha: float | None = setting(
        None,
        "Weight of tokens beyond the shorter completion's length, against longer answers; null or 1 would be plain.",
        minimum=0.0,
        maximum=1.0,
    )

    def check(self) -> Problems:
        yield from super().check()
        yield from without_dropout(self)
        if self.label_smoothing > 0 and self.loss_type not in SMOOTHED:
            yield "label_smoothing", f"does nothing with loss_type {self.loss_type}; use {' or '.join(SMOOTHED)}"
        if self.label_smoothing == 0 and self.loss_type in SMOOTHED:
            yield "label_smoothing", f"{self.loss_type} with 0 is the same as sigmoid; set the share of flipped labels"
        if self.ld_alpha == 1:
            yield "ld_alpha", "1 does nothing: every token counts whole; set less, or null"
        if self.ld_alpha is not None and self.loss_type in NORMALISED:
            yield "ld_alpha", f"does not go with {self.loss_type}, which divides by the whole length already"


@dataclass(frozen=True)
class KTO(Shown):
    """Ethayarajh et al. 2024: completions that were good or bad by themselves. The reference is the base."""

    rates: ClassVar[tuple[float, float]] = (2e-4, 1e-6)

    beta: float = setting(0.1, "Strength of the pull to the reference.", above=0.0)
    desirable_weight: float = setting(1.0, "Weight of the loss of desirable completions.", above=0.0)
    undesirable_weight: float = setting(1.0, "Weight of the loss of undesirable completions.", above=0.0)
    least_micro_batch: ClassVar[int] = 2
    """The divergence is estimated from mismatched rows of a micro-batch."""

    def check(self) -> Problems:
        yield from super().check()
        yield from without_dropout(self)


def without_dropout(settings: Train) -> Problems:
    if settings.lora_dropout > 0:
        yield "lora_dropout", "does nothing: policy and reference are compared without dropout"
