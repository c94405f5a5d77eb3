"""PPO on two ranks under the real deepspeed launcher."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.engine.ppo.test_method import STATEFUL, curves, ppo
from tests.engine.runs import STARTED, events, result, start, wait_until
from training.engine.runner import execute

pytestmark = [pytest.mark.launcher, pytest.mark.timeout(1500)]
HANGS = 400
STEPS = 8
WEIGHTS = "model.safetensors"
AGREE = {"loss", "value_loss", "score", "kl", "kl_coefficient", "entropy", "grad_norm", "value_grad_norm"}


@pytest.fixture(autouse=True)
def _nothing_left_running() -> Iterator[None]:
    yield
    while STARTED:
        with suppress(ProcessLookupError):
            os.killpg(STARTED.pop().pid, signal.SIGKILL)


def laid_out(
    root: Path, tiny: Path, judge: Path, world_size: int, zero_stage: int, steps: int = STEPS, **settings: Any
) -> Path:
    run = ppo(root, tiny, judge, {"every_steps": 2, "keep": STEPS}, **STATEFUL, **settings, max_steps=steps)
    spec = json.loads((run / "spec.json").read_text())
    spec["parallelism"] |= {"world_size": world_size, "zero_stage": zero_stage}
    (run / "spec.json").write_text(json.dumps(spec))
    return run


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory, tiny: Path, tiny_judge: Path) -> Path:
    """Two ranks, ZeRO-2, left alone."""
    run = laid_out(tmp_path_factory.mktemp("calm") / "run", tiny, tiny_judge, 2, 2)
    assert start(run).wait(HANGS) == 0
    return run


def test_a_run_killed_with_minus_9_goes_on_to_the_same_numbers_and_weights(
    tmp_path: Path, tiny: Path, tiny_judge: Path, calm: Path
) -> None:
    """Every process of the run at once, after a checkpoint: all metrics and the sha256 equal those of the calm run."""
    killed = laid_out(tmp_path / "killed", tiny, tiny_judge, 2, 2)
    first = start(killed)
    wait_until(lambda: (killed / "checkpoints" / "step-000004").exists())
    for process in [*psutil.Process(first.pid).children(recursive=True), psutil.Process(first.pid)]:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    assert first.wait(HANGS) != 0
    assert not (killed / "result.json").exists()
    assert start(killed).wait(HANGS) == 0
    resumed = [row["step"] for row in events(killed, "phase") if row["name"] == "resumed"]
    assert len(resumed) == 1
    assert 4 <= resumed[0] < STEPS
    assert curves(killed) == curves(calm)
    assert len(curves(calm)) == STEPS
    assert result(killed)["artifact"]["files"][WEIGHTS] == result(calm)["artifact"]["files"][WEIGHTS]


FEW = 2
KINDS: dict[str, dict[str, Any]] = {"full": {}, "adapters": {"lora_r": 4}}
LAYOUTS: dict[int, dict[str, tuple[int, ...]]] = {
    1: {"full": (0, 1, 2, 3), "adapters": (3,)},
    2: {"full": (0, 1, 2, 3), "adapters": (2, 3)},
}


@pytest.mark.parametrize("world_size", LAYOUTS)
def test_ranks_and_zero_stages_agree_with_one_plain_process(
    tmp_path: Path, tiny: Path, tiny_judge: Path, world_size: int
) -> None:
    """The same responses, and metrics and final weights equal up to float32 rounding."""
    plain = {kind: laid_out(tmp_path / kind, tiny, tiny_judge, 1, 0, FEW, **KINDS[kind]) for kind in KINDS}
    deep = [
        (kind, laid_out(tmp_path / f"{kind}-{stage}", tiny, tiny_judge, world_size, stage, FEW, **KINDS[kind]))
        for kind, stages in LAYOUTS[world_size].items()
        for stage in stages
    ]
    launched = start(*[run for _, run in deep], module="tests.engine.ppo.layouts")
    for run in plain.values():
        assert execute(run)["state"] == "succeeded"
    assert launched.wait(2 * HANGS) == 0
    for kind, run in deep:
        assert (result(run)["world_size"], result(run)["launcher"]) == (world_size, "deepspeed")
        agree(plain[kind], run)


def agree(one: Path, other: Path) -> None:
    """Relative 2e-3: Adam divides by the gradient's size, so rounding grows over the steps."""
    mine, theirs = curves(one), curves(other)
    assert sorted(mine) == sorted(theirs) == list(range(1, FEW + 1))
    for step, row in mine.items():
        for name in AGREE & row.keys():
            assert theirs[step][name] == pytest.approx(row[name], rel=2e-3, abs=2e-4), (other.name, step, name)
    first, second = weights(one), weights(other)
    assert max(float((first[name] - second[name]).abs().max()) for name in first) < 1e-3, other.name


def weights(run: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return load_file(run / "artifact" / WEIGHTS)
