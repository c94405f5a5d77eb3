"""Reward model: Bradley-Terry loss on the pairs of each prompt, exported with the mean and deviation of its rewards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from trl import RewardConfig, RewardTrainer

from training.engine import models
from training.engine.context import Context, Outcome
from training.engine.errors import EngineError
from training.engine.files import write_json
from training.engine.grouping import elements
from training.engine.held_out import is_watched
from training.engine.hyperparameters.offline import Reward
from training.engine.pairs import Pair, held_out_pairs, training_pairs
from training.engine.ranking import Collator, ranking_loss
from training.engine.scoring import mean_and_deviation, rewards, share_preferred
from training.engine.trainer import Sealed, Session, arguments, exporter, fit, load_dtype, report

MEASURED_PAIRS = 64  # enough for mean and deviation; scoring all of a large train split would cost another epoch


class Preferring(Sealed, RewardTrainer):
    """TRL's trainer with elements of several pairs, and with metrics that count pairs, not batches."""

    centering: float

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        ids, mask = inputs["input_ids"], inputs["attention_mask"]
        outputs = model(input_ids=ids, attention_mask=mask, use_cache=False)
        rewards = outputs.logits.squeeze(-1).float()
        pairs = {name: inputs[name] for name in ("left", "right", "weights", "margins")}
        loss = ranking_loss(rewards, **pairs, centering=self.centering)
        mode = "train" if model.training else "eval"
        self._note(mode, rewards.detach(), inputs["left"], inputs["right"], mask)
        return (loss, outputs) if return_outputs else loss

    def prediction_step(self, model: Any, inputs: Any, prediction_loss_only: bool, ignore_keys: Any = None) -> Any:
        with torch.no_grad(), self.compute_loss_context_manager():
            return self.compute_loss(model, self._prepare_inputs(inputs)).detach(), None, None

    def _note(self, mode: str, rewards: Any, left: Any, right: Any, mask: Any) -> None:
        """Sums over all ranks before any division: ranks hold different numbers of pairs. A tie is half right."""
        ahead = rewards[left] - rewards[right]
        right_way = (ahead > 0).float().sum() + 0.5 * (ahead == 0).float().sum()
        counts = (torch.tensor(float(count), device=rewards.device) for count in (len(ahead), len(rewards)))
        sums = torch.stack([right_way, ahead.sum(), rewards.sum(), mask.sum().float(), *counts])
        correct, margin, total, tokens, pairs, sides = self.accelerator.reduce(sums, reduction="sum").tolist()
        if mode == "train":
            self._total_train_tokens += int(tokens)
        found = {"accuracy": correct / pairs, "margin": margin / pairs, "mean_reward": total / sides}
        for name, value in found.items():
            self._metrics[mode][name].append(value)
        self._metrics[mode]["num_tokens"] = [self._total_train_tokens]


def run(context: Context) -> Outcome:
    settings, spec = context.spec.hyperparameters, context.spec
    base = context.model_path("base")
    tokenizer = models.load_tokenizer(base)
    pairs, counts = training_pairs(context, tokenizer, weighted=settings.weighting == "votes")
    report(context, counts)
    require_margins(settings, pairs)
    rows = [element.row() for element in elements(pairs, settings.group_size)]
    counts["prompts"] = len(rows)
    torch.manual_seed(spec.seed)  # the new score head
    trainer = Preferring(
        model=models.with_dropout(models.load_reward(base, load_dtype(context)), settings.dropout),
        args=arguments(context, RewardConfig, remove_unused_columns=False),
        data_collator=Collator(tokenizer.pad_token_id, settings.weighting == "votes", settings.margin_scale),
        train_dataset=Dataset.from_list(rows),
        eval_dataset=held_out(context, tokenizer) if is_watched(context) else None,
        processing_class=tokenizer,
        peft_config=models.lora_config(settings, "SEQ_CLS"),
    )
    trainer.centering = settings.center_rewards_coefficient
    metrics: dict[str, Any] = dict(counts)

    write = exporter(context, base, tokenizer, load=models.load_reward)

    def export(trained: Path) -> dict[str, Any]:
        write(trained)
        metrics.update(measure(context, tokenizer, pairs))
        return models.describe_artifact(context.run.artifact)

    return fit(Session(context), trainer, metrics, export)


def held_out(context: Context, tokenizer: Any) -> Dataset:
    """The test split's prompts, grouped as the train split's are."""
    pairs, counts = held_out_pairs(context, tokenizer)
    report(context, counts)
    return Dataset.from_list([one.row() for one in elements(pairs, context.spec.hyperparameters.group_size)])


def require_margins(settings: Reward, pairs: list[Pair]) -> None:
    """A scale of margins that are all 0 would do nothing."""
    if settings.margin_scale and not any(pair.margin for pair in pairs):
        raise EngineError(
            "no_margins",
            "margin_scale is set, but no row has a margin.",
            "Set margin_scale to 0, or give the rows a margin (larger for a stronger preference).",
        )


def measure(context: Context, tokenizer: Any, train: list[Pair]) -> dict[str, Any]:
    """Score held-out pairs (train pairs without a test split) with the exported model; write mean and deviation into it.

    The model is loaded anew from its files: what is measured is what will be used.
    """
    settings = context.spec.hyperparameters
    held_out = "test" in context.spec.data
    pairs, counts = train[:MEASURED_PAIRS], {}
    if held_out:
        pairs, test = held_out_pairs(context, tokenizer)
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
