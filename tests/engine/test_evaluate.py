"""Held-out evaluation, per row and resumable by stage."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from tests.engine.runs import make_run, preference_rows, prompt_rows
from training.engine.runner import execute

SETTINGS: dict[str, Any] = {"dtype": "float32", "max_new_tokens": 8, "batch_size": 4, "top_p": 1.0}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    quick = {"dtype": "float32", "learning_rate": 3e-3, "max_steps": 12, "lora_r": 8}
    for method in ("reward", "dpo"):
        run = make_run(root / method, method, models={"base": tiny}, data={"train": preference_rows()}, settings=quick)
        assert execute(run)["state"] == "succeeded"
    return {"reward_model": root / "reward" / "artifact", "policy": root / "dpo" / "artifact"}


def evaluate(root: Path, policy: Path, tiny: Path, reward: Path) -> Path:
    return make_run(
        root,
        "evaluate",
        models={"base": policy, "baseline": tiny, "reference": tiny, "reward_model": reward},
        data={"prompts": prompt_rows(6), "test": preference_rows(30)[24:]},
        settings=SETTINGS,
    )


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, models: dict[str, Path], tiny: Path) -> Path:
    root = evaluate(tmp_path_factory.mktemp("evaluate") / "run", models["policy"], tiny, models["reward_model"])
    assert execute(root)["state"] == "succeeded"
    return root


def test_every_stage_writes_its_rows(done: Path) -> None:
    output = done / "output"
    pairs, scored, kl = (lines(output / f"{name}.jsonl") for name in ("pairs", "rewards", "kl"))
    assert [row["id"] for row in pairs] == [f"p{number}" for number in range(24, 30)]
    assert {(row["model"], row["prompt_id"]) for row in scored} == {
        (model, f"q{number}") for model in ("policy", "baseline") for number in range(6)
    }
    assert len(kl) == 6
    assert all(row["k3"] >= 0 for row in kl)


def test_the_means_are_those_of_the_rows(done: Path) -> None:
    metrics = json.loads((done / "result.json").read_text())["metrics"]
    pairs, kl = lines(done / "output" / "pairs.jsonl"), lines(done / "output" / "kl.jsonl")
    right = sum(row["chosen"]["reward"] > row["rejected"]["reward"] for row in pairs)
    assert metrics["reward_accuracy"] == right / 6
    assert metrics["kl_sequence_k1"] == pytest.approx(sum(row["k1"] for row in kl) / 6)
    assert metrics["kl_token_k1"] == pytest.approx(sum(row["k1"] for row in kl) / sum(row["tokens"] for row in kl))
    assert metrics["kl_whole_distribution"] is True
    assert metrics["reward_win_rate_n"] == 6


def test_a_killed_evaluation_skips_the_stages_it_finished(tmp_path: Path, done: Path) -> None:
    import shutil

    again = tmp_path / "run"
    shutil.copytree(done, again)
    before = json.loads((again / "result.json").read_text())["metrics"]
    (again / "result.json").unlink()
    (again / "output" / "kl.jsonl").unlink()
    stamp = (again / "output" / "rewards.jsonl").stat().st_mtime_ns
    after = execute(again)["metrics"]
    assert (again / "output" / "rewards.jsonl").stat().st_mtime_ns == stamp
    assert {key: after[key] for key in before if "second" not in key and key != "pairs_resumed"} == {
        key: before[key] for key in before if "second" not in key and key != "pairs_resumed"
    }


def test_a_model_does_not_differ_from_itself(tmp_path: Path, models: dict[str, Path], tiny: Path) -> None:
    run = evaluate(tmp_path / "run", tiny, tiny, models["reward_model"])
    metrics = execute(run)["metrics"]
    assert metrics["kl_sequence_k1"] == pytest.approx(0.0, abs=1e-5)
    assert metrics["reward_win_rate"] == 0.5


def test_divergence_of_two_tokens() -> None:
    """log p = (ln 1/2, ln 1/2), log q = (ln 1/4, ln 1/2): k1 = ln 2; k3 = (1/2 - 1 + ln 2) + 0 = 0.1931."""
    from training.engine.evaluate import divergence

    found = divergence([math.log(0.5), math.log(0.5)], [math.log(0.25), math.log(0.5)])
    assert found["k1"] == pytest.approx(0.693147, abs=1e-6)
    assert found["k3"] == pytest.approx(0.193147, abs=1e-6)
    assert found["tokens"] == 2


def test_ties_count_one_half() -> None:
    """Left wins, ties, loses: (1 + 1/2 + 0) / 3 = 1/2."""
    from training.engine.scoring import share_preferred

    assert share_preferred([2.0, 1.0, 0.0], [1.0, 1.0, 1.0]) == 0.5
