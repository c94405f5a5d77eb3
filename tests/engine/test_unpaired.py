"""KTO: what is desirable, what the divergence is estimated from, and the loss by hand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from tests.engine.runs import assistant, events, losses, make_run, preference_rows, question
from training.engine.runner import execute

BETA = 0.3


def kto(root: Path, models: dict[str, Path], rows: list[dict[str, Any]], **settings: Any) -> Path:
    quick = {"dtype": "float32", "lora_r": 0, "learning_rate": 1e-3, "max_steps": 1, "batch_size": 8, "beta": BETA}
    return make_run(root, "kto", models=models, data={"train": rows}, settings={**quick, **settings})


def pair(better: str, worse: str, weight: float = 1.0) -> dict[str, Any]:
    return {
        "id": f"{better}-{worse}",
        "prompt": question(1),
        "chosen": assistant(better),
        "rejected": assistant(worse),
        "weight": weight,
    }


def test_a_completion_is_desirable_when_more_votes_chose_it_than_rejected_it(tiny: Path) -> None:
    """Ranking a > b > c: a wins twice, c loses twice, b wins once and loses once and is left out."""
    from training.engine.grouping import unpaired
    from training.engine.models import load_tokenizer
    from training.engine.pairs import encode_pairs

    tokenizer = load_tokenizer(tiny)
    judged, contradictory = unpaired(encode_pairs(tokenizer, [pair("A", "B"), pair("A", "C"), pair("B", "C")]))
    said = {tokenizer.decode(one.row.completion, skip_special_tokens=True): one.desirable for one in judged}
    assert (said, contradictory) == ({"A": True, "C": False}, 1)
    judged, contradictory = unpaired(encode_pairs(tokenizer, [pair("A", "B", 0.9), pair("B", "A", 0.6)]))
    assert ([one.desirable for one in judged], contradictory) == ([True, False], 0)


def test_the_divergence_is_estimated_from_another_prompts_completion() -> None:
    """Micro-batches of 3. Prompts 1 1 2 | 3 3 3 | 4: round within the first; before it, where all or the last are alone."""
    from training.engine.kto import mismatched

    assert mismatched([[1], [1], [2], [3], [3], [3], [4]], 3) == [2, 2, 1, 2, 2, 2, 5]
    assert mismatched([[1], [1]], 2) == [0, 1]


def test_the_first_loss_is_that_of_the_paper(tmp_path: Path, tiny: Path) -> None:
    """Policy and reference differ, so z0 > 0. Mean of 1 - s(b (r - z0)) over desirable, 1 - s(b (z0 - r)) over others.

    r = log policy/reference of the completion; z0 = the mean of it over mismatched completions, at least 0.
    Undesirable ones count half here.
    """
    import torch

    from training.engine.grouping import unpaired
    from training.engine.kto import columns
    from training.engine.models import load_causal, load_tokenizer
    from training.engine.pairs import encode_pairs
    from training.engine.rows import Encoded
    from training.engine.scoring import log_probabilities
    from training.engine.tiny import make

    other = make(tmp_path / "other", seed=1)
    rows = preference_rows(4)
    run = kto(tmp_path / "run", {"base": tiny, "reference": other}, rows, undesirable_weight=0.5)
    assert execute(run)["metrics"]["desirable"] == 4
    import random

    tokenizer = load_tokenizer(tiny)
    judged, _ = unpaired(encode_pairs(tokenizer, rows))
    random.Random(17).shuffle(judged)
    data = columns(judged, 8)
    encoded = [
        Encoded(row["prompt_ids"], row[name]) for name in ("completion_ids", "KL_completion_ids") for row in data
    ]
    policy, reference = (
        [
            sum(row)
            for row in log_probabilities(load_causal(path, torch.float32).eval(), encoded, tokenizer.pad_token_id, 4)
        ]
        for path in (tiny, other)
    )
    ratios = [a - b for a, b in zip(policy, reference, strict=True)]
    matched, apart = ratios[:8], ratios[8:]
    zero = max(0.0, sum(apart) / 8)

    def below(value: float) -> float:
        return 1 - 1 / (1 + math.exp(-BETA * value))

    terms = [
        below(ratio - zero) if row["label"] else 0.5 * below(zero - ratio)
        for row, ratio in zip(data, matched, strict=True)
    ]
    assert losses(run)[1] == pytest.approx(sum(terms) / 8, abs=1e-4)
    assert events(run, "metric")[0]["kl"] == pytest.approx(zero, abs=1e-3)
    assert max(terms) - min(terms) > 0.01


def test_desirable_completions_become_likelier_than_others(tmp_path: Path, tiny: Path) -> None:
    """The policy starts at its reference: every loss is 1 - s(0) = 1/2."""
    run = kto(tmp_path / "run", {"base": tiny}, preference_rows(12), lora_r=8, learning_rate=3e-3, max_steps=10)
    assert execute(run)["state"] == "succeeded"
    rows = events(run, "metric")
    assert rows[0]["loss"] == pytest.approx(0.5, abs=1e-4)
    assert rows[-1]["rewards/chosen"] > rows[-1]["rewards/rejected"] + 0.02


def test_labels_out_of_balance_are_warned_of_with_the_weight_that_mends_it(tmp_path: Path, tiny: Path) -> None:
    """Four good and one bad completion of a prompt: 1 x 1 / 4 = 0.25."""
    rows = [pair(text, "bread bread") for text in ("A lamp.", "A boat.", "A stone.", "A song.")]
    run = kto(tmp_path / "run", {"base": tiny}, rows, batch_size=5)
    assert execute(run)["state"] == "succeeded"
    assert events(run, "warning")[0] == {
        "name": "unbalanced_labels",
        "desirable": 4,
        "undesirable": 1,
        "desirable_weight": 0.25,
    }


def test_rows_that_contradict_each_other_wholly_are_refused(tmp_path: Path, tiny: Path) -> None:
    run = kto(tmp_path / "run", {"base": tiny}, [pair("A", "B"), pair("B", "A")])
    assert execute(run)["error"]["class"] == "one_sided"
