"""Checkpoints are whole or absent."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.engine import checkpoints
from training.engine.checkpoints import Layout, name_of, newest, prune, read, require_layout, seal
from training.engine.errors import EngineError

LAYOUT = Layout(world_size=2, zero_stage=2, spec_sha256="s")


def sealed(root: Path, step: int) -> Path:
    staging = root / "staging"
    (staging / "global_step").mkdir(parents=True)
    (staging / "weights").write_bytes(b"w" * step)
    (staging / "global_step" / "shard").write_bytes(b"s" * step)
    return seal(staging, root / "checkpoints" / name_of(step), step=step, layout=LAYOUT).path


def test_the_newest_whole_checkpoint_is_found(tmp_path: Path) -> None:
    for step in (5, 10):
        sealed(tmp_path, step)
    found, torn = newest(tmp_path / "checkpoints")
    assert found is not None
    assert (found.step, found.layout, torn) == (10, LAYOUT, [])


@pytest.mark.parametrize("damage", ["short", "missing", "extra", "manifest"])
def test_a_torn_newest_checkpoint_is_skipped(tmp_path: Path, damage: str) -> None:
    sealed(tmp_path, 5)
    last = sealed(tmp_path, 10)
    if damage == "short":
        (last / "weights").write_bytes(b"w" * 9)
    elif damage == "missing":
        (last / "global_step" / "shard").unlink()
    elif damage == "extra":
        (last / "more").write_bytes(b"m")
    else:
        (last / checkpoints.MANIFEST).write_text('{"step": 10')
    found, torn = newest(tmp_path / "checkpoints")
    assert found is not None
    assert (found.step, torn) == (5, ["step-000010"])


def test_a_directory_never_sealed_is_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "step-000003").mkdir()
    assert read(tmp_path / "step-000003") is None


@pytest.mark.parametrize(
    ("wanted", "word"),
    [(Layout(1, 2, "s"), "world_size"), (Layout(2, 3, "s"), "zero_stage"), (Layout(2, 2, "other"), "spec.json")],
)
def test_another_layout_is_refused_by_name(tmp_path: Path, wanted: Layout, word: str) -> None:
    found = read(sealed(tmp_path, 5))
    assert found is not None
    with pytest.raises(EngineError, match=word):
        require_layout(found, wanted)


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    for step in (5, 10, 15):
        sealed(tmp_path, step)
    assert prune(tmp_path / "checkpoints", 2) == ["step-000005"]
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["step-000010", "step-000015"]
