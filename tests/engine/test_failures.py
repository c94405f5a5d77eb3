"""A run that cannot go on says why and what to do."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.engine.runs import make_run, sft_rows
from training.engine.errors import PeerLost, as_engine_error
from training.engine.runner import execute


def failure(root: Path) -> dict[str, Any]:
    result = execute(root)
    assert result["state"] == "failed"
    assert result == json.loads((root / "result.json").read_text())
    error: dict[str, Any] = result["error"]
    assert error["hint"]
    return error


def sft(root: Path, base: Path, **settings: Any) -> Path:
    return make_run(
        root,
        "sft",
        models={"base": base},
        data={"train": sft_rows(8)},
        settings={"dtype": "float32", "lora_r": 0, "max_steps": 2, **settings},
    )


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    error = failure(sft(tmp_path / "run", tmp_path / "nowhere"))
    assert error["class"] == "missing_model"
    assert "nowhere" in error["message"]


def test_a_bad_row_is_named_by_its_line(tmp_path: Path, tiny: Path) -> None:
    run = sft(tmp_path / "run", tiny)
    path = run / "data" / "train.jsonl"
    lines = path.read_text().splitlines()
    lines[2] = json.dumps({**json.loads(lines[2]), "completion": [{"role": "assistant"}]})
    path.write_text("\n".join(lines))
    error = failure(run)
    assert (error["class"], "line 3: completion" in error["message"]) == ("bad_row", True)


def test_data_that_changed_after_the_freeze_is_refused(tmp_path: Path, tiny: Path) -> None:
    run = sft(tmp_path / "run", tiny)
    spec = json.loads((run / "spec.json").read_text())
    spec["data"]["train"]["sha256"] = "0" * 64
    (run / "spec.json").write_text(json.dumps(spec))
    assert failure(run)["class"] == "changed_data"


def test_a_model_whose_pad_is_its_eos_is_refused(tmp_path: Path, tiny: Path) -> None:
    from transformers import AutoTokenizer

    base = tmp_path / "base"
    base.mkdir()
    for file in tiny.iterdir():
        (base / file.name).write_bytes(file.read_bytes())
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.pad_token = tokenizer.eos_token
    tokenizer.save_pretrained(base)
    assert failure(sft(tmp_path / "run", base))["class"] == "pad_token"


def test_a_loss_that_is_no_number_ends_the_run(tmp_path: Path, tiny: Path) -> None:
    run = sft(tmp_path / "run", tiny, learning_rate=1e30, warmup_ratio=0.0, max_steps=6)
    assert failure(run)["class"] == "non_finite_loss"


def test_a_wrong_spec_is_a_failed_result_too(tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text('{"schema_version": 1')
    assert failure(tmp_path)["class"] == "bad_spec"


def test_two_ranks_without_the_launcher_are_refused(tmp_path: Path, tiny: Path) -> None:
    run = sft(tmp_path / "run", tiny)
    spec = json.loads((run / "spec.json").read_text())
    spec["parallelism"] = {"world_size": 2, "zero_stage": 2}
    (run / "spec.json").write_text(json.dumps(spec))
    assert failure(run)["class"] == "world_size"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "disk_full"),
        (RuntimeError("SafetensorError: No space left on device (os error 28)"), "disk_full"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), "out_of_memory"),
        (MemoryError(), "out_of_memory"),
        (KeyError("x"), "unexpected"),
    ],
)
def test_failures_are_named_by_what_to_do(error: Exception, code: str) -> None:
    assert as_engine_error(error).code == code


def test_a_lost_rank_is_not_the_run_s_own_failure() -> None:
    assert isinstance(as_engine_error(RuntimeError("[gloo] Connection closed by peer [127.0.0.1]:4")), PeerLost)


def test_by_hand_the_exit_code_and_the_last_line_tell(tmp_path: Path) -> None:
    run = sft(tmp_path / "run", tmp_path / "nowhere")
    done = subprocess.run(
        [sys.executable, "-m", "training.engine", str(run)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).resolve().parents[2],
    )
    assert done.returncode == 1
    assert "Import the base model again" in done.stderr.splitlines()[-1]
