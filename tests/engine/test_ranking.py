"""The reward model's loss by hand, and the pairs of one prompt as one element."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from tests.engine.runs import assistant, events, losses, make_run, question
from training.engine.runner import execute

TEXTS = ["Seven letters.", "Warm bread before dawn.", "A lamp", "bread bread bread bread"]


def ranked(count: int, prompts: int = 1, **extra: Any) -> list[dict[str, Any]]:
    """All pairs of `count` ranked texts for each prompt, as a snapshot writes a ranking by one person."""
    size = count * (count - 1) // 2
    return [
        {
            "id": f"p{prompt}-{better}-{worse}",
            "prompt": question(prompt),
            "chosen": assistant(TEXTS[better]),
            "rejected": assistant(TEXTS[worse]),
            "weight": round(1 / size, 6),
            "group": f"tsk_{prompt}",
            "group_size": size,
            **extra,
        }
        for prompt in range(prompts)
        for better in range(count)
        for worse in range(better + 1, count)
    ]


def reward(root: Path, tiny: Path, rows: list[dict[str, Any]], **settings: Any) -> Path:
    quick = {"dtype": "float32", "lora_r": 0, "learning_rate": 1e-3, "warmup_ratio": 0.0, "max_steps": 1}
    return make_run(
        root, "reward", models={"base": tiny}, data={"train": rows}, settings={**quick, "batch_size": 4, **settings}
    )


def test_the_loss_is_the_sum_of_its_parts() -> None:
    """Rewards 2, 1, -1. Pair (0, 1), weight 1/2, margin 0: ln(1 + e^-1) = 0.3133; centering 0.1 x 3^2 = 0.9.

    Pair (1, 2), weight 1/4, margin 2: 1 + 1 - 2 = 0, so ln 2 = 0.6931; centering 0.1 x 0 = 0.
    0.5 x 1.2133 + 0.25 x 0.6931 = 0.7799.
    """
    import torch

    from training.engine.ranking import ranking_loss

    value = ranking_loss(
        torch.tensor([2.0, 1.0, -1.0]),
        torch.tensor([0, 1]),
        torch.tensor([1, 2]),
        torch.tensor([0.5, 0.25]),
        torch.tensor([0.0, 2.0]),
        0.1,
    )
    assert value.item() == pytest.approx(0.7799, abs=1e-4)


def pairs_of(tiny: Path, rows: list[dict[str, Any]]) -> Any:
    from training.engine.models import load_tokenizer
    from training.engine.pairs import encode_pairs

    return encode_pairs(load_tokenizer(tiny), rows)


def test_the_pairs_of_a_prompt_pass_each_completion_once(tiny: Path) -> None:
    """Four ranked texts: 6 pairs, 4 sequences, and each pair counts 1/6 x 1/2 in a batch of two prompts."""
    from training.engine.grouping import elements
    from training.engine.ranking import Collator

    found = elements(pairs_of(tiny, ranked(4, prompts=2)), 9)
    assert [(len(one.sides), len(one.pairs)) for one in found] == [(4, 6), (4, 6)]
    batch = Collator(0, weighted=True, margin_scale=0.0)([one.row() for one in found])
    assert batch["input_ids"].shape[0] == 8
    assert batch["left"].tolist()[6:] == [4, 4, 4, 5, 5, 6]
    assert batch["weights"].tolist() == pytest.approx([1 / 12] * 12, abs=1e-6)


def test_too_many_completions_are_split_and_two_means_pair_by_pair(tiny: Path) -> None:
    from training.engine.grouping import elements

    pairs = pairs_of(tiny, ranked(4))
    assert [len(one.pairs) for one in elements(pairs, 2)] == [1] * 6
    parts = elements(pairs, 3)
    assert sum(len(one.pairs) for one in parts) == 6
    assert max(len(one.sides) for one in parts) == 3


def test_a_contested_pair_counts_by_its_votes_unless_told_otherwise(tiny: Path) -> None:
    from training.engine.grouping import elements
    from training.engine.ranking import Collator

    rows = ranked(2, prompts=2)
    rows[0]["weight"] = 0.75
    batch = [one.row() for one in elements(pairs_of(tiny, rows), 9)]
    assert Collator(0, weighted=True, margin_scale=0.0)(batch)["weights"].tolist() == [0.375, 0.5]
    assert Collator(0, weighted=False, margin_scale=0.0)(batch)["weights"].tolist() == [0.5, 0.5]


def test_a_run_has_the_loss_of_the_rewards_it_starts_with(tmp_path: Path, tiny: Path) -> None:
    """First loss and metrics = those of the base with the same new head, scored apart; margins and centering in."""
    import torch

    from training.engine.models import load_reward, load_tokenizer
    from training.engine.rows import encode
    from training.engine.scoring import rewards

    rows = ranked(3, prompts=2, margin=0.5)
    run = reward(tmp_path / "run", tiny, rows, margin_scale=2.0, center_rewards_coefficient=0.1)
    assert execute(run)["state"] == "succeeded"
    torch.manual_seed(17)
    tokenizer, model = load_tokenizer(tiny), load_reward(tiny, torch.float32).eval()
    encoded = [encode(tokenizer, row["prompt"], row[side]) for row in rows for side in ("chosen", "rejected")]
    scores = rewards(model, encoded, tokenizer.pad_token_id, 4)
    pairs = list(zip(scores[::2], scores[1::2], strict=True))
    terms = [math.log1p(math.exp(-(a - b - 1.0))) + 0.1 * (a + b) ** 2 for a, b in pairs]
    assert losses(run)[1] == pytest.approx(sum(terms) / 6, abs=1e-4)
    first = events(run, "metric")[0]
    assert first["accuracy"] == pytest.approx(sum(a > b for a, b in pairs) / 6, abs=1e-6)
    assert first["margin"] == pytest.approx(sum(a - b for a, b in pairs) / 6, abs=1e-4)
    assert first["mean_reward"] == pytest.approx(sum({round(score, 7) for score in scores}) / 6, abs=1e-4)


def test_grouped_rankings_are_learned(tmp_path: Path, tiny: Path) -> None:
    run = reward(tmp_path / "run", tiny, ranked(4, prompts=6), learning_rate=3e-3, max_steps=15)
    result = execute(run)
    assert result["metrics"]["prompts"] == 6
    assert events(run, "metric")[-1]["accuracy"] == 1.0
    assert result["metrics"]["train_accuracy"] == 1.0


def test_pairs_that_are_too_long_are_dropped_and_counted(tmp_path: Path, tiny: Path) -> None:
    rows = ranked(3)
    rows[0]["rejected"] = assistant("bread " * 300)
    run = reward(tmp_path / "run", tiny, rows, max_length=128)
    metrics = execute(run)["metrics"]
    assert (metrics["rows"], metrics["rows_dropped"]) == (3, 1)
    assert [row["name"] for row in events(run, "warning")] == ["overlong_rows"]


def test_margins_that_no_row_has_are_refused(tmp_path: Path, tiny: Path) -> None:
    run = reward(tmp_path / "run", tiny, ranked(2), margin_scale=1.0)
    assert execute(run)["error"]["class"] == "no_margins"


@pytest.mark.parametrize(("name", "value"), [("margin", "large"), ("weight", -1), ("margin", True)])
def test_a_number_that_is_none_names_its_row(tmp_path: Path, tiny: Path, name: str, value: Any) -> None:
    rows = [{**ranked(2)[0], name: value}]
    error = execute(reward(tmp_path / "run", tiny, rows))["error"]
    assert (error["class"], "p0-0-1" in error["message"], name in error["message"]) == ("bad_row", True, True)


def test_the_adapters_run_carries_the_trained_head(tmp_path: Path, tiny: Path) -> None:
    """With LoRA the new score head trains whole and is in the artifact: another draw of it would score otherwise."""
    from safetensors.torch import load_file

    from training.engine.models import load_reward

    run = reward(tmp_path / "run", tiny, ranked(4, prompts=3), lora_r=4, max_steps=4)
    assert execute(run)["state"] == "succeeded"
    import torch

    torch.manual_seed(17)
    fresh = load_reward(tiny, torch.float32).score.weight
    head = load_file(run / "artifact" / "model.safetensors")["score.weight"]
    assert not torch.equal(head, fresh)
    assert json.loads((run / "artifact" / "config.json").read_text())["architectures"] == [
        "LlamaForSequenceClassification"
    ]
