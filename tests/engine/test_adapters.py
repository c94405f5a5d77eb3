"""An adapter as artifact: small, read like any model, and refused on another base."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.engine.runs import assistant, make_run, preference_rows, question, sft_rows
from training.engine.errors import EngineError
from training.engine.runner import execute


def trained(root: Path, method: str, base: Path, **settings: Any) -> Path:
    rows = sft_rows(8) if method == "sft" else preference_rows(8)
    quick = {"dtype": "float32", "lora_r": 4, "learning_rate": 3e-3, "max_steps": 2, "warmup_ratio": 0.0}
    run = make_run(root, method, models={"base": base}, data={"train": rows}, settings={**quick, **settings})
    assert execute(run)["state"] == "succeeded"
    return run / "artifact"


@pytest.fixture(scope="module")
def own_base(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Path:
    return shutil.copytree(tiny, tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory, own_base: Path) -> Path:
    return trained(tmp_path_factory.mktemp("adapter") / "run", "sft", own_base, artifact="adapter")


def values(path: Path, kind: str) -> list[Any]:
    """Log-probabilities, or rewards, of three rows under the model in a folder."""
    import torch

    from training.engine import models, scoring
    from training.engine.rows import encode

    tokenizer = models.load_tokenizer(path)
    rows = [encode(tokenizer, question(number), assistant("bread " * (1 + number))) for number in range(3)]
    if kind == "reward":
        return scoring.rewards(models.load_reward(path, torch.float32).eval(), rows, tokenizer.pad_token_id, 3)
    found = scoring.log_probabilities(models.load_causal(path, torch.float32).eval(), rows, tokenizer.pad_token_id, 3)
    return [value for row in found for value in row]


def test_an_adapter_answers_as_the_merged_model_and_takes_little_room(
    tmp_path: Path, own_base: Path, adapter: Path
) -> None:
    merged = trained(tmp_path / "merged", "sft", own_base)
    assert values(adapter, "sft") == pytest.approx(values(merged, "sft"), abs=1e-6)
    assert values(adapter, "sft") != pytest.approx(values(own_base, "sft"), abs=1e-3)
    size = (adapter / "adapter_model.safetensors").stat().st_size
    assert size < (merged / "model.safetensors").stat().st_size / 5
    assert not (adapter / "model.safetensors").exists()


def test_a_server_loads_it_from_a_folder_without_its_config(tmp_path: Path, adapter: Path) -> None:
    """transformers then finds the base by itself; with a config.json it would look for whole weights."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from training.engine.models import load_causal

    folder = shutil.copytree(adapter, tmp_path / "served", ignore=shutil.ignore_patterns("config.json"))
    ids = torch.tensor([AutoTokenizer.from_pretrained(folder)("the river")["input_ids"]])
    theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()(ids).logits
    assert torch.allclose(theirs, load_causal(adapter, torch.float32).eval()(ids).logits, atol=1e-5)


def test_its_size_counts_the_base(own_base: Path, adapter: Path) -> None:
    from training.engine.models import parameters_of
    from training.engine.preflight.size import size_of

    assert size_of(adapter) == size_of(own_base)
    assert parameters_of(adapter) > parameters_of(own_base)


def test_a_reward_adapter_carries_its_head_and_its_scale(tmp_path: Path, own_base: Path) -> None:
    from training.engine.models import load_reward, load_trunk
    from training.engine.ppo.networks import stored_scale

    path = trained(tmp_path / "adapter", "reward", own_base, artifact="adapter")
    merged = trained(tmp_path / "merged", "reward", own_base)
    assert values(path, "reward") == pytest.approx(values(merged, "reward"), abs=1e-5)
    import torch

    config = load_reward(path, torch.float32).config
    assert stored_scale(config).deviation > 0
    assert json.loads((path / "config.json").read_text())["architectures"] == ["LlamaForSequenceClassification"]
    assert type(load_trunk(path, torch.float32)).__name__ == "LlamaModel"


def test_training_goes_on_from_an_adapter_and_ends_merged(tmp_path: Path, adapter: Path) -> None:
    path = trained(tmp_path / "next", "sft", adapter)
    assert (path / "model.safetensors").exists()
    assert values(path, "sft") != pytest.approx(values(adapter, "sft"), abs=1e-4)


def test_an_adapter_on_an_adapter_is_refused_before_training(tmp_path: Path, adapter: Path) -> None:
    run = make_run(
        tmp_path / "run",
        "sft",
        models={"base": adapter},
        data={"train": sft_rows(4)},
        settings={"max_steps": 1, "artifact": "adapter"},
    )
    assert execute(run)["error"]["class"] == "adapter_on_adapter"
    assert not (run / "work" / "trained").exists()


def test_an_adapter_on_another_base_is_refused(tmp_path: Path, own_base: Path, adapter: Path) -> None:
    import torch

    from training.engine.models import load_causal
    from training.engine.tiny import make

    moved = shutil.copytree(adapter, tmp_path / "adapter")
    config = json.loads((moved / "adapter_config.json").read_text())
    for base, code in ((make(tmp_path / "other", seed=1), "changed_base"), (tmp_path / "gone", "missing_base")):
        (moved / "adapter_config.json").write_text(json.dumps({**config, "base_model_name_or_path": str(base)}))
        with pytest.raises(EngineError) as refused:
            load_causal(moved, torch.float32)
        assert refused.value.code == code
