"""What can be set where TRL's trainers learn from a reward model on answers of their own: GRPO and RLOO."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from training.engine.fields import setting
from training.engine.hyperparameters.ppo import RUNNING_SCALE
from training.engine.hyperparameters.shared import Problems, Shown


@dataclass(frozen=True)
class Online(Shown):
    """A step writes `batch_size` completions, several to each prompt, and learns which of a prompt's were better.

    Sampled from the policy itself, without top-k or top-p: the losses know the whole distribution only.
    """

    rates: ClassVar[tuple[float, float]] = (2e-5, 1e-6)

    epochs: float | None = setting(None, "Passes over the prompts; null with null max_steps means 2.", above=0.0)
    batch_size: int = setting(32, "Completions written and learned from in one step, over all processes.", minimum=2)
    micro_batch_size: int | None = setting(
        None, "Completions per process and forward pass; null: no accumulation.", minimum=1
    )
    overlong: str = setting("drop", "Prompts that leave no room for max_new_tokens are dropped.", choices=("drop",))
    samples_per_prompt: int = setting(8, "Completions of one prompt, each measured against the others.", minimum=2)
    max_new_tokens: int = setting(128, "Longest completion, in tokens.", minimum=1)
    temperature: float = setting(1.0, "Logits are divided by it, in sampling and in the loss.", above=0.0)
    kl_coefficient: float = setting(
        0.05, "Price of divergence from the reference, which is the base; 0 keeps no reference.", minimum=0.0
    )
    score_normalization: str = setting(
        "reward_model",
        "reward_model: by the mean and deviation stored with it; none: its raw scores.",
        choices=("reward_model", "none"),
        refused={"running": RUNNING_SCALE},
    )
    missing_eos_penalty: float = setting(
        1.0, "Taken off the score of a completion that was cut off at max_new_tokens.", minimum=0.0
    )
    update_epochs: int = setting(1, "Passes over the completions of one step.", minimum=1)
    clip_range: float | None = setting(
        None, "Clipping of the probability ratio; null: 0.2. Only with update_epochs above 1.", above=0.0
    )

    def check(self) -> Problems:
        yield from super().check()
        if self.batch_size % self.samples_per_prompt:
            yield "batch_size", f"must be a multiple of samples_per_prompt ({self.samples_per_prompt})"
        if self.lora_dropout > 0:
            yield "lora_dropout", "makes the probability ratio differ from 1 before any update; set 0"
        if self.max_new_tokens >= self.max_length:
            yield "max_length", "must be above max_new_tokens: no prompt would fit"
        if self.clip_range is not None and self.update_epochs == 1:
            yield (
                "clip_range",
                "does nothing when each completion is learned from once: the ratio is 1; raise update_epochs",
            )


@dataclass(frozen=True)
class GRPO(Online):
    """Shao et al. 2024 (DeepSeekMath): a completion's advantage is its score against its prompt's others, in deviations."""

    loss_type: str = setting(
        "dapo",
        "Tokens are averaged over the batch (dapo), by completion first (grpo), over max_new_tokens (dr_grpo), "
        "or over the micro-batch (bnpo).",
        choices=("dapo", "grpo", "dr_grpo", "bnpo"),
    )
    scale_rewards: str = setting(
        "group",
        "Advantages are divided by the deviation of the group, of the batch, or by nothing.",
        choices=("group", "batch", "none"),
    )


@dataclass(frozen=True)
class RLOO(Online):
    """Ahmadian et al. 2024: REINFORCE with the mean of the prompt's other completions as baseline; k1 is paid in the score."""

    samples_per_prompt: int = setting(4, "Completions of one prompt, each measured against the others.", minimum=2)
    normalize_advantages: bool = setting(False, "Scale the advantages of each step to mean 0 and variance 1.")


def clip_range(settings: Online) -> float:
    return settings.clip_range or 0.2
