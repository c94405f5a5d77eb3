"""On a disk that is really full: a tiny file system of its own, filled by the first checkpoint."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.runs import events, make_run, result, sft_rows
from training.engine.runner import execute


def mount(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """8 MB: the run's own files fit, a checkpoint (4 MB of weights, 8 MB of moments) does not."""
    folder = tmp_path / "small"
    folder.mkdir()
    made = mount("-t", "tmpfs", "-o", "size=8m", "none", str(folder))
    if made.returncode:
        pytest.skip(f"this system lets us mount nothing: {made.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=False)


def test_the_run_says_so_and_goes_on_when_there_is_room(small: Path, tiny: Path) -> None:
    run = make_run(
        small / "run",
        "sft",
        models={"base": tiny},
        data={"train": sft_rows(8)},
        settings={"dtype": "float32", "lora_r": 0, "max_steps": 4},
        checkpoint={"every_steps": 2},
    )
    first = execute(run)
    assert (first["state"], first["error"]["class"]) == ("failed", "disk_full"), first["error"]
    assert "Free space" in first["error"]["hint"]
    assert result(run) == first, "the result itself found room"
    assert not list((run / "checkpoints").glob("*")), "no half of a checkpoint stands where whole ones do"
    assert events(run, "phase")[-1]["name"] == "failed"
    assert mount("-o", "remount,size=100m", str(small)).returncode == 0
    assert execute(run)["state"] == "succeeded"
