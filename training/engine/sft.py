"""Supervised fine-tuning: cross-entropy on the assistant's tokens, EOS included."""

from __future__ import annotations

from typing import Any

from datasets import Dataset
from trl import SFTConfig, SFTTrainer, pack_dataset

from training.engine import models, seq2seq
from training.engine.apart import reads_apart
from training.engine.context import Context, Outcome
from training.engine.held_out import is_watched
from training.engine.trainer import Sealed, Session, arguments, exporter, fit, load_dtype, report
from training.engine.turns import Labelled, label, within


class Supervised(Sealed, SFTTrainer):
    """TRL's trainer on rows that are encoded already."""


def run(context: Context) -> Outcome:
    settings = context.spec.hyperparameters
    base = context.model_path("base")
    if reads_apart(base):
        return seq2seq.run(context)
    tokenizer = models.load_tokenizer(base)
    every_turn = settings.learn == "every_turn"
    rows = [label(tokenizer, row, every_turn=every_turn) for row in context.rows("train", "sft")]
    kept, counts = within(rows, settings.max_length, settings.overlong)
    report(context, counts)
    data = dataset(kept)
    if settings.packing:
        data = packed(context, data)
    trainer = Supervised(
        model=models.with_dropout(models.load_causal(base, load_dtype(context)), settings.dropout),
        args=arguments(
            context, SFTConfig, packing=settings.packing, packing_strategy="bfd", completion_only_loss=False
        ),
        train_dataset=data,
        eval_dataset=held_out(context, tokenizer) if is_watched(context) else None,
        processing_class=tokenizer,
        peft_config=models.lora_config(settings, "CAUSAL_LM"),
    )

    return fit(Session(context), trainer, counts, exporter(context, base, tokenizer))


def held_out(context: Context, tokenizer: Any) -> Dataset:
    """Rows of the test split, never packed; overlong ones are left out."""
    settings = context.spec.hyperparameters
    every_turn = settings.learn == "every_turn"
    rows = [label(tokenizer, row, every_turn=every_turn) for row in context.rows("test", "sft")]
    kept, counts = within(rows, settings.max_length, "drop")
    report(context, counts)
    return dataset(kept)


def dataset(rows: list[Labelled]) -> Dataset:
    return Dataset.from_list([{"input_ids": row.ids, "labels": row.labels} for row in rows])


def packed(context: Context, data: Dataset) -> Dataset:
    """Several conversations in a row of at most max_length tokens (best fit decreasing, Ding et al. 2024).

    None is cut. Positions start anew with each, and attention does not reach from one into another.
    """
    length = context.spec.hyperparameters.max_length
    rows = pack_dataset(data, length, "bfd")
    tokens = sum(map(len, data["input_ids"]))
    context.log.phase("packed", rows=len(data), packed_rows=len(rows), fill=round(tokens / (len(rows) * length), 3))
    return rows
