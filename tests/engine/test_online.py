"""GRPO and RLOO: what is written, how it is scored, what is learned, and that a stopped run goes on the same."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.engine.runs import assistant, events, losses, make_run, preference_rows, prompt_rows, question, result
from training.engine.runner import execute

QUICK = {
    "dtype": "float32",
    "lora_r": 0,
    "learning_rate": 1e-2,
    "warmup_ratio": 0.0,
    "batch_size": 8,
    "samples_per_prompt": 4,
    "max_new_tokens": 12,
    "max_steps": 2,
}


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Path:
    root = make_run(
        tmp_path_factory.mktemp("judge") / "run",
        "reward",
        models={"base": tiny},
        data={"train": preference_rows(12)},
        settings={"dtype": "float32", "lora_r": 0, "learning_rate": 3e-3, "max_steps": 6},
    )
    assert execute(root)["state"] == "succeeded"
    return root / "artifact"


def online(root: Path, method: str, tiny: Path, judge: Path, **settings: Any) -> Path:
    return make_run(
        root,
        method,
        models={"base": tiny, "reward_model": judge},
        data={"prompts": prompt_rows(6)},
        settings={**QUICK, **settings},
        checkpoint={"every_steps": 2},
    )


@pytest.fixture(scope="module", params=["grpo", "rloo"])
def calm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tiny: Path, judge: Path) -> Path:
    run = online(tmp_path_factory.mktemp("calm") / request.param, request.param, tiny, judge)
    assert execute(run)["state"] == "succeeded"
    return run


def test_a_stopped_run_writes_and_learns_the_same(tmp_path: Path, tiny: Path, judge: Path, calm: Path) -> None:
    """Samples and metrics of both steps, and the weights' sha256: the random state of writing is in the checkpoint."""
    stopped = online(tmp_path / "stopped", calm.name, tiny, judge)
    (stopped / "control").mkdir()
    (stopped / "control" / "stop").touch()
    assert execute(stopped)["checkpoint"] == "step-000001"
    second = execute(stopped)
    assert [row["step"] for row in events(stopped, "phase") if row["name"] == "resumed"] == [1]
    assert losses(stopped) == losses(calm)
    assert events(stopped, "sample") == events(calm, "sample")
    assert len(events(calm, "sample")) == 2
    weights = "model.safetensors"
    assert second["artifact"]["files"][weights] == result(calm)["artifact"]["files"][weights]


def test_the_divergence_is_measured_from_the_base(calm: Path) -> None:
    """TRL's GRPO has no KL by default. At the reference it is 0; after an update it is not."""
    first, second = events(calm, "metric")
    assert first["kl"] == pytest.approx(0.0, abs=1e-6)
    assert abs(second["kl"]) > 1e-5


def test_nothing_of_the_bases_own_sampling_settings_is_used(
    tmp_path: Path, tiny: Path, judge: Path, calm: Path
) -> None:
    """`generate` fills what is unset from the model: a base that says top_k 1 and typical_p 0.01 writes the same."""
    greedy = shutil.copytree(tiny, tmp_path / "greedy")
    stated = json.loads((greedy / "generation_config.json").read_text())
    (greedy / "generation_config.json").write_text(json.dumps({**stated, "typical_p": 0.01, "top_k": 1, "top_p": 0.01}))
    run = online(tmp_path / "run", calm.name, greedy, judge, max_steps=1, kl_coefficient=0.0)
    assert execute(run)["state"] == "succeeded"
    assert events(run, "sample") == events(calm, "sample")[:1]
    assert "kl" not in events(run, "metric")[0]


def test_a_completion_is_scored_as_the_reward_model_was_trained(tmp_path: Path, tiny: Path, judge: Path) -> None:
    """The score = that of prompt and completion under the chat template, by the stored scale.

    Cut off at max_new_tokens, the same words look finished to the reward model, so they pay 0.75.
    """
    import torch

    from training.engine.context import Context
    from training.engine.events import EventLog
    from training.engine.files import RunDir
    from training.engine.models import load_reward, load_tokenizer
    from training.engine.online import reward_function
    from training.engine.ppo.networks import stored_scale
    from training.engine.rows import encode
    from training.engine.scoring import rewards
    from training.engine.spec import load
    from training.engine.world import World

    root = online(tmp_path / "run", "grpo", tiny, judge, missing_eos_penalty=0.75)
    context = Context(load(root / "spec.json"), RunDir(root), EventLog(None), World(0, 1, "python"), False)
    tokenizer, model = load_tokenizer(judge), load_reward(judge, torch.float32).eval()
    row = encode(tokenizer, question(1), assistant("The river carries bright stones."))
    expected = stored_scale(model.config).of(rewards(model, [row], tokenizer.pad_token_id, 1))[0]
    scores = reward_function(context, tokenizer, [tokenizer.eos_token_id])(
        prompts=[question(1)] * 2,
        completion_ids=[row.completion, row.completion[:-1]],
        prompt_id=["q1", "q1"],
        trainer_state=SimpleNamespace(global_step=0),
        log_metric=lambda name, value: None,
    )
    assert scores == pytest.approx([expected, expected - 0.75], abs=1e-4)


def test_what_the_reward_model_prefers_is_written_more(tmp_path: Path, tiny: Path, judge: Path) -> None:
    run = online(tmp_path / "run", "rloo", tiny, judge, batch_size=24, learning_rate=3e-3, max_steps=10)
    assert execute(run)["state"] == "succeeded"
    scores = [row["reward"] for row in events(run, "metric")]
    assert sum(scores[-3:]) / 3 > sum(scores[:3]) / 3 + 0.2


def test_too_few_prompts_for_one_batch_are_refused(tmp_path: Path, tiny: Path, judge: Path) -> None:
    """32 completions of 4 to a prompt need 8 prompts, and there are 6: TRL would end at once, with nothing learned."""
    error = execute(online(tmp_path / "run", "rloo", tiny, judge, batch_size=32))["error"]
    assert (error["class"], "8" in error["message"], "6" in error["message"]) == ("too_few_prompts", True, True)


def test_preflight_expects_the_steps_that_are_taken(tmp_path: Path, tiny: Path, judge: Path) -> None:
    """6 prompts of 4 completions in batches of 8: 3 whole batches an epoch, each passed twice; one epoch: 6 steps."""
    from training.engine.preflight.estimate import steps_of
    from training.engine.spec import load

    shape = {"max_steps": None, "epochs": 1, "update_epochs": 2, "learning_rate": 1e-5}
    run = online(tmp_path / "run", "grpo", tiny, judge, **shape)
    assert execute(run)["steps"] == steps_of(load(run / "spec.json"), 6) == 6
