"""What a run leaves is whole, loads anywhere, and scores the same however it is asked."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.engine.runs import assistant, make_run, preference_rows, question, sft_rows
from training.engine import models
from training.engine.errors import EngineError
from training.engine.files import artifact_digest
from training.engine.rows import Encoded, encode
from training.engine.runner import execute
from training.engine.scoring import log_probabilities, rewards

QUICK: dict[str, Any] = {"dtype": "float32", "learning_rate": 3e-3, "max_steps": 3}
ROWS = {"sft": sft_rows, "dpo": preference_rows, "reward": preference_rows}


@pytest.fixture(scope="module", params=["sft", "dpo", "reward", "sft-lora", "reward-lora"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> tuple[str, Path]:
    """A finished run of each method, with all weights or adapters."""
    method, _, lora = request.param.partition("-")
    root = make_run(
        tmp_path_factory.mktemp(request.param) / "run",
        method,
        models={"base": tiny},
        data={"train": ROWS[method](8)},
        settings={**QUICK, "lora_r": 4 if lora else 0},
    )
    ended = execute(root)
    assert ended["state"] == "succeeded", ended["error"]
    return method, root


def scores(method: str, path: Path, batch_size: int, padding: int = 0) -> list[list[float]]:
    """Of six rows of different lengths, by a fresh load. `padding`: longest row of another kind beside them in the batch."""
    tokenizer = models.load_tokenizer(path)
    rows = [encode(tokenizer, question(at), assistant("bread " * (1 + 3 * at))) for at in range(6)]
    beside = [Encoded(rows[0].prompt, rows[0].completion * padding)] if padding else []
    pad = tokenizer.pad_token_id
    if method == "reward":
        model = models.load_reward(path, torch.float32).eval()
        return [[value] for value in rewards(model, rows + beside, pad, batch_size)[:6]]
    model = models.load_causal(path, torch.float32).eval()
    return log_probabilities(model, rows + beside, pad, batch_size)[:6]


def test_a_fresh_load_scores_the_same_alone_in_a_batch_and_padded(made: tuple[str, Path]) -> None:
    method, root = made
    alone = scores(method, root / "artifact", 1)
    for other in (scores(method, root / "artifact", 6), scores(method, root / "artifact", 7, padding=20)):
        for one, two in zip(alone, other, strict=True):
            assert one == pytest.approx(two, abs=1e-5)
    assert len({tuple(row) for row in alone}) == 6, "equal scores for all would be equal however they are asked"


def test_it_is_weights_tokenizer_template_and_card_under_one_digest(made: tuple[str, Path]) -> None:
    method, root = made
    artifact, result = root / "artifact", json.loads((root / "result.json").read_text())
    files = {path.name for path in artifact.iterdir()}
    assert {"model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja", "README.md"} <= files
    assert artifact_digest(artifact) == result["artifact"]["sha256"]
    assert set(result["artifact"]["files"]) == files
    card = (artifact / "README.md").read_text()
    assert f"`{method}`" in card
    assert "learning_rate: `0.003`" in card
    assert ("Normalised reward: (score - " in card) == (method == "reward")


def test_a_reward_model_carries_its_normalisation(made: tuple[str, Path]) -> None:
    method, root = made
    config = json.loads((root / "artifact" / "config.json").read_text())
    assert (config.get("reward_std", 0) > 0) == (method == "reward")
    assert ("reward_mean" in config) == (method == "reward")


def hollow(tiny: Path, folder: Path, **tensors: torch.Tensor | None) -> Path:
    """The tiny model with these tensors in place of its own; None leaves one out."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(tiny, folder)
    kept = {
        **load_file(folder / "model.safetensors"),
        **{name.replace("__", "."): value for name, value in tensors.items()},
    }
    save_file({name: value for name, value in kept.items() if value is not None}, folder / "model.safetensors")
    return folder


NORM = "model__norm__weight"


@pytest.mark.parametrize(
    ("tensors", "problem"),
    [
        ({NORM: torch.empty(0)}, "model.norm.weight has no elements"),
        ({NORM: None}, "model.norm.weight is missing"),
        ({NORM: torch.ones(3)}, "model.norm.weight is [3], not [128]"),
    ],
    ids=["empty", "missing", "shape"],
)
def test_an_export_that_is_not_whole_is_refused(tmp_path: Path, tiny: Path, tensors: Any, problem: str) -> None:
    """As ZeRO-3 leaves it where nobody gathered. transformers alone draws what is missing anew and warns."""
    trained = hollow(tiny, tmp_path / "trained", **tensors)
    with pytest.raises(EngineError) as refused:
        shapes = models.whole_tensors(trained)
        models.require_all(dict(models.load_causal(tiny, torch.float32).named_parameters()), shapes)
    assert refused.value.code == "empty_export"
    assert problem in refused.value.message


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="holds no tensors"):
        models.whole_tensors(tmp_path)
