"""A run that finds no room goes on with smaller micro-batches and the same rows per step."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.engine.runs import ROOT, events, hollow_model, losses, make_run, sft_rows
from training.engine.errors import EngineError
from training.engine.files import RunDir
from training.engine.memory import load_fitted, settled, smaller, step_down

FULL = EngineError("out_of_memory", "No room.", "Lower batch_size.")
ROOM_MB = 250
ATTEMPTS = 5
IN_LITTLE_ROOM = """
import ctypes, gc, resource, sys
from pathlib import Path
from training.engine.runner import execute

def free():
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)

execute(Path(sys.argv[1]))
free()
held = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmData"))
resource.setrlimit(resource.RLIMIT_DATA, ((held + int(sys.argv[3]) * 1024) * 1024,) * 2)
for attempt in range(int(sys.argv[4])):
    ended = execute(Path(sys.argv[2]))
    print(ended["state"], ended["error"] and (ended["error"]["class"], ended["error"]["retry"]), flush=True)
    free()
    if ended["state"] == "succeeded":
        break
"""


def run(root: Path, base: Path, *, method: str = "sft", world: int = 1, **settings: Any) -> RunDir:
    make_run(
        root,
        method,
        models={"base": base, **({"reward_model": base} if method == "ppo" else {})},
        data={"prompts" if method == "ppo" else "train": sft_rows(64)},
        settings=settings,
        parallelism={"world_size": world},
    )
    return RunDir(root)


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"batch_size": 8}, 4),
        ({"batch_size": 8, "micro_batch_size": 4}, 2),
        ({"batch_size": 24, "micro_batch_size": 8}, 4),
        ({"batch_size": 18, "micro_batch_size": 9}, 3),
        ({"batch_size": 7}, 1),
        ({"batch_size": 8, "micro_batch_size": 1}, None),
        ({"batch_size": 16, "world": 2}, 4),
        ({"batch_size": 64, "minibatches": 4, "method": "ppo"}, 8),
    ],
)
def test_the_next_size_is_at_most_half_and_divides_the_rows_of_a_process(
    tmp_path: Path, settings: dict[str, Any], wanted: int | None
) -> None:
    """18 rows: 9 / 2 = 4 does not divide 18, 3 does. PPO: 64 / 4 minibatches = 16 rows a step, half of it 8."""
    assert smaller(load_fitted(run(tmp_path, tmp_path, **settings))) == wanted


def test_what_was_learned_holds_for_later_attempts_and_keeps_the_checkpoints(tmp_path: Path) -> None:
    folder = run(tmp_path, tmp_path, batch_size=8)
    before = load_fitted(folder)
    said = step_down(before, folder, FULL)
    after = load_fitted(folder)
    assert (said.retry, "micro_batch_size 4" in said.hint) == (True, True)
    assert (after.micro_batch_size, after.accumulation) == (4, 2)
    assert after.sha256 == before.sha256


def test_at_one_row_nothing_is_left_but_to_say_so(tmp_path: Path) -> None:
    folder = run(tmp_path, tmp_path, batch_size=8, micro_batch_size=1)
    assert step_down(load_fitted(folder), folder, FULL) is FULL
    assert not folder.micro_batch.exists()


def test_other_failures_change_nothing(tmp_path: Path) -> None:
    folder = run(tmp_path, tmp_path, batch_size=8)
    other = EngineError("disk_full", "Full.", "Free some.")
    assert step_down(load_fitted(folder), folder, other) is other
    assert not folder.micro_batch.exists()


def test_a_real_lack_of_memory_ends_in_the_same_losses(tmp_path: Path, tiny: Path) -> None:
    """The process may hold 250 MB more: 64 rows at once do not fit, fewer do. Against a run with 64 rows and all the room."""
    settings = {
        "dtype": "float32",
        "lora_r": 0,
        "batch_size": 64,
        "max_steps": 2,
        "learning_rate": 1e-3,
        "warmup_ratio": 0.0,
    }
    roomy, tight = (run(tmp_path / name, tiny, **settings) for name in ("roomy", "tight"))
    command = [sys.executable, "-c", IN_LITTLE_ROOM, str(roomy.root), str(tight.root), str(ROOM_MB), str(ATTEMPTS)]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=200)
    states = [line for line in done.stdout.splitlines() if line.startswith(("failed", "succeeded"))]
    assert states[0] == "failed ('out_of_memory', True)", done.stderr
    assert states[-1] == "succeeded None", states
    assert json.loads(tight.micro_batch.read_text())["micro_batch_size"] < 64
    assert [row["name"] for row in events(tight.root, "warning")] == ["smaller_micro_batch"] * (len(states) - 1)
    assert losses(tight.root) == pytest.approx(losses(roomy.root), rel=1e-5)
    assert len(losses(tight.root)) == 2


@pytest.mark.parametrize(
    ("parameters", "stated", "decided"),
    [(10**9 - 1, None, False), (10**9, None, True), (10**9, False, False), (1000, True, True)],
)
def test_large_models_compute_activations_again_unless_told(
    tmp_path: Path, parameters: int, stated: bool | None, decided: bool
) -> None:
    base = hollow_model(tmp_path / "base", parameters)
    spec = load_fitted(run(tmp_path / "run", base, activation_checkpointing=stated))
    after = settled(spec)
    assert after.hyperparameters.activation_checkpointing is decided
    assert after.sha256 == spec.sha256, "checkpoints of other attempts still fit"
