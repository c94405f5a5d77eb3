"""Reward model: Bradley-Terry loss on preference pairs, exported with the mean and deviation of its rewards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from trl import RewardConfig, RewardTrainer

from training.engine import models
from training.engine.context import Context, Outcome
from training.engine.files import write_json
from training.engine.pairs import Pair, encode_pairs, training_pairs, within
from training.engine.scoring import mean_and_deviation, rewards, share_preferred
from training.engine.trainer import Sealed, Session, arguments, fit, load_dtype, report

MEASURED_PAIRS = 64  # enough for mean and deviation; scoring all of a large train split would cost another epoch


class Preferring(Sealed, RewardTrainer):
    """TRL's trainer on pairs that are encoded already."""


def run(context: Context) -> Outcome:
    settings, spec = context.spec.hyperparameters, context.spec
    base = context.model_path("base")
    tokenizer = models.load_tokenizer(base)
    pairs, counts = training_pairs(context, tokenizer)
    report(context, counts)
    torch.manual_seed(spec.seed)  # the new score head
    trainer = Preferring(
        model=models.load_reward(base, load_dtype(context)),
        args=arguments(context, RewardConfig, center_rewards_coefficient=settings.center_rewards_coefficient or None),
        train_dataset=Dataset.from_list([columns(pair) for pair in pairs]),
        processing_class=tokenizer,
        peft_config=models.lora_config(settings, "SEQ_CLS"),
    )
    metrics: dict[str, Any] = dict(counts)

    def export(trained: Path) -> dict[str, Any]:
        models.export(
            trained, base, context.run.artifact, tokenizer=tokenizer, settings=settings, reward=True, seed=spec.seed
        )
        metrics.update(measure(context, tokenizer, pairs))
        return models.describe_artifact(context.run.artifact)

    return fit(Session(context), trainer, metrics, export)


def columns(pair: Pair) -> dict[str, list[int]]:
    chosen, rejected = pair.chosen, pair.rejected
    return {
        "chosen_ids": chosen.prompt + chosen.completion,
        "rejected_ids": rejected.prompt + rejected.completion,
    }


def measure(context: Context, tokenizer: Any, train: list[Pair]) -> dict[str, Any]:
    """Score held-out pairs (train pairs without a test split) with the exported model; write mean and deviation into it.

    The model is loaded anew from its files: what is measured is what will be used.
    """
    settings = context.spec.hyperparameters
    held_out = "test" in context.spec.data
    pairs, counts = train[:MEASURED_PAIRS], {}
    if held_out:
        rows = encode_pairs(tokenizer, context.rows("test", "preference"))
        pairs, test = within(rows, settings.max_length, "drop")
        counts = {f"test_{name}": value for name, value in test.items()}
    context.log.phase("measuring", pairs=len(pairs), held_out=held_out)
    if not pairs:
        return counts
    dtype = models.torch_dtype(settings.dtype, cuda=context.cuda)
    model = models.load_reward(context.run.artifact, dtype).to("cuda" if context.cuda else "cpu").eval()
    size, pad = context.spec.micro_batch_size, tokenizer.pad_token_id
    chosen = rewards(model, [pair.chosen for pair in pairs], pad, size)
    rejected = rewards(model, [pair.rejected for pair in pairs], pad, size)
    mean, deviation = mean_and_deviation(chosen + rejected)
    add_to_config(context.run.artifact / "config.json", reward_mean=mean, reward_std=deviation)
    split = "test" if held_out else "train"
    return {
        **counts,
        f"{split}_accuracy": share_preferred(chosen, rejected),
        f"{split}_margin": mean_and_deviation([a - b for a, b in zip(chosen, rejected, strict=True)])[0],
        "reward_mean": mean,
        "reward_std": deviation,
    }


def add_to_config(path: Path, **values: float) -> None:
    write_json(path, {**json.loads(path.read_text(encoding="utf-8")), **values})
