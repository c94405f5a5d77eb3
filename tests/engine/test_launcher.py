"""Two ranks under the real deepspeed launcher."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.engine.runs import STARTED, make_run, result, sft_rows, start, wait_until

# A launch takes 25 s alone and minutes on a machine that others use: the limits only catch a run that hangs.
pytestmark = [pytest.mark.launcher, pytest.mark.timeout(1500)]
HANGS = 400
STEPS = 60


@pytest.fixture(autouse=True)
def _nothing_left_running() -> Iterator[None]:
    """A test that fails must not leave ranks behind: the launcher's death alone does not end them."""
    yield
    while STARTED:
        with suppress(ProcessLookupError):
            os.killpg(STARTED.pop().pid, signal.SIGKILL)


def two_ranks(root: Path, tiny: Path) -> Path:
    return make_run(
        root,
        "sft",
        models={"base": tiny},
        data={"train": sft_rows()},
        settings={"dtype": "float32", "lora_r": 0, "learning_rate": 3e-3, "max_steps": STEPS},
        parallelism={"world_size": 2, "zero_stage": 2},
        checkpoint={"every_steps": 4, "keep": STEPS},
    )


def test_a_stopped_run_of_two_ranks_ends_together_with_a_checkpoint(tmp_path: Path, tiny: Path) -> None:
    run = two_ranks(tmp_path / "run", tiny)
    process = start(run)
    wait_until(lambda: (run / "checkpoints" / "step-000004").exists())
    (run / "control").mkdir(exist_ok=True)
    (run / "control" / "stop").touch()
    assert process.wait(HANGS) == 0
    stopped = result(run)
    assert stopped["state"] == "cancelled"
    assert (run / "checkpoints" / stopped["checkpoint"] / "manifest.json").exists()
