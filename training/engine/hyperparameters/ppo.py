"""What can be set where a model learns from a reward model on answers of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from training.engine.fields import setting
from training.engine.hyperparameters.shared import Problems, Train

PAID_K3 = "k3 may be logged (it is), never paid: its gradient vanishes near the reference, so the policy drifts off unpunished"
RUNNING_SCALE = (
    "a scale taken from the run shrinks as the scores do, so kl_coefficient loses its meaning and the KL explodes; "
    "reward_model freezes the scale that was measured on held-out pairs"
)


@dataclass(frozen=True)
class PPO(Train):
    """Schulman et al. 2017, as in Ouyang et al. 2022. A step writes `batch_size` responses and learns from them."""

    rates: ClassVar[tuple[float, float]] = (5e-5, 3e-6)

    epochs: float | None = setting(None, "Passes over the prompts; null with null max_steps means 2.", above=0.0)
    max_steps: int | None = setting(None, "Batches of responses instead of passes.", minimum=1)
    batch_size: int = setting(64, "Responses written and learned from in one step, over all processes.", minimum=1)
    micro_batch_size: int | None = setting(
        None, "Responses per process and forward pass; null: a whole minibatch.", minimum=1
    )
    overlong: str = setting("drop", "Prompts that leave no room for max_new_tokens are dropped.", choices=("drop",))
    warmup_ratio: float = setting(0.0, "Part of the steps in which the learning rate rises.", minimum=0.0, maximum=0.9)
    update_epochs: int = setting(4, "Passes over the responses of one step.", minimum=1)
    minibatches: int = setting(4, "Optimizer steps in each of these passes.", minimum=1)
    max_new_tokens: int = setting(128, "Longest response, in tokens.", minimum=1)
    min_new_tokens: int = setting(0, "EOS cannot be written before that many tokens.", minimum=0)
    temperature: float = setting(1.0, "Logits are divided by it, in sampling and in every loss.", above=0.0)
    rollout_batch_size: int | None = setting(
        None, "Responses written at once by each process; null: all of a step.", minimum=1
    )
    kl_coefficient: float = setting(0.05, "Price of one nat of divergence from the reference.", minimum=0.0)
    kl_estimator: str = setting(
        "k1", "What is paid for: log p/q of every token.", choices=("k1",), refused={"k3": PAID_K3}
    )
    kl_target: float | None = setting(None, "Divergence per response that kl_coefficient is steered to.", above=0.0)
    kl_horizon: int | None = setting(None, "Responses the steering takes; null: 10000.", minimum=1)
    kl_ceiling: float | None = setting(None, "The run fails above this divergence per response.", above=0.0)
    score_normalization: str = setting(
        "reward_model",
        "reward_model: by the mean and deviation stored with it; none: its raw scores.",
        choices=("reward_model", "none"),
        refused={"running": RUNNING_SCALE},
    )
    missing_eos_penalty: float = setting(
        1.0, "Taken off the score of a response that was cut off at max_new_tokens.", minimum=0.0
    )
    whiten_rewards: bool = setting(False, "Scale the rewards of each step to variance 1.")
    whiten_advantages: bool = setting(True, "Scale the advantages of each step to mean 0 and variance 1.")
    gamma: float = setting(1.0, "Discount of a later reward.", above=0.0, maximum=1.0)
    gae_lambda: float = setting(0.95, "1 trusts the rewards, 0 the value function.", minimum=0.0, maximum=1.0)
    clip_range: float = setting(0.2, "Clipping of the probability ratio.", above=0.0)
    value_clip_range: float = setting(0.2, "Clipping of the value around its old one; 0 turns it off.", minimum=0.0)
    value_model: str = setting(
        "auto",
        "trunk: a network of its own; head: a head on the policy, cheaper; auto: trunk without adapters, head with.",
        choices=("auto", "trunk", "head"),
    )
    value_init: str = setting(
        "auto",
        "What a value trunk starts from; auto: the reward model if it has the policy's words, else the base.",
        choices=("auto", "reward_model", "base"),
    )
    value_learning_rate: float | None = setting(None, "Of the value function; null: that of the policy.", above=0.0)
    value_coefficient: float | None = setting(
        None,
        "Weight of the value loss where a head shares the policy's trunk; null: 0.1. Raw scores of variance v want it over v.",
        above=0.0,
    )
    update_kl_limit: float | None = setting(
        None, "The passes of a step end when the policy moved further than this per token.", above=0.0
    )
    sample_every: int = setting(10, "Steps between two samples with their numbers token by token.", minimum=1)

    @property
    def smallest_batch(self) -> int:
        return self.minibatches * (self.micro_batch_size or 1)

    @property
    def has_value_trunk(self) -> bool:
        return self.value_model == "trunk" or (self.value_model == "auto" and not self.lora_r)

    def check(self) -> Problems:
        yield from super().check()
        if self.lora_dropout > 0:
            yield (
                "lora_dropout",
                "makes the probability ratio differ from 1 before any update; PPO trains without dropout",
            )
        if self.min_new_tokens > self.max_new_tokens:
            yield "min_new_tokens", "must not be above max_new_tokens"
        if self.min_new_tokens >= self.max_new_tokens and self.missing_eos_penalty:
            yield "missing_eos_penalty", "every response would pay it, as none can end before max_new_tokens; set 0"
        if self.max_new_tokens >= self.max_length:
            yield "max_length", "must be above max_new_tokens: no prompt would fit"
        if self.kl_target is None and self.kl_horizon is not None:
            yield "kl_horizon", "does nothing without kl_target"
        if self.kl_target is not None and not self.kl_coefficient:
            yield "kl_coefficient", "0 stays 0 however it is steered; start kl_target from a positive one"
        if self.has_value_trunk and self.value_coefficient is not None:
            yield (
                "value_coefficient",
                "does nothing where the value function has its own trunk; see value_learning_rate",
            )
        if not self.has_value_trunk and self.value_init != "auto":
            yield "value_init", "does nothing where the value function is a head on the policy"


def value_learning_rate(settings: PPO, policy: float) -> float:
    return settings.value_learning_rate or policy


def kl_horizon(settings: PPO) -> int:
    return settings.kl_horizon or 10_000


def value_coefficient(settings: PPO) -> float:
    return settings.value_coefficient or 0.1
