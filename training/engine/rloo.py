"""REINFORCE leave-one-out (Ahmadian et al. 2024), by TRL, against one of our reward models."""

from __future__ import annotations

from trl import RLOOConfig, RLOOTrainer

from training.engine.context import Context, Outcome
from training.engine.online import train
from training.engine.trainer import Sealed


class LeaveOneOut(Sealed, RLOOTrainer):
    """TRL's trainer with our checkpoints and events."""


def run(context: Context) -> Outcome:
    settings = context.spec.hyperparameters
    return train(context, LeaveOneOut, RLOOConfig, normalize_advantages=settings.normalize_advantages)
