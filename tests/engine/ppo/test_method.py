"""PPO runs in this process, from spec.json to result.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.engine.runs import events, make_run, prompt_rows
from training.engine.runner import execute

QUICK: dict[str, Any] = {
    "dtype": "float32",
    "batch_size": 8,
    "minibatches": 2,
    "micro_batch_size": 2,
    "update_epochs": 2,
    "max_new_tokens": 8,
    "max_steps": 4,
    "lora_r": 0,
    "learning_rate": 1e-3,
}
CHANCE = ("seconds_", "samples_per_second", "tokens_per_second", "memory_mb")


def ppo(root: Path, tiny: Path, judge: Path, checkpoint: dict[str, Any] | None = None, **settings: Any) -> Path:
    return make_run(
        root,
        "ppo",
        models={"base": tiny, "reward_model": judge},
        data={"prompts": prompt_rows(6)},
        settings={**QUICK, **settings},
        checkpoint=checkpoint or {"every_steps": 2, "keep": 2},
    )


def curves(root: Path) -> dict[int, dict[str, Any]]:
    """Metrics by step, without those that depend on the machine; a step run again counts with its last values."""
    return {
        row["step"]: {name: value for name, value in row.items() if not name.startswith(CHANCE)}
        for row in events(root, "metric")
    }


@pytest.mark.parametrize(
    "settings",
    [{}, {"value_model": "head"}, {"lora_r": 4}, {"lora_r": 4, "value_model": "trunk"}, {"dtype": "bfloat16"}],
    ids=["trunk", "head", "adapters", "adapters-trunk", "bfloat16"],
)
def test_a_run_ends_with_a_model_that_loads(
    tmp_path: Path, tiny: Path, tiny_judge: Path, settings: dict[str, Any]
) -> None:
    from training.engine.models import load_causal, load_tokenizer

    run = ppo(tmp_path / "run", tiny, tiny_judge, **settings, max_steps=2)
    result = execute(run)
    assert result["state"] == "succeeded", result["error"]
    rows = curves(run)
    assert sorted(rows) == [1, 2]
    assert all(rows[1][name] is not None for name in ("loss", "value_loss", "score", "kl", "entropy", "eos_rate"))
    assert rows[1]["kl"] == pytest.approx(0.0, abs=1e-4 if settings.get("dtype") != "bfloat16" else 0.5)
    assert rows[1]["ratio_error"] < (1e-5 if settings.get("dtype") != "bfloat16" else 1e-1)
    load_tokenizer(run / "artifact")
    assert load_causal(run / "artifact", "float32").num_parameters() == load_causal(tiny, "float32").num_parameters()


STATEFUL: dict[str, Any] = {"kl_target": 2.0, "kl_coefficient": 0.1, "kl_horizon": 50, "lr_scheduler": "cosine"}


@pytest.mark.parametrize("settings", [{}, {"lora_r": 4}], ids=["trunk", "adapters"])
def test_a_stopped_run_goes_on_to_the_same_numbers_and_weights(
    tmp_path: Path, tiny: Path, tiny_judge: Path, settings: dict[str, Any]
) -> None:
    """Stopped after its first step, with a coefficient that adapts: every metric and the sha256 equal a calm run's."""
    calm, stopped = (ppo(tmp_path / name, tiny, tiny_judge, **settings, **STATEFUL) for name in ("calm", "stopped"))
    whole = execute(calm)
    (stopped / "control").mkdir()
    (stopped / "control" / "stop").touch()
    first = execute(stopped)
    assert (first["state"], first["checkpoint"]) == ("cancelled", "step-000001")
    second = execute(stopped)
    assert [row["step"] for row in events(stopped, "phase") if row["name"] == "resumed"] == [1]
    assert curves(stopped) == curves(calm)
    assert sorted(curves(calm)) == [1, 2, 3, 4]
    assert curves(calm)[1]["kl_coefficient"] != curves(calm)[4]["kl_coefficient"]
    weights = "model.safetensors"
    assert second["artifact"]["files"][weights] == whole["artifact"]["files"][weights]


def test_prompts_without_room_are_counted_and_none_left_is_an_error(
    tmp_path: Path, tiny: Path, tiny_judge: Path
) -> None:
    run = ppo(tmp_path / "run", tiny, tiny_judge, max_steps=1, max_length=25)
    assert execute(run)["metrics"]["prompts_dropped"] == 3
    assert [row["name"] for row in events(run, "warning")] == ["overlong_prompts"]
    none = ppo(tmp_path / "none", tiny, tiny_judge, max_steps=1, max_length=12)
    assert execute(none)["error"]["class"] == "no_prompts_left"


def test_a_reward_model_without_a_scale_is_refused_unless_raw_scores_are_asked_for(
    tmp_path: Path, tiny: Path, tiny_judge: Path
) -> None:
    import json
    import shutil

    bare = Path(shutil.copytree(tiny_judge, tmp_path / "bare"))
    config = json.loads((bare / "config.json").read_text())
    del config["reward_mean"]
    (bare / "config.json").write_text(json.dumps(config))
    refused = execute(ppo(tmp_path / "run", tiny, bare, max_steps=1))
    assert refused["error"]["class"] == "no_reward_scale"
    assert execute(ppo(tmp_path / "raw", tiny, bare, max_steps=1, score_normalization="none"))["state"] == "succeeded"


def test_samples_show_every_token_with_its_numbers(tmp_path: Path, tiny: Path, tiny_judge: Path) -> None:
    run = ppo(tmp_path / "run", tiny, tiny_judge, max_steps=3, sample_every=2)
    execute(run)
    samples = events(run, "sample")
    assert [row["step"] for row in samples] == [1, 1, 3, 3]
    for row in samples:
        columns = ("log_probability", "kl", "value", "reward", "advantage")
        assert {len(row[name]) for name in columns} == {len(row["tokens"])}
        assert row["text"] is not None
