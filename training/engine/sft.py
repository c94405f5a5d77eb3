"""Supervised fine-tuning: cross-entropy on completion tokens, EOS included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from datasets import Dataset
from trl import SFTConfig, SFTTrainer

from training.engine import models
from training.engine.context import Context, Outcome
from training.engine.rows import Encoded, encode, within
from training.engine.trainer import Sealed, Session, arguments, fit, load_dtype, report

IGNORED = -100  # label that cross-entropy skips


class Supervised(Sealed, SFTTrainer):
    """TRL's trainer on rows that are encoded already."""


def run(context: Context) -> Outcome:
    settings = context.spec.hyperparameters
    base = context.model_path("base")
    tokenizer = models.load_tokenizer(base)
    rows = [encode(tokenizer, row["prompt"], row["completion"]) for row in context.rows("train", "sft")]
    kept, counts = within(rows, settings.max_length, settings.overlong)
    report(context, counts)
    trainer = Supervised(
        model=models.load_causal(base, load_dtype(context)),
        args=arguments(context, SFTConfig, packing=False, completion_only_loss=False),
        train_dataset=Dataset.from_list([labelled(row) for row in kept]),
        processing_class=tokenizer,
        peft_config=models.lora_config(settings, "CAUSAL_LM"),
    )

    def export(trained: Path) -> dict[str, Any]:
        return models.export(
            trained,
            base,
            context.run.artifact,
            tokenizer=tokenizer,
            settings=settings,
            reward=False,
            seed=context.spec.seed,
        )

    return fit(Session(context), trainer, counts, export)


def labelled(row: Encoded) -> dict[str, list[int]]:
    """Labels hide the prompt, so that only the completion is learned."""
    return {
        "input_ids": row.prompt + row.completion,
        "labels": [IGNORED] * len(row.prompt) + row.completion,
    }
