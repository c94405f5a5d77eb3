"""Settings that every method shares: what they do to a run, and what the defaults are for models of different sizes."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.engine.runs import events, losses, make_run, preference_rows, sft_rows
from training.engine.hyperparameters.offline import DPO, SFT
from training.engine.hyperparameters.shared import learning_rate
from training.engine.runner import execute


def sft(root: Path, tiny: Path, **settings: Any) -> Path:
    quick = {"dtype": "float32", "lora_r": 0, "learning_rate": 3e-3, "warmup_ratio": 0.0, "max_steps": 3}
    run = make_run(root, "sft", models={"base": tiny}, data={"train": sft_rows(8)}, settings={**quick, **settings})
    assert execute(run)["state"] == "succeeded"
    return run


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Path:
    return sft(tmp_path_factory.mktemp("plain") / "run", tiny)


@pytest.mark.parametrize(
    ("settings", "parameters", "rate"),
    [
        (SFT(), 135 * 10**6, 2e-4),
        (SFT(), 7 * 10**9, 2e-4),
        (SFT(), 70 * 10**9, 1e-4),
        (SFT(lora_r=0), 135 * 10**6, 4e-5),
        (SFT(lora_r=0), 7 * 10**9, 2e-5),
        (SFT(lora_r=0), 70 * 10**9, 1e-5),
        (DPO(lora_r=0), 70 * 10**9, 5e-7),
        (SFT(learning_rate=3e-4), 70 * 10**9, 3e-4),
    ],
)
def test_the_default_learning_rate_follows_the_models_size(settings: Any, parameters: int, rate: float) -> None:
    assert learning_rate(settings, parameters) == pytest.approx(rate)


def test_a_run_says_which_learning_rate_it_took(tmp_path: Path, tiny: Path) -> None:
    """The tiny model has about a million parameters: twice the method's 2e-5."""
    import torch

    from training.engine.models import load_causal, parameters_of

    result = execute(sft(tmp_path / "run", tiny, learning_rate=None, max_steps=1))
    assert result["metrics"]["learning_rate"] == pytest.approx(4e-5)
    assert parameters_of(tiny) == sum(one.numel() for one in load_causal(tiny, torch.float32).parameters())


def test_the_cosine_ends_where_it_is_told(tmp_path: Path, tiny: Path) -> None:
    """Step k of 4 runs at peak x (0.2 + 0.8 x (1 + cos(pi k / 4)) / 2), k from 0."""
    run = sft(tmp_path / "run", tiny, lr_scheduler="cosine_with_min_lr", min_lr_ratio=0.2, max_steps=4)
    expected = [3e-3 * (0.2 + 0.8 * (1 + math.cos(math.pi * step / 4)) / 2) for step in range(4)]
    assert [row["learning_rate"] for row in events(run, "metric")] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("lora", [0, 4])
def test_activation_checkpointing_changes_memory_and_no_number(
    tmp_path: Path, tiny: Path, plain: Path, lora: int
) -> None:
    run = sft(tmp_path / "run", tiny, activation_checkpointing=True, lora_r=lora)
    kept = plain if lora == 0 else sft(tmp_path / "kept", tiny, lora_r=lora)
    assert losses(run) == pytest.approx(losses(kept), abs=1e-5)


def test_bfloat16_learns_much_the_same_and_is_stored_as_the_base_was(tmp_path: Path, tiny: Path, plain: Path) -> None:
    import json

    run = sft(tmp_path / "run", tiny, dtype="bfloat16")
    assert losses(run) == pytest.approx(losses(plain), rel=0.02)
    assert losses(run) != losses(plain)
    assert json.loads((run / "artifact" / "config.json").read_text())["dtype"] == "float32"


def test_dropout_is_set_in_the_layers_and_not_kept_in_the_artifact(tmp_path: Path, tiny: Path, plain: Path) -> None:
    """Written into the config of a loaded model it would do nothing: the first loss would equal the plain run's."""
    import json

    run = sft(tmp_path / "run", tiny, dropout=0.5)
    assert losses(run)[1] != pytest.approx(losses(plain)[1], abs=1e-3)
    assert json.loads((run / "artifact" / "config.json").read_text())["attention_dropout"] == 0.0


def test_weight_decay_shrinks_the_weights(tmp_path: Path, tiny: Path, plain: Path) -> None:
    """Decoupled: each step takes learning_rate x decay off a weight, 3e-3 x 10 three times (the schedule falls to 2/3, 1/3)."""
    from safetensors.torch import load_file

    run = sft(tmp_path / "run", tiny, weight_decay=10.0)
    norms = [
        float(load_file(path / "artifact" / "model.safetensors")["model.layers.0.mlp.up_proj.weight"].norm())
        for path in (run, plain)
    ]
    assert norms[0] < norms[1] * 0.98


def test_nothing_is_left_to_trls_defaults_that_would_be_wrong_here(tmp_path: Path, tiny: Path) -> None:
    """bf16, activation checkpointing and the devices are stated; nothing is reported anywhere."""
    from trl import DPOConfig

    from training.engine.context import Context
    from training.engine.events import EventLog
    from training.engine.files import RunDir
    from training.engine.spec import load
    from training.engine.trainer import arguments
    from training.engine.world import World

    rows = {"train": preference_rows(4)}
    root = make_run(tmp_path / "run", "dpo", models={"base": tiny}, data=rows, settings={"dtype": "float32"})
    context = Context(load(root / "spec.json"), RunDir(root), EventLog(None), World(0, 1, "python"), False)
    made = arguments(context, DPOConfig)
    assert (made.bf16, made.activation_checkpointing, made.use_cpu) == (False, False, True)
    assert (made.report_to, made.max_length, made.save_strategy) == ([], None, "no")
    assert made.disable_dropout is True


def test_a_run_by_hand_phones_nobody(tiny: Path) -> None:
    """The launcher's environment says so; without a launcher the engine does, before the hub's client reads it."""
    code = (
        "from training.engine.runner import _quiet; _quiet();"
        "from huggingface_hub import constants; print(constants.HF_HUB_DISABLE_TELEMETRY)"
    )
    environment = {name: value for name, value in os.environ.items() if name != "HF_HUB_DISABLE_TELEMETRY"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "True"
