"""Pre-training of a causal language model on raw text, on from a base (Gururangan et al. 2020) or from scratch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import AutoConfig, AutoModelForCausalLM, DataCollatorForSeq2Seq, TrainingArguments

from training.engine import models
from training.engine.context import Context, Outcome
from training.engine.errors import EngineError
from training.engine.files import JSON
from training.engine.hyperparameters.pretraining import Pretrain
from training.engine.pretraining.packing import rows_of, split
from training.engine.pretraining.vocabulary import carry_over, rename_ids, rename_stored, trained_tokenizer
from training.engine.rows import Encoded, token_ids
from training.engine.scoring import log_probabilities
from training.engine.trainer import Sealed, Session, arguments, exporter, fit, load_dtype, report


def run(context: Context) -> Outcome:
    settings, spec = context.spec.hyperparameters, context.spec
    base = context.model_path("base")
    old = models.load_plain_tokenizer(base)
    train, test = split([row["text"] for row in context.rows("texts", "texts")], settings.test_share, spec.seed)
    new = trained_tokenizer(context, old, train) if settings.tokenizer == "train" else old
    torch.manual_seed(spec.seed)
    model, counts = prepared(base, load_dtype(context), settings, old, new)
    rows, read = rows_of(
        [token_ids(new, text) for text in train], settings.max_length, new.eos_token_id, settings.packing
    )
    report(context, read)
    context.log.phase("packed", **read)
    metrics: JSON = {**read, **counts, "texts": len(train), "texts_kept_out": len(test)}
    metrics |= before(context, base, old, test) if context.world.is_main else {}
    context.world.barrier()
    write = exporter(context, base, new)

    def export(trained: Path) -> JSON:
        write(trained)
        if new is not old:
            rename_stored(context.run.artifact, old, new)
        metrics.update(measured(context, context.run.artifact, new, test, "after"))
        return models.describe_artifact(context.run.artifact)

    trainer = Sealed(
        model=models.adapted(model, settings, "CAUSAL_LM"),
        args=arguments(context, TrainingArguments, include_num_input_tokens_seen="non_padding"),
        train_dataset=Dataset.from_list([{"input_ids": row, "labels": row} for row in rows]),
        processing_class=new,
        data_collator=DataCollatorForSeq2Seq(new),
    )
    return fit(Session(context), trainer, metrics, export)


def prepared(base: Path, dtype: Any, settings: Pretrain, old: Any, new: Any) -> tuple[Any, dict[str, int]]:
    """The model before its first step, and what became of the vocabulary."""
    if settings.start == "scratch":
        config = shaped(AutoConfig.from_pretrained(base), settings)
        config.vocab_size = max(len(new), config.vocab_size if new is old else 0)
        model = AutoModelForCausalLM.from_config(config, dtype=dtype)
        counts = {"parameters": model.num_parameters()}
    else:
        model = models.load_causal(base, dtype)
        counts = carry_over(model, old, new) if new is not old else {}
    if new is not old:
        rename_ids(model, old, new)
    return model, counts


def shaped(config: Any, settings: Pretrain) -> Any:
    """The base's architecture in another size; heads keep their width, and the inner layer its ratio."""
    if settings.layers is not None:
        config.num_hidden_layers = settings.layers
        if getattr(config, "layer_types", None):
            config.layer_types = (config.layer_types * settings.layers)[: settings.layers]
    if settings.width is not None:
        head = config.hidden_size // config.num_attention_heads
        if settings.width % head:
            message = f"width {settings.width} is no multiple of {head}, the width of a head of the base."
            raise EngineError("width", message, f"Set width to {max(1, round(settings.width / head)) * head}.")
        ratio = settings.width / config.hidden_size
        groups = config.num_attention_heads // (
            getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        )
        config.num_attention_heads = settings.width // head
        if getattr(config, "num_key_value_heads", None):
            config.num_key_value_heads = max(1, config.num_attention_heads // groups)
        if getattr(config, "intermediate_size", None):
            config.intermediate_size = round(config.intermediate_size * ratio)
        config.hidden_size = settings.width
    return config


def before(context: Context, base: Path, tokenizer: Any, test: Sequence[str]) -> JSON:
    """What the base knew of these texts; a model from scratch knew nothing."""
    if context.spec.hyperparameters.start == "scratch":
        return {}
    return measured(context, base, tokenizer, test, "before")


def measured(context: Context, path: Path, tokenizer: Any, texts: Sequence[str], when: str) -> JSON:
    """Bits per byte of texts kept out, which compares tokenizers too, and perplexity per token, which does not."""
    if not texts:
        return {}
    context.log.phase("measuring", texts=len(texts), when=when)
    settings = context.spec.hyperparameters
    dtype = models.torch_dtype(settings.dtype, cuda=context.cuda)
    model = models.load_causal(path, dtype).to("cuda" if context.cuda else "cpu").eval()
    ids = [[*token_ids(tokenizer, text), tokenizer.eos_token_id] for text in texts]
    size = settings.max_length - 1
    pieces = [Encoded([tokenizer.eos_token_id], row[at : at + size]) for row in ids for at in range(0, len(row), size)]
    logps = log_probabilities(model, pieces, tokenizer.pad_token_id, context.spec.micro_batch_size)
    nats = -math.fsum(value for row in logps for value in row)
    return {
        f"bits_per_byte_{when}": nats / math.log(2) / sum(len(text.encode()) for text in texts),
        f"perplexity_{when}": math.exp(min(nats / sum(map(len, ids)), 700.0)),
    }
