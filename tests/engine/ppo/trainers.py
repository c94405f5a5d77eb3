"""PPO trainers made by hand, in this process: any reward function, any tiny model."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch

from training.engine.context import Context
from training.engine.events import EventLog
from training.engine.files import RunDir
from training.engine.ppo.learners import Plain
from training.engine.ppo.method import schedule, steps_of
from training.engine.ppo.networks import Choice, Policy, Value
from training.engine.ppo.rollouts import Prompt
from training.engine.ppo.trainer import Parts, Score, Trainer
from training.engine.spec import parse
from training.engine.world import World

SMALL: dict[str, Any] = {
    "dtype": "float32",
    "lora_r": 0,
    "batch_size": 16,
    "minibatches": 2,
    "micro_batch_size": 4,
    "update_epochs": 2,
    "max_new_tokens": 10,
    "max_steps": 2,
    "learning_rate": 1e-3,
    "score_normalization": "none",
}


def context_of(seed: int = 17, root: Path = Path("/nowhere"), **settings: Any) -> Context:
    spec = parse(
        {
            "schema_version": 1,
            "run": "run",
            "method": "ppo",
            "seed": seed,
            "base": {"path": "/nowhere"},
            "reward_model": {"path": "/nowhere"},
            "data": {"prompts": {"path": "data/prompts.jsonl"}},
            "hyperparameters": {**SMALL, **settings},
            "parallelism": {"device": "cpu"},
        }
    )
    return Context(spec, RunDir(root), EventLog(None), World(0, 1, "python"), cuda=False)


def trainer_of(
    model: Any, prompts: list[list[int]], score: Score, ending: tuple[int, ...], pad: int, **settings: Any
) -> Trainer:
    context = context_of(**settings)
    chosen = context.spec.hyperparameters
    choice = Choice(chosen.temperature, ending, chosen.min_new_tokens)
    rates = (chosen.learning_rate, chosen.value_learning_rate or chosen.learning_rate)
    reference = Policy(copy.deepcopy(model), choice, head=False).eval().requires_grad_(False)
    critic = Plain(Value(copy.deepcopy(model.base_model)), rates[::-1], context) if chosen.has_value_trunk else None
    policy = Plain(Policy(model, choice, head=not chosen.has_value_trunk), rates, context)
    named = [Prompt(f"q{number}", [], ids) for number, ids in enumerate(prompts)]
    return Trainer(context, named, Parts(policy, critic, reference, score, str, pad))


def learn(trainer: Trainer) -> list[dict[str, float]]:
    """All steps, at the run's schedule."""
    steps = steps_of(trainer.settings, len(trainer.prompts))
    factor = schedule(trainer.settings, steps)
    return [trainer.step(factor(step)) for step in range(steps)]


def share_of_small_ids(responses: Any) -> list[float]:
    """A score that a policy can learn to raise: the part of its tokens with an id below 64."""
    return [sum(token < 64 for token in response.tokens) / len(response.tokens) for response in responses]


def random_prompts(count: int, seed: int = 0, below: int = 300) -> list[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(3, below, (3 + number % 9,), generator=generator).tolist() for number in range(count)]
