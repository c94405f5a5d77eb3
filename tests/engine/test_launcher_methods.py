"""Methods whose losses or models make two ranks special, under the real deepspeed launcher."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.engine.runs import STARTED, events, losses, make_run, preference_rows, prompt_rows, result, start
from training.engine.runner import execute

pytestmark = [pytest.mark.launcher, pytest.mark.timeout(900)]
HANGS = 300
QUICK = {"dtype": "float32", "lora_r": 0, "learning_rate": 1e-3, "warmup_ratio": 0.0, "max_steps": 2}


@pytest.fixture(autouse=True)
def _nothing_left_running() -> Iterator[None]:
    yield
    while STARTED:
        with suppress(ProcessLookupError):
            os.killpg(STARTED.pop().pid, signal.SIGKILL)


def test_weights_in_parts_are_written_and_exported_whole(tmp_path: Path, tiny: Path) -> None:
    """ZeRO-3. The export is rank 0's alone: a model loaded in parts there waited for the other rank for ever."""
    from safetensors.torch import load_file

    judge = make_run(
        tmp_path / "judge", "reward", models={"base": tiny}, data={"train": preference_rows(8)}, settings=QUICK
    )
    assert execute(judge)["state"] == "succeeded"
    run = make_run(
        tmp_path / "run",
        "rloo",
        models={"base": tiny, "reward_model": judge / "artifact"},
        data={"prompts": prompt_rows(6)},
        settings={**QUICK, "batch_size": 8, "samples_per_prompt": 4, "max_new_tokens": 12},
        parallelism={"world_size": 2, "zero_stage": 3},
    )
    assert start(run).wait(HANGS) == 0
    assert (result(run)["state"], result(run)["world_size"]) == ("succeeded", 2)
    before, after = (load_file(path / "model.safetensors") for path in (tiny, run / "artifact"))
    assert {name: value.shape for name, value in before.items()} == {name: value.shape for name, value in after.items()}
    assert any(not before[name].equal(value) for name, value in after.items())


def test_two_ranks_have_the_loss_of_one(tmp_path: Path, tiny: Path) -> None:
    """KTO over rows in a fixed order: the first loss of two ranks of 4 rows = that of one rank of 2 micro-batches of 4."""
    shape = {"models": {"base": tiny}, "data": {"train": preference_rows(8)}}
    settings = {**QUICK, "batch_size": 8, "micro_batch_size": 4}
    looking = {**settings, "show_every": 1, "show_tokens": 4}
    two = make_run(tmp_path / "two", "kto", **shape, settings=looking, parallelism={"world_size": 2, "zero_stage": 2})
    one = make_run(tmp_path / "one", "kto", **shape, settings=settings)
    assert start(two).wait(HANGS) == 0
    assert execute(one)["state"] == "succeeded"
    assert losses(two) == pytest.approx(losses(one), abs=1e-3)
    assert [row["step"] for row in events(two, "sample")] == [0, 0, 0, 1, 1, 1, 2, 2, 2], "rank 0 writes, rank 1 waits"
    assert losses(two)[2] < losses(two)[1]
