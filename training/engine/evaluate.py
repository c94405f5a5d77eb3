"""Held-out evaluation, per row: rewards of pairs, samples of policy and baseline with rewards, divergence.

Every stage writes one file under output/ and is skipped when a killed run left it whole. Means go to result.json;
intervals are computed from the rows by whoever judges.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from training.engine import models
from training.engine.context import Context, Outcome
from training.engine.families import family_of
from training.engine.files import JSON, read_jsonl, write_jsonl
from training.engine.generate import write_completions
from training.engine.pairs import encode_pairs, within
from training.engine.rows import Encoded, encode
from training.engine.scoring import log_probabilities, rewards, share_preferred

SIDES = {"policy": "base", "baseline": "baseline"}  # name in the output -> name in the spec


def run(context: Context) -> Outcome:
    output, metrics, stages = context.run.output, {}, 0
    for wanted, stage in (
        ("test" in context.spec.data, pairs_stage),
        ("prompts" in context.spec.data, samples_stage),
        ("prompts" in context.spec.data and "reward_model" in context.spec.models, rewards_stage),
        ("prompts" in context.spec.data and "reference" in context.spec.models, divergence_stage),
    ):
        if wanted:
            context.check_stop()
            metrics.update(stage(context, output))
            stages += 1
            context.log.emit("metric", step=stages, **metrics)
    return Outcome(metrics, stages)


def pairs_stage(context: Context, output: Path) -> dict[str, Any]:
    """Reward of both sides of every held-out pair; a preference for the longer side is the baseline to beat."""
    target = output / "pairs.jsonl"
    skipped = once(context, target, lambda: score_pairs(context, target))
    rows = list(read_jsonl(target))
    usable = [row for row in rows if row["chosen"]["reward"] is not None]
    if not usable:
        return {"pairs": 0, "pairs_dropped": len(rows)}
    column = {
        (side, key): [row[side][key] for row in usable] for side in ("chosen", "rejected") for key in usable[0][side]
    }
    return {
        "pairs": len(usable),
        "pairs_dropped": len(rows) - len(usable),
        "reward_accuracy": share_preferred(column["chosen", "reward"], column["rejected", "reward"]),
        "length_accuracy": share_preferred(column["chosen", "characters"], column["rejected", "characters"]),
        "reward_margin": statistics.fmean(column["chosen", "reward"]) - statistics.fmean(column["rejected", "reward"]),
        "pairs_resumed": skipped,
    }


def score_pairs(context: Context, target: Path) -> None:
    settings = context.spec.hyperparameters
    model, tokenizer = load_judge(context)
    rows = context.rows("test", "preference")
    encoded = encode_pairs(tokenizer, rows)
    kept, _ = within(encoded, settings.max_length, "drop")
    flat = [side for pair in kept for side in (pair.chosen, pair.rejected)]
    scores = iter(rewards(model, flat, tokenizer.pad_token_id, settings.batch_size))
    by_id = {pair.id: (next(scores), next(scores)) for pair in kept}
    write_jsonl(
        target,
        [
            {
                "id": row["id"],
                "chosen": side(row["chosen"], pair.chosen, by_id.get(row["id"], (None, None))[0]),
                "rejected": side(row["rejected"], pair.rejected, by_id.get(row["id"], (None, None))[1]),
            }
            for row, pair in zip(rows, encoded, strict=True)
        ],
    )


def side(messages: list[JSON], encoded: Encoded, reward: float | None) -> JSON:
    """`reward` is null for a pair over max_length."""
    text = "".join(message["content"] for message in messages)
    return {"reward": reward, "tokens": len(encoded.completion), "characters": len(text)}


def samples_stage(context: Context, output: Path) -> dict[str, Any]:
    """Completions of the policy and of the baseline on the same prompts with the same sampling."""
    metrics: dict[str, Any] = {}
    for name, model in SIDES.items():
        if model in context.spec.models:
            counts = write_completions(context, model, output / f"samples-{name}.jsonl", 0)
            metrics |= {f"{name}/{key}": value for key, value in counts.items()}
    return metrics


def rewards_stage(context: Context, output: Path) -> dict[str, Any]:
    """Reward of every sample; a policy sample meets the baseline sample of the same prompt and number."""
    target = output / "rewards.jsonl"
    once(context, target, lambda: score_samples(context, output, target))
    rows = list(read_jsonl(target))
    metrics: dict[str, Any] = {}
    for name in SIDES:
        values = [row["reward"] for row in rows if row["model"] == name]
        if values:
            metrics[f"{name}/reward_mean"] = statistics.fmean(values)
    scores = {(row["model"], row["prompt_id"], row["sample"]): row["reward"] for row in rows}
    met = [key[1:] for key in scores if key[0] == "policy" and ("baseline", *key[1:]) in scores]
    if met:
        policy, baseline = ([scores[(name, *key)] for key in met] for name in ("policy", "baseline"))
        metrics |= {"reward_win_rate": share_preferred(policy, baseline), "reward_win_rate_n": len(met)}
    return metrics


def score_samples(context: Context, output: Path, target: Path) -> None:
    """Completions are scored as the reward model was trained: through the chat template, which closes the turn."""
    settings = context.spec.hyperparameters
    model, tokenizer = load_judge(context)
    prompts = {row["id"]: row["messages"] for row in context.rows("prompts", "prompts")}
    samples = [
        {"model": name, **row}
        for name in SIDES
        if (output / f"samples-{name}.jsonl").exists()
        for row in read_jsonl(output / f"samples-{name}.jsonl")
    ]
    encoded = [
        encode(tokenizer, prompts[row["prompt_id"]], [{"role": "assistant", "content": row["text"]}]) for row in samples
    ]
    scores = rewards(model, encoded, tokenizer.pad_token_id, settings.batch_size)
    keys = ("model", "prompt_id", "sample", "text", "finish_reason", "completion_tokens")
    write_jsonl(
        target,
        [
            {**{key: row[key] for key in keys}, "characters": len(row["text"]), "reward": score}
            for row, score in zip(samples, scores, strict=True)
        ],
    )


def divergence_stage(context: Context, output: Path) -> dict[str, Any]:
    """KL(policy || reference) in nats, estimated on the policy's own samples (Schulman 2020: k1 and k3).

    Unbiased only when the samples were drawn from the whole distribution, which `kl_whole_distribution` says.
    """
    target = output / "kl.jsonl"
    reason = why_no_divergence(context)
    if reason:
        context.log.emit("warning", name="kl_undefined", message=reason)
        return {}
    once(context, target, lambda: measure_divergence(context, output, target))
    rows, settings = list(read_jsonl(target)), context.spec.hyperparameters
    tokens = sum(row["tokens"] for row in rows)
    whole = settings.temperature == 1.0 and settings.top_p == 1.0 and settings.top_k == 0
    return {
        "kl_sequence_k1": statistics.fmean(row["k1"] for row in rows),
        "kl_sequence_k3": statistics.fmean(row["k3"] for row in rows),
        "kl_token_k1": sum(row["k1"] for row in rows) / tokens,
        "kl_token_k3": sum(row["k3"] for row in rows) / tokens,
        "kl_samples": len(rows),
        "kl_tokens": tokens,
        "kl_whole_distribution": whole,
    }


def why_no_divergence(context: Context) -> str:
    """Empty where both models give a probability to every text the other may write, token for token."""
    paths = [context.model_path(name) for name in ("base", "reference")]
    families = [family_of(path) for path in paths]
    if families[0] is not families[1]:
        return (
            f"KL is not measured: the model is {families[0].name} and the reference {families[1].name}, "
            "so they read the prompt differently and write other tokens."
        )
    words = [family.tokenizer(path).get_vocab() for family, path in zip(families, paths, strict=True)]
    if words[0] != words[1]:
        return (
            "KL is not measured: the model and the reference have different vocabularies, so they write other tokens."
        )
    return ""


def measure_divergence(context: Context, output: Path, target: Path) -> None:
    settings = context.spec.hyperparameters
    path = context.model_path("base")
    family = family_of(path)
    tokenizer = family.tokenizer(path)
    prompts = {row["id"]: row["messages"] for row in context.rows("prompts", "prompts")}
    samples = list(read_jsonl(output / "samples-policy.jsonl"))
    rows = [Encoded(family.prompt(tokenizer, prompts[row["prompt_id"]]), row["tokens"]) for row in samples]
    logps = []
    for name in ("base", "reference"):  # one after the other: only one model is in memory
        model = network(context, name, family.network)
        logps.append(log_probabilities(model, rows, tokenizer.pad_token_id, settings.batch_size))
        del model
    write_jsonl(
        target,
        [
            {"prompt_id": row["prompt_id"], "sample": row["sample"], **divergence(policy, reference)}
            for row, policy, reference in zip(samples, *logps, strict=True)
        ],
    )


def divergence(policy: list[float], reference: list[float]) -> dict[str, float | int]:
    """Sums over the tokens of one sequence. k1 = log(p/q); k3 = q/p - 1 - log(q/p), never negative."""
    ratios = torch.tensor(policy, dtype=torch.float64) - torch.tensor(reference, dtype=torch.float64)
    k3 = torch.expm1(-ratios) + ratios
    return {"k1": float(ratios.sum()), "k3": float(k3.sum()), "tokens": len(policy)}


def load_judge(context: Context) -> tuple[Any, Any]:
    path = context.model_path("reward_model")
    return network(context, "reward_model", models.load_reward), models.load_tokenizer(path)


def network(context: Context, name: str, loader: Callable[[Path, Any], Any]) -> Any:
    dtype = models.torch_dtype(context.spec.hyperparameters.dtype, cuda=context.cuda)
    return loader(context.model_path(name), dtype).to("cuda" if context.cuda else "cpu").eval()


def once(context: Context, target: Path, stage: Callable[[], None]) -> bool:
    """Run a stage unless its file is there, which is written whole or not at all; true when it was skipped."""
    if target.exists():
        return True
    context.log.phase("evaluating", stage=target.stem)
    stage()
    return False
