"""Supervised fine-tuning of encoder-decoder models (T5: Raffel et al. 2020): one half reads, the other learns to answer."""

from __future__ import annotations

from dataclasses import replace

from datasets import Dataset
from transformers import DataCollatorForSeq2Seq, TrainingArguments

from training.engine import models
from training.engine.apart import encoded, refuse_what_does_nothing
from training.engine.context import Context, Outcome
from training.engine.held_out import is_watched
from training.engine.trainer import Sealed, Session, arguments, exporter, fit, load_dtype, report


def run(context: Context) -> Outcome:
    settings = context.spec.hyperparameters
    base = context.model_path("base")
    refuse_what_does_nothing(settings)
    tokenizer = models.load_plain_tokenizer(base)
    rows, counts = encoded(tokenizer, context.rows("train", "sft"), settings)
    report(context, counts)
    model = models.with_dropout(models.load_seq2seq(base, load_dtype(context)), settings.dropout)
    trainer = Sealed(
        model=models.adapted(model, settings, "SEQ_2_SEQ_LM"),
        args=arguments(context, TrainingArguments, include_num_input_tokens_seen="non_padding"),
        train_dataset=Dataset.from_list(rows),
        eval_dataset=held_out(context, tokenizer) if is_watched(context) else None,
        processing_class=tokenizer,
        data_collator=DataCollatorForSeq2Seq(tokenizer),
    )
    return fit(Session(context), trainer, counts, exporter(context, base, tokenizer, load=models.load_seq2seq))


def held_out(context: Context, tokenizer: object) -> Dataset:
    """Rows of the test split; overlong ones are left out."""
    settings = replace(context.spec.hyperparameters, overlong="drop")
    rows, counts = encoded(tokenizer, context.rows("test", "sft"), settings)
    report(context, counts)
    return Dataset.from_list(rows)
