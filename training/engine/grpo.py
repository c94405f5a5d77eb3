"""Group relative policy optimisation (Shao et al. 2024), by TRL, against one of our reward models."""

from __future__ import annotations

from trl import GRPOConfig, GRPOTrainer

from training.engine.context import Context, Outcome
from training.engine.online import train
from training.engine.trainer import Sealed


class Group(Sealed, GRPOTrainer):
    """TRL's trainer with our checkpoints and events."""


def run(context: Context) -> Outcome:
    settings = context.spec.hyperparameters
    return train(context, Group, GRPOConfig, loss_type=settings.loss_type, scale_rewards=settings.scale_rewards)
