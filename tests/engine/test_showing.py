"""What a model writes to the same prompts as it learns: at the steps asked for, and without a trace in what is learned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.engine.runs import events, losses, make_run, preference_rows, question, result, sft_rows
from training.engine.fields import SpecError
from training.engine.runner import execute
from training.engine.spec import load

PLAIN: dict[str, Any] = {"dtype": "float32", "lora_r": 0, "learning_rate": 5e-3, "max_steps": 5, "batch_size": 4}


def shown(run: Path) -> list[dict[str, Any]]:
    return [row for row in events(run, "sample") if row.get("fixed")]


def sft(root: Path, tiny: Path, **settings: Any) -> Path:
    data = {"train": sft_rows(8)}
    return make_run(root, "sft", models={"base": tiny}, data=data, settings={**PLAIN, "dropout": 0.2, **settings})


@pytest.fixture(scope="module")
def looked_at(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Path:
    run = sft(
        tmp_path_factory.mktemp("shown") / "run", tiny, show_every=2, show_prompts="Bread?\n\nWhere?", show_tokens=6
    )
    assert execute(run)["state"] == "succeeded", result(run)
    return run


def test_it_writes_before_the_first_step_at_each_second_one_and_at_the_end(looked_at: Path) -> None:
    found = [(row["step"], row["prompt"]) for row in shown(looked_at)]
    assert found == [(step, words) for step in (0, 2, 4, 5) for words in ("Bread?", "Where?")]
    texts = [row["text"] for row in shown(looked_at) if row["prompt"] == "Bread?"]
    assert texts[0] != texts[-1], "five steps at a high rate change what is likeliest"


def test_looking_changes_nothing_that_is_learned(tmp_path: Path, tiny: Path, looked_at: Path) -> None:
    """The same seed without looking: every loss and the digest of the weights are the same, dropout included."""
    alone = sft(tmp_path / "alone", tiny)
    assert execute(alone)["state"] == "succeeded"
    assert losses(alone) == losses(looked_at)
    weights = [result(run)["artifact"]["files"]["model.safetensors"] for run in (alone, looked_at)]
    assert weights[0] == weights[1]


def test_without_prompts_the_first_held_out_ones_are_taken(tmp_path: Path, tiny: Path) -> None:
    rows = preference_rows(12)
    data = {"train": rows[:8], "test": [rows[8], rows[8], *rows[9:]]}
    settings = {**PLAIN, "lora_r": 4, "max_steps": 1, "evaluate_every": 1, "show_every": 5, "show_tokens": 3}
    run = make_run(tmp_path / "run", "dpo", models={"base": tiny}, data=data, settings=settings)
    assert execute(run)["state"] == "succeeded", result(run)
    asked = [question(number)[0]["content"] for number in (8, 9, 10)]
    assert [(row["step"], row["prompt"]) for row in shown(run)] == [(step, words) for step in (0, 1) for words in asked]


def test_every_metric_says_how_much_memory_is_held(looked_at: Path) -> None:
    held = [row["memory_mb"] for row in events(looked_at, "metric")]
    assert len(held) == 5
    assert all(100 < one <= result(looked_at)["peak_rss_mb"] + 1 for one in held)


@pytest.mark.parametrize(
    ("settings", "parallelism", "word"),
    [
        ({"show_prompts": "Bread?"}, {}, "without show_every"),
        ({"show_tokens": 3}, {}, "without show_every"),
        ({"show_every": 1, "show_prompts": " \n"}, {}, "names no prompt"),
        ({"show_every": 1}, {"world_size": 2, "zero_stage": 3}, "whole weights"),
    ],
)
def test_what_would_show_nothing_is_refused(
    tmp_path: Path, tiny: Path, settings: dict[str, Any], parallelism: dict[str, Any], word: str
) -> None:
    data = {"train": sft_rows(8)}
    run = make_run(
        tmp_path / "run", "sft", models={"base": tiny}, data=data, settings=settings, parallelism=parallelism
    )
    with pytest.raises(SpecError, match=word):
        load(run / "spec.json")
