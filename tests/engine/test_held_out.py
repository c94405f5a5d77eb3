"""The held-out loss while a run learns, and the end when it no longer falls."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from tests.engine.runs import assistant, events, make_run, preference_rows, result, sft_rows
from training.engine.runner import execute

STEADY: dict[str, Any] = {
    "dtype": "float32",
    "lora_r": 0,
    "lr_scheduler": "constant",
    "warmup_ratio": 0.0,
    "learning_rate": 1e-3,
}


def against_itself(root: Path, tiny: Path, **settings: Any) -> Path:
    """The test split prefers what the train split rejects: whatever is learned, the held-out loss rises from step 1 on."""
    rows = preference_rows(8)
    turned = [{**row, "chosen": row["rejected"], "rejected": row["chosen"]} for row in rows]
    return make_run(
        root,
        "reward",
        models={"base": tiny},
        data={"train": rows, "test": turned},
        settings={
            **STEADY,
            "learning_rate": 1e-4,
            "center_rewards_coefficient": 0.0,
            "max_steps": 8,
            "evaluate_every": 1,
            "patience": 2,
            **settings,
        },
        checkpoint={"every_steps": 2},
    )


@pytest.fixture(scope="module")
def stopped_early(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Path:
    run = against_itself(tmp_path_factory.mktemp("early") / "run", tiny)
    assert execute(run)["state"] == "succeeded"
    return run


def evaluations(run: Path) -> list[tuple[int, float]]:
    return [(row["step"], row["eval_loss"]) for row in events(run, "metric") if "eval_loss" in row]


def test_it_stops_after_so_many_measurements_without_a_lower_loss(stopped_early: Path) -> None:
    """Lowest at step 1, then higher at 2 and 3: patience 2 is used up at 3 of 8 steps."""
    steps, losses = zip(*evaluations(stopped_early), strict=True)
    assert steps == (1, 2, 3)
    assert losses[0] < losses[1] < losses[2]
    found = result(stopped_early)
    assert (found["steps"], found["metrics"]["best_step"]) == (3, 1)
    assert found["metrics"]["best_eval_loss"] == pytest.approx(losses[0])


def test_the_best_weights_are_exported_not_the_last(tmp_path: Path, tiny: Path, stopped_early: Path) -> None:
    """Bit-equal to those of a run that had one step only."""
    short = against_itself(tmp_path / "run", tiny, max_steps=1)
    execute(short)
    weights = "model.safetensors"
    assert result(stopped_early)["artifact"]["files"][weights] == result(short)["artifact"]["files"][weights]
    assert not (stopped_early / "best").exists()


def test_a_run_stopped_between_remembers_its_best(tmp_path: Path, tiny: Path, stopped_early: Path) -> None:
    """Asked to stop after step 1, it goes on from that checkpoint to the same end and the same weights."""
    run = against_itself(tmp_path / "run", tiny)
    (run / "control").mkdir()
    (run / "control" / "stop").touch()
    assert execute(run)["state"] == "cancelled"
    assert (run / "best" / "step-000001").is_dir()
    again = execute(run)
    assert again["steps"] == 3
    assert again["artifact"]["sha256"] == result(stopped_early)["artifact"]["sha256"]


def test_the_loss_is_the_mean_over_rows_however_they_are_batched(tmp_path: Path, tiny: Path) -> None:
    """Three rows of 1 to 40 words, micro-batches of 2: the last batch is ragged. Mean of each row's own mean, by hand."""
    import torch

    from training.engine.models import load_causal, load_tokenizer
    from training.engine.rows import encode
    from training.engine.scoring import log_probabilities

    test = sft_rows(3)
    for row, words in zip(test, (1, 7, 40), strict=True):
        row["completion"] = assistant("bread " * words)
    run = make_run(
        tmp_path / "run",
        "sft",
        models={"base": tiny},
        data={"train": sft_rows(4), "test": test},
        settings={**STEADY, "learning_rate": 1e-12, "max_steps": 1, "batch_size": 2, "evaluate_every": 5},
    )
    assert execute(run)["state"] == "succeeded"
    tokenizer, model = load_tokenizer(tiny), load_causal(tiny, torch.float32).eval()
    encoded = [encode(tokenizer, row["prompt"], row["completion"]) for row in test]
    means = [-sum(row) / len(row) for row in log_probabilities(model, encoded, tokenizer.pad_token_id, 3)]
    assert evaluations(run) == [(1, pytest.approx(sum(means) / 3, abs=1e-4))]
    assert max(means) - min(means) > 0.1


def test_preference_training_measures_pairs_it_does_not_learn(tmp_path: Path, tiny: Path) -> None:
    rows = preference_rows(12)
    run = make_run(
        tmp_path / "run",
        "dpo",
        models={"base": tiny},
        data={"train": rows[:8], "test": rows[8:]},
        settings={**STEADY, "max_steps": 4, "evaluate_every": 2},
    )
    assert execute(run)["state"] == "succeeded"
    (first, before), (last, after) = evaluations(run)
    assert (first, last) == (2, 4)
    assert after < before < math.log(2)


def test_the_course_knows_its_best_and_how_long_ago_it_was() -> None:
    from training.engine.held_out import Course

    course = Course.of([{"step": 2, "eval_loss": 0.5}, {"step": 2, "loss": 9.0}, {"step": 4, "eval_loss": 0.4},
                        {"step": 6, "eval_loss": 0.4}, {"step": 8, "eval_loss": 0.6}])  # fmt: skip
    assert (course.best, course.stale) == ((4, 0.4), 2)
