"""Direct preference optimization (Rafailov et al. 2023): the policy starts at the reference and is pulled to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from datasets import Dataset
from trl import DPOConfig, DPOTrainer

from training.engine import models
from training.engine.context import Context, Outcome
from training.engine.pairs import Pair, training_pairs
from training.engine.trainer import Sealed, Session, arguments, fit, load_dtype, report


class Direct(Sealed, DPOTrainer):
    """TRL's trainer on pairs that are encoded already."""


def run(context: Context) -> Outcome:
    settings, spec = context.spec.hyperparameters, context.spec
    base = context.model_path("base")
    tokenizer = models.load_tokenizer(base)
    pairs, counts = training_pairs(context, tokenizer)
    report(context, counts)
    method: dict[str, Any] = {"beta": settings.beta, "loss_type": [settings.loss_type]}
    if settings.loss_type == "robust":
        method["label_smoothing"] = settings.label_smoothing
    trainer = Direct(
        model=models.load_causal(base, load_dtype(context)),
        ref_model=reference(context),
        args=arguments(context, DPOConfig, **method),
        train_dataset=Dataset.from_list([columns(pair) for pair in pairs]),
        processing_class=tokenizer,
        peft_config=models.lora_config(settings, "CAUSAL_LM"),
    )

    def export(trained: Path) -> dict[str, Any]:
        return models.export(
            trained, base, context.run.artifact, tokenizer=tokenizer, settings=settings, reward=False, seed=spec.seed
        )

    return fit(Session(context), trainer, counts, export)


def reference(context: Context) -> Any:
    """With adapters the reference is the base with its adapters off, so no second model is kept in memory."""
    if context.spec.hyperparameters.lora_r:
        return None
    name = "reference" if "reference" in context.spec.models else "base"
    return models.load_causal(context.model_path(name), load_dtype(context))


def columns(pair: Pair) -> dict[str, list[int]]:
    return {
        "prompt_ids": pair.chosen.prompt,
        "chosen_ids": pair.chosen.completion,
        "rejected_ids": pair.rejected.completion,
    }
