"""The run directory: the only contract between Django and torch. Standard library only."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

JSON = dict[str, Any]


@dataclass(frozen=True)
class RunDir:
    """Paths inside `runs/<id>/`; nothing else names a file of a run."""

    root: Path

    @property
    def spec(self) -> Path:
        return self.root / "spec.json"

    @property
    def events(self) -> Path:
        return self.root / "events.jsonl"

    @property
    def result(self) -> Path:
        return self.root / "result.json"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    @property
    def artifact(self) -> Path:
        return self.root / "artifact"

    @property
    def output(self) -> Path:
        return self.root / "output"

    @property
    def work(self) -> Path:
        """Scratch space: half-written checkpoints and adapters. May be deleted between two attempts."""
        return self.root / "work"

    @property
    def reserve(self) -> Path:
        return self.root / "control" / "reserve"

    @property
    def stop(self) -> Path:
        return self.root / "control" / "stop"

    @property
    def micro_batch(self) -> Path:
        """The micro-batch size that fits into memory, once a larger one did not."""
        return self.root / "control" / "micro-batch.json"

    @property
    def checkpoint_now(self) -> Path:
        return self.root / "control" / "checkpoint-now"


RESERVE_BYTES = 1 << 20


def keep_room(run: RunDir) -> None:
    """Set aside the space in which a run on a full disk can still say so. Errors: OSError when there is none already."""
    run.reserve.parent.mkdir(parents=True, exist_ok=True)
    with run.reserve.open("wb") as stream:
        os.posix_fallocate(stream.fileno(), 0, RESERVE_BYTES)


def is_full(path: Path) -> bool:
    """Less is free there than a run sets aside: an error of any name is then the disk's. torch calls it "unexpected pos"."""
    return shutil.disk_usage(path).free < RESERVE_BYTES


def make_room(run: RunDir) -> None:
    """Give up the reserve and the half-written checkpoint."""
    run.reserve.unlink(missing_ok=True)
    shutil.rmtree(run.work / "staging", ignore_errors=True)


def sha256_file(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_tree(root: Path) -> dict[str, str]:
    """sha256 of every file under `root`, by its path relative to `root`, sorted."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): sha256_file(path) for path in files}


def combined_digest(files: dict[str, str]) -> str:
    """One digest for an artifact: sha256 over its sorted `name digest` lines, written `sha256:<hex>`."""
    lines = "".join(f"{name} {digest}\n" for name, digest in sorted(files.items()))
    return "sha256:" + hashlib.sha256(lines.encode()).hexdigest()


def artifact_digest(root: Path) -> str:
    return combined_digest(digest_tree(root))


def stored_shapes(root: Path) -> dict[str, list[int]]:
    """Shape by name of every tensor in the safetensors files of `root`, from their headers."""
    shapes: dict[str, list[int]] = {}
    for path in root.glob("*.safetensors"):
        with path.open("rb") as stream:
            header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
        shapes |= {name: entry["shape"] for name, entry in header.items() if name != "__metadata__"}
    return shapes


def stored_parameters(root: Path) -> int:
    """Numbers in the safetensors files of `root`."""
    return sum(math.prod(shape) for shape in stored_shapes(root).values())


def sync(path: Path) -> None:
    """fsync a file or a directory entry."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_tree(root: Path) -> None:
    for path in [*root.rglob("*"), root]:
        sync(path)


def write_json(path: Path, value: Any) -> None:
    """Replace `path` atomically and durably: a reader sees the old or the new file, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = _write_beside(path, value)
    os.replace(beside, path)
    sync(path.parent)


def write_files(folder: Path, files: JSON) -> None:
    """Content by name: a text as it is, everything else as JSON."""
    for name, content in files.items():
        if isinstance(content, str):
            (folder / name).write_text(content, encoding="utf-8")
        else:
            write_json(folder / name, content)


def write_json_once(path: Path, value: Any) -> bool:
    """Like `write_json`, but the first writer wins; false when the file was there already."""
    beside = _write_beside(path, value)
    try:
        os.link(beside, path)
    except FileExistsError:
        return False
    finally:
        beside.unlink()
    sync(path.parent)
    return True


def _write_beside(path: Path, value: Any) -> Path:
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with beside.open("w", encoding="utf-8") as stream:
        json.dump(value, stream, ensure_ascii=False, indent=1, sort_keys=True, allow_nan=False)
        stream.write("\n")
        stream.flush()
        os.fsync(stream.fileno())
    return beside


def write_jsonl(path: Path, rows: Iterable[JSON]) -> None:
    """Replace a whole JSONL file atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with beside.open("w", encoding="utf-8") as stream:
        stream.writelines(json_line(row) for row in rows)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(beside, path)
    sync(path.parent)


def append_jsonl(path: Path, rows: Iterable[JSON]) -> None:
    """Append rows with one write and one fsync; after a kill only the last line can be torn."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as stream:
        stream.write("".join(json_line(row) for row in rows).encode())
        stream.flush()
        os.fsync(stream.fileno())


def json_line(row: JSON) -> str:
    return json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n"


def drop_torn_tail(path: Path) -> None:
    """Cut bytes after the last newline, left by a process killed while it appended."""
    if not path.exists():
        return
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole != len(content):
        os.truncate(path, whole)


def read_jsonl(path: Path) -> Iterator[JSON]:
    with path.open(encoding="utf-8") as stream:
        for line in stream:
            yield json.loads(line)


def replace_directory(source: Path, target: Path) -> None:
    """Move a finished directory to its name; a directory of that name from an earlier attempt goes first."""
    sync_tree(source)
    if target.exists():
        shutil.rmtree(target)
    os.rename(source, target)
    sync(target.parent)
