"""Numbers of an evaluation with their intervals, from the rows the engine wrote. Imports numpy: never at start."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

from ground.digests import digest_of
from measures.accuracy import paired_accuracy
from measures.bias import length_bias
from measures.errors import NoData
from measures.win_rate import win_rate
from training.storage import read_rows

JSON = dict[str, Any]
KL = ("kl_sequence_k1", "kl_sequence_k3", "kl_token_k1", "kl_token_k3", "kl_samples", "kl_whole_distribution")


def measured(folder: Path, metrics: JSON) -> JSON:
    """What an Evaluation keeps: `reward_accuracy` beside `length_baseline`, `win_rate`, `length`, `kl`.

    What was not asked for is absent.
    """
    output = folder / "output"
    prompts = {row["id"]: digest_of(row["prompt"]) for row in read_rows(folder / "data" / "test.jsonl")}
    found = {
        **of_pairs(read_rows(output / "pairs.jsonl"), prompts),
        **of_samples(read_rows(output / "rewards.jsonl")),
        "kl": {name.removeprefix("kl_"): metrics[name] for name in KL if name in metrics},
    }
    dropped = {name: count for name, count in metrics.items() if name.endswith("_dropped") and count}
    return {name: value for name, value in {**found, "dropped": dropped}.items() if value}


def of_pairs(rows: list[JSON], prompts: dict[str, str]) -> JSON:
    """How often the reward model agrees with people, clustered by prompt, and how often "the longer one" would have."""
    kept = [row for row in rows if row["chosen"]["reward"] is not None]
    if not kept:
        return {}
    clusters = [prompts[row["id"]] for row in kept]
    rewards, lengths = (
        [[row[side][key] for row in kept] for side in ("chosen", "rejected")] for key in ("reward", "characters")
    )
    return {
        "reward_accuracy": asdict(paired_accuracy(*rewards, prompts=clusters)),
        "length_baseline": asdict(length_bias(*lengths, prompts=clusters)),
    }


def of_samples(rows: list[JSON]) -> JSON:
    """Policy against baseline on the same prompts: a win where the reward model scores the policy's sample higher."""
    scores = {(row["model"], row["prompt_id"], row["sample"]): row["reward"] for row in rows}
    met = [key[1:] for key in scores if key[0] == "policy" and ("baseline", *key[1:]) in scores]
    outcomes = [_outcome(scores["policy", *key], scores["baseline", *key]) for key in met]
    try:
        rate = asdict(win_rate(outcomes, prompts=[prompt for prompt, _sample in met]))
    except NoData:
        return {}
    return {"win_rate": rate, "length": {name: _mean_length(rows, name) for name in ("policy", "baseline")}}


def _outcome(policy: float | None, baseline: float | None) -> float | None:
    if policy is None or baseline is None:
        return None
    return 0.5 if policy == baseline else float(policy > baseline)


def _mean_length(rows: list[JSON], model: str) -> JSON:
    """A model that wins by length alone should be seen to: mean tokens and characters of its samples."""
    own = [row for row in rows if row["model"] == model]
    return {name: round(fmean(row[key] for row in own), 2) for name, key in LENGTHS.items()}


LENGTHS = {"tokens": "completion_tokens", "characters": "characters"}
