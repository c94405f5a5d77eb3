"""Direct preference optimization (Rafailov et al. 2023): the policy starts at the reference and is pulled to it."""

from __future__ import annotations

from typing import Any

from datasets import Dataset
from trl import DPOConfig, DPOTrainer

from training.engine import models
from training.engine.context import Context, Outcome
from training.engine.held_out import is_watched
from training.engine.hyperparameters.offline import DPO, SMOOTHED
from training.engine.pairs import Pair, held_out_pairs, training_pairs
from training.engine.ppo.networks import without_dropout
from training.engine.trainer import Sealed, Session, arguments, exporter, fit, load_dtype, reference, report


class Direct(Sealed, DPOTrainer):
    """TRL's trainer on pairs that are encoded already."""


def run(context: Context) -> Outcome:
    settings = context.spec.hyperparameters
    base = context.model_path("base")
    tokenizer = models.load_tokenizer(base)
    pairs, counts = training_pairs(context, tokenizer)
    report(context, counts)
    trainer = Direct(
        model=without_dropout(models.load_causal(base, load_dtype(context))),
        ref_model=reference(context),
        args=arguments(context, DPOConfig, **losses(settings), beta=settings.beta, ld_alpha=settings.ld_alpha),
        train_dataset=Dataset.from_list([columns(pair) for pair in pairs]),
        eval_dataset=held_out(context, tokenizer) if is_watched(context) else None,
        processing_class=tokenizer,
        peft_config=models.lora_config(settings, "CAUSAL_LM"),
    )
    trainer.label_smoothing = smoothing(settings)

    return fit(Session(context), trainer, counts, exporter(context, base, tokenizer))


def held_out(context: Context, tokenizer: Any) -> Dataset:
    pairs, counts = held_out_pairs(context, tokenizer)
    report(context, counts)
    return Dataset.from_list([columns(pair) for pair in pairs])


def losses(settings: DPO) -> dict[str, Any]:
    """TRL's names and weights of the losses that are added up."""
    name = "robust" if settings.loss_type in SMOOTHED else settings.loss_type
    if not settings.sft_weight:
        return {"loss_type": [name]}
    return {"loss_type": [name, "sft"], "loss_weights": [1.0, settings.sft_weight]}


def smoothing(settings: DPO) -> float:
    """What TRL's robust loss takes as its share of flipped labels.

    With l the sigmoid loss at margin m, robust is l - m e / (1 - 2e) and cdpo is l + m e. TRL has no cdpo, and its sigmoid
    ignores label_smoothing; its robust at -e / (1 - 2e) is cdpo at e, exactly.
    """
    share = settings.label_smoothing
    return -share / (1 - 2 * share) if settings.loss_type == "cdpo" else share


def columns(pair: Pair) -> dict[str, list[int]]:
    return {
        "prompt_ids": pair.chosen.prompt,
        "chosen_ids": pair.chosen.completion,
        "rejected_ids": pair.rejected.completion,
    }
