"""Completions: reproducible, different, and on disk batch by batch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.engine.runs import make_run, prompt_rows
from training.engine.runner import execute

SETTINGS: dict[str, Any] = {"dtype": "float32", "max_new_tokens": 12, "batch_size": 4, "samples_per_prompt": 2}


def generate(root: Path, tiny: Path, prompts: int = 6, **settings: Any) -> Path:
    return make_run(
        root,
        "generate",
        models={"base": tiny},
        data={"prompts": prompt_rows(prompts)},
        settings={**SETTINGS, **settings},
    )


def rows(root: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (root / "output" / "completions.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Path:
    root = generate(tmp_path_factory.mktemp("generate") / "calm", tiny)
    assert execute(root)["state"] == "succeeded"
    return root


def test_every_prompt_gets_its_samples_with_what_decided_them(calm: Path) -> None:
    written = rows(calm)
    assert sorted((row["prompt_id"], row["sample"]) for row in written) == [
        (f"q{number}", sample) for number in range(6) for sample in range(2)
    ]
    assert len({row["seed"] for row in written}) == 12
    for row in written:
        assert row["completion_tokens"] == len(row["tokens"]) <= 12
        assert row["finish_reason"] == ("stop" if row["completion_tokens"] < 12 else row["finish_reason"])
        assert row["sampling"]["temperature"] == 1.0


@pytest.mark.parametrize("kept", ["one batch", "a batch and a half", "a torn line"])
def test_a_killed_run_goes_on_to_the_same_texts(tmp_path: Path, tiny: Path, calm: Path, kept: str) -> None:
    root = generate(tmp_path / "killed", tiny)
    lines = (calm / "output" / "completions.jsonl").read_text().splitlines(keepends=True)
    left = {"one batch": lines[:4], "a batch and a half": lines[:6], "a torn line": [*lines[:5], lines[5][:20]]}[kept]
    (root / "output").mkdir()
    (root / "output" / "completions.jsonl").write_text("".join(left))
    assert execute(root)["state"] == "succeeded"
    assert rows(root) == rows(calm)


def test_a_stop_between_batches_leaves_whole_batches(tmp_path: Path, tiny: Path, calm: Path) -> None:
    root = generate(tmp_path / "stopped", tiny)
    (root / "control").mkdir()
    (root / "control" / "stop").touch()
    assert execute(root)["state"] == "cancelled"
    assert execute(root)["state"] == "succeeded"
    assert rows(root) == rows(calm)


def test_equal_samples_are_drawn_again(tmp_path: Path, tiny: Path) -> None:
    """One new token from two candidates: about half of all second samples repeat the first before a redraw."""
    settings = {"max_new_tokens": 1, "top_k": 2, "top_p": 1.0}
    plain = generate(tmp_path / "plain", tiny, 12, **settings, max_redraws=0)
    redrawn = generate(tmp_path / "redrawn", tiny, 12, **settings, max_redraws=12)
    assert execute(plain)["metrics"]["duplicates"] > 0
    result = execute(redrawn)["metrics"]
    assert result["duplicates"] == 0
    assert result["redrawn"] > 0


def test_a_text_depends_on_its_seed_and_not_on_its_batch(tmp_path: Path, tiny: Path, calm: Path) -> None:
    alone = generate(tmp_path / "alone", tiny, batch_size=2)
    execute(alone)
    texts = {(row["prompt_id"], row["sample"]): row["text"] for row in rows(calm)}
    assert {(row["prompt_id"], row["sample"]): row["text"] for row in rows(alone)} == texts


def test_the_nucleus_holds_the_fewest_tokens_that_reach_its_mass() -> None:
    """Chances .5 .3 .15 .05: top_p .75 keeps .5 and .3, so u = .62 gives the first (.62 * .8 = .496 < .5), .63 the second."""
    import torch

    from training.engine.hyperparameters.making import Generate
    from training.engine.sampling import draw

    logits = torch.tensor([[0.05, 0.3, 0.5, 0.15]]).log()
    settings = Generate(top_p=0.75)
    picks = [int(draw(logits, torch.tensor([u], dtype=torch.float64), settings)) for u in (0.0, 0.62, 0.63, 0.999999)]
    assert picks == [2, 2, 1, 1]


def test_sampling_follows_the_distribution() -> None:
    """20,000 draws at temperature 2 from logits (0, 2 ln 3): chances 1/4 and 3/4, standard error .003."""
    import torch

    from training.engine.hyperparameters.making import Generate
    from training.engine.sampling import draw

    logits = torch.tensor([[0.0, 2 * 1.0986123]]).repeat(20000, 1)
    uniforms = torch.rand(20000, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    share = draw(logits, uniforms, Generate(temperature=2.0, top_p=1.0)).float().mean().item()
    assert share == pytest.approx(0.75, abs=0.012)
