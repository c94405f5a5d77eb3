"""Checkpoints that are whole or absent: written beside, hashed, fsynced, renamed. Standard library only."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from training.engine.errors import EngineError
from training.engine.files import (
    combined_digest,
    digest_tree,
    replace_directory,
    write_json,
)

MANIFEST = "manifest.json"
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Layout:
    """What must be the same for optimizer shards to be loaded again."""

    world_size: int
    zero_stage: int
    spec_sha256: str


@dataclass(frozen=True)
class Checkpoint:
    path: Path
    step: int
    layout: Layout


def name_of(step: int) -> str:
    return f"step-{step:06d}"


def seal(staging: Path, target: Path, *, step: int, layout: Layout) -> Checkpoint:
    """Turn a staged directory into checkpoint `target`. A kill at any moment leaves the old state or the new."""
    files = digest_tree(staging)
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "step": step,
        **asdict(layout),
        "files": files,
    }
    write_json(staging / MANIFEST, manifest)
    target.parent.mkdir(parents=True, exist_ok=True)
    replace_directory(staging, target)
    return Checkpoint(target, step, layout)


def read(path: Path) -> Checkpoint | None:
    """The checkpoint at `path`, or None when anything in it differs from its manifest."""
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        files = {name: digest for name, digest in digest_tree(path).items() if name != MANIFEST}
        layout = Layout(manifest["world_size"], manifest["zero_stage"], manifest["spec_sha256"])
        whole = combined_digest(files) == combined_digest(manifest["files"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return Checkpoint(path, int(manifest["step"]), layout) if whole else None


def newest(directory: Path) -> tuple[Checkpoint | None, list[str]]:
    """The newest checkpoint that verifies, and the names of newer ones that do not."""
    torn: list[str] = []
    for path in sorted(directory.glob("step-*"), reverse=True):
        checkpoint = read(path)
        if checkpoint is not None:
            return checkpoint, torn
        torn.append(path.name)
    return None, torn


def require_layout(checkpoint: Checkpoint, wanted: Layout) -> None:
    """Optimizer shards fit one world size and stage only; say so instead of failing deep inside DeepSpeed."""
    for field in ("world_size", "zero_stage"):
        was, now = getattr(checkpoint.layout, field), getattr(wanted, field)
        if was != now:
            raise EngineError(
                "checkpoint_layout",
                f"{checkpoint.path.name} was written with {field} {was}; its parts do not fit {field} {now}.",
                f"Let it go on with {field} {was}, or start a new run with {field} {now}; that begins at the first step.",
            )
    if checkpoint.layout.spec_sha256 != wanted.spec_sha256:
        raise EngineError(
            "checkpoint_spec",
            f"{checkpoint.path.name} was written by a different spec.json (data, base, seed or hyperparameters).",
            "Restore spec.json, or start a new run.",
        )


def prune(directory: Path, keep: int) -> list[str]:
    """Delete all but the newest `keep` checkpoints; returns the names deleted."""
    old = sorted(directory.glob("step-*"))[:-keep]
    for path in old:
        shutil.rmtree(path)
    return [path.name for path in old]
