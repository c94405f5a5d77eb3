"""sft, reward and dpo in this process, on the tiny model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.engine.runs import assistant, events, losses, make_run, preference_rows, question, sft_rows
from training.engine.runner import execute

QUICK: dict[str, Any] = {"dtype": "float32", "learning_rate": 3e-3}


def sft(root: Path, tiny: Path, rows: list[dict[str, Any]] | None = None, **settings: Any) -> Path:
    return make_run(
        root,
        "sft",
        models={"base": tiny},
        data={"train": rows or sft_rows()},
        settings={**QUICK, "lora_r": 0, "max_steps": 8, **settings},
        checkpoint={"every_steps": 3, "keep": 2},
    )


@pytest.fixture(scope="module")
def reward_run(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Path:
    root = make_run(
        tmp_path_factory.mktemp("reward") / "run",
        "reward",
        models={"base": tiny},
        data={"train": preference_rows(), "test": preference_rows(30)[24:]},
        settings={**QUICK, "lora_r": 8, "max_steps": 20},
    )
    assert execute(root)["state"] == "succeeded"
    return root


def test_a_stopped_run_goes_on_to_the_same_weights(tmp_path: Path, tiny: Path) -> None:
    """Stopped after its first step: the checkpoint, the remaining steps and the sha256 equal those of a calm run."""
    calm, stopped = sft(tmp_path / "calm", tiny, lora_r=8), sft(tmp_path / "stopped", tiny, lora_r=8)
    whole = execute(calm)
    (stopped / "control").mkdir()
    (stopped / "control" / "stop").touch()
    first = execute(stopped)
    assert (first["state"], first["checkpoint"]) == ("cancelled", "step-000001")
    second = execute(stopped)
    assert [row["step"] for row in events(stopped, "phase") if row["name"] == "resumed"] == [1]
    assert losses(stopped) == losses(calm)
    assert second["artifact"]["files"]["model.safetensors"] == whole["artifact"]["files"]["model.safetensors"]


def test_a_torn_checkpoint_is_reported_and_the_one_before_is_used(tmp_path: Path, tiny: Path) -> None:
    run = sft(tmp_path / "run", tiny)
    whole = execute(run)
    (run / "result.json").unlink()
    (run / "checkpoints" / "step-000006" / "model.safetensors").write_bytes(b"torn")
    again = execute(run)
    assert [row["checkpoint"] for row in events(run, "warning")] == ["step-000006"]
    assert [row["step"] for row in events(run, "phase") if row["name"] == "resumed"] == [3]
    assert again["artifact"]["sha256"] == whole["artifact"]["sha256"]


def test_a_checkpoint_of_another_seed_is_refused(tmp_path: Path, tiny: Path) -> None:
    run = sft(tmp_path / "run", tiny, max_steps=4)
    execute(run)
    (run / "result.json").unlink()
    spec = json.loads((run / "spec.json").read_text())
    (run / "spec.json").write_text(json.dumps({**spec, "seed": 18}))
    assert execute(run)["error"]["class"] == "checkpoint_spec"


def test_a_succeeded_run_is_left_as_it_is(tmp_path: Path, tiny: Path) -> None:
    run = sft(tmp_path / "run", tiny, max_steps=1)
    first = execute(run)
    size = (run / "events.jsonl").stat().st_size
    assert execute(run) == first
    assert (run / "events.jsonl").stat().st_size == size


def test_a_checkpoint_can_be_asked_for(tmp_path: Path, tiny: Path) -> None:
    run = sft(tmp_path / "run", tiny, max_steps=3)
    (run / "control").mkdir()
    (run / "control" / "checkpoint-now").touch()
    assert execute(run)["state"] == "succeeded"
    assert (run / "checkpoints" / "step-000001" / "manifest.json").exists()
    assert not (run / "control" / "checkpoint-now").exists()


def test_supervised_training_teaches_the_end_of_the_turn(tmp_path: Path, tiny: Path) -> None:
    """Mean chance of EOS after a whole completion: near 1/512 in the random model, above one half once trained."""
    run = sft(tmp_path / "run", tiny, max_steps=40, learning_rate=1e-2)
    assert execute(run)["state"] == "succeeded"
    assert end_chance(tiny) < 0.02
    assert end_chance(run / "artifact") > 0.5


def end_chance(path: Path) -> float:
    import torch

    from training.engine.models import load_causal, load_tokenizer
    from training.engine.rows import encode
    from training.engine.scoring import log_probabilities

    tokenizer, model = load_tokenizer(path), load_causal(path, torch.float32).eval()
    rows = [encode(tokenizer, row["prompt"], row["completion"]) for row in sft_rows(4)]
    assert all(row.completion[-1] == tokenizer.eos_token_id != tokenizer.pad_token_id for row in rows)
    ends = [values[-1] for values in log_probabilities(model, rows, tokenizer.pad_token_id, 2)]
    return float(torch.tensor(ends).exp().mean())


@pytest.mark.parametrize(("overlong", "dropped", "truncated"), [("drop", 2, 0), ("truncate", 0, 2)])
def test_overlong_rows_are_counted(tmp_path: Path, tiny: Path, overlong: str, dropped: int, truncated: int) -> None:
    rows = sft_rows(8)
    for row in rows[:2]:
        row["completion"] = assistant("bread " * 300)
    run = sft(tmp_path / "run", tiny, rows, max_steps=1, max_length=128, overlong=overlong)
    metrics = execute(run)["metrics"]
    assert (metrics["rows"], metrics["rows_dropped"], metrics["rows_truncated"]) == (8, dropped, truncated)
    assert [row["name"] for row in events(run, "warning")] == ["overlong_rows"]


def test_the_artifact_says_how_to_sample_and_loads_without_adapters(tmp_path: Path, tiny: Path) -> None:
    run = sft(tmp_path / "run", tiny, max_steps=1, lora_r=4)
    execute(run)
    files = {path.name for path in (run / "artifact").iterdir()}
    assert {"model.safetensors", "tokenizer.json", "chat_template.jinja", "generation_config.json"} <= files
    assert not any("adapter" in name for name in files)
    assert json.loads((run / "artifact" / "generation_config.json").read_text())["do_sample"] is True


def test_preference_training_widens_the_margin(tmp_path: Path, tiny: Path) -> None:
    """The policy starts as its reference: margin 0 and loss ln 2 = 0.6931 at the first step."""
    run = make_run(
        tmp_path / "run",
        "dpo",
        models={"base": tiny},
        data={"train": preference_rows()},
        settings={**QUICK, "lora_r": 8, "max_steps": 12},
    )
    assert execute(run)["state"] == "succeeded"
    rows = events(run, "metric")
    assert rows[0]["loss"] == pytest.approx(0.6931, abs=1e-4)
    assert rows[0]["rewards/margins"] == pytest.approx(0.0, abs=1e-6)
    assert rows[-1]["rewards/margins"] > 0.05


def test_full_preference_training_keeps_its_own_reference(tmp_path: Path, tiny: Path) -> None:
    run = make_run(
        tmp_path / "run",
        "dpo",
        models={"base": tiny},
        data={"train": preference_rows()},
        settings={**QUICK, "learning_rate": 1e-3, "lora_r": 0, "max_steps": 6},
    )
    assert execute(run)["state"] == "succeeded"
    rows = events(run, "metric")
    assert rows[0]["loss"] == pytest.approx(0.6931, abs=1e-4)
    assert rows[-1]["rewards/margins"] > rows[0]["rewards/margins"]


def test_a_reward_model_learns_and_carries_its_scale(reward_run: Path) -> None:
    result = json.loads((reward_run / "result.json").read_text())
    config = json.loads((reward_run / "artifact" / "config.json").read_text())
    assert result["metrics"]["test_accuracy"] == 1.0
    assert config["reward_mean"] == result["metrics"]["reward_mean"]
    assert config["reward_std"] > 0
    assert config["pad_token_id"] not in (None, config["eos_token_id"])


def test_a_saved_reward_model_scores_the_same_alone_in_a_batch_and_padded(reward_run: Path) -> None:
    """Loaded twice, batches of 1 and of 7 rows of different lengths: equal within float32 rounding."""
    import torch

    from training.engine.models import load_reward, load_tokenizer
    from training.engine.rows import encode
    from training.engine.scoring import rewards

    path = reward_run / "artifact"
    tokenizer = load_tokenizer(path)
    rows = [encode(tokenizer, question(number), assistant("bread " * (1 + 3 * number))) for number in range(7)]
    first = rewards(load_reward(path, torch.float32).eval(), rows, tokenizer.pad_token_id, 1)
    second = rewards(load_reward(path, torch.float32).eval(), rows, tokenizer.pad_token_id, 7)
    assert first == pytest.approx(second, abs=1e-5)
    assert len(set(first)) == 7
