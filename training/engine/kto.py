"""Kahneman-Tversky optimisation (Ethayarajh et al. 2024): learns from completions that were good or bad, without pairs."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from datasets import Dataset
from trl import KTOConfig, KTOTrainer

from training.engine import models
from training.engine.context import Context, Outcome
from training.engine.errors import EngineError
from training.engine.grouping import Judged, unpaired
from training.engine.hyperparameters.offline import KTO
from training.engine.pairs import training_pairs
from training.engine.ppo.networks import without_dropout
from training.engine.trainer import Sealed, Session, arguments, exporter, fit, load_dtype, reference, report

MOST = 4 / 3
"""Bound of (desirable weight x their number) / (undesirable weight x theirs), as in equation 8 of the paper, either way."""


class Unpaired(Sealed, KTOTrainer):
    """TRL's trainer on completions that are encoded already."""


def run(context: Context) -> Outcome:
    settings, spec = context.spec.hyperparameters, context.spec
    base = context.model_path("base")
    tokenizer = models.load_tokenizer(base)
    pairs, counts = training_pairs(context, tokenizer, weighted=True)
    report(context, counts)
    judged, contradictory = unpaired(pairs)
    good = sum(one.desirable for one in judged)
    counts |= {"desirable": good, "undesirable": len(judged) - good, "contradictory": contradictory}
    require_both(counts)
    warn_of_balance(context, settings, good, len(judged) - good)
    random.Random(spec.seed).shuffle(judged)  # noqa: S311  order of rows, not a secret
    trainer = Unpaired(
        model=without_dropout(models.load_causal(base, load_dtype(context))),
        ref_model=reference(context),
        args=arguments(
            context,
            KTOConfig,
            beta=settings.beta,
            desirable_weight=settings.desirable_weight,
            undesirable_weight=settings.undesirable_weight,
            train_sampling_strategy="sequential",
        ),
        train_dataset=Dataset.from_list(columns(judged, spec.micro_batch_size)),
        processing_class=tokenizer,
        peft_config=models.lora_config(settings, "CAUSAL_LM"),
    )
    return fit(Session(context), trainer, counts, exporter(context, base, tokenizer))


def columns(judged: Sequence[Judged], size: int) -> list[dict[str, Any]]:
    """TRL's columns. KL_completion_ids is another prompt's completion, for the estimate of the divergence."""
    others = mismatched([one.row.prompt for one in judged], size)
    return [
        {
            "prompt_ids": one.row.prompt,
            "completion_ids": one.row.completion,
            "KL_completion_ids": judged[other].row.completion,
            "label": one.desirable,
        }
        for one, other in zip(judged, others, strict=True)
    ]


def mismatched(prompts: Sequence[Sequence[int]], size: int) -> list[int]:
    """For each row, the row before it within its micro-batch of `size`, going round, that has another prompt.

    Where all of a micro-batch share a prompt the row before it outside is taken: a matched completion would measure
    the implied reward instead of the divergence. The row itself when there is only one prompt at all.
    """
    found = []
    for place, prompt in enumerate(prompts):
        first = place - place % size
        inside = range(first, min(first + size, len(prompts)))
        near = [inside[(place - first - step) % len(inside)] for step in range(1, len(inside))]
        far = [(place - step) % len(prompts) for step in range(1, len(prompts))]
        found.append(next((other for other in (*near, *far) if list(prompts[other]) != list(prompt)), place))
    return found


def require_both(counts: dict[str, int]) -> None:
    missing = [name for name in ("desirable", "undesirable") if not counts[name]]
    if missing:
        raise EngineError(
            "one_sided",
            f"No completion is {missing[0]}: every one that was chosen was rejected as often.",
            "Freeze a snapshot with more judged pairs.",
        )


def warn_of_balance(context: Context, settings: KTO, good: int, bad: int) -> None:
    ratio = settings.desirable_weight * good / (settings.undesirable_weight * bad)
    if not 1 / MOST <= ratio <= MOST:
        context.log.emit(
            "warning",
            name="unbalanced_labels",
            desirable=good,
            undesirable=bad,
            desirable_weight=round(settings.undesirable_weight * bad / good, 3),
        )
