"""A snapshot's folder: written beside, fsynced, renamed. It is there whole or not at all. Knows no database."""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ground.digests import canonical_json, digest_of_file

JSON = dict[str, Any]
MANIFEST = "manifest.json"
LINEAGE = "lineage.jsonl"
DATA = ("preference_train.jsonl", "preference_test.jsonl", "sft_train.jsonl", "sft_test.jsonl")
"""Always there, also empty. Any other file is there where it has rows."""


def write_folder(folder: Path, *, rows: Iterable[tuple[str, JSON, JSON]], manifest: JSON | Callable[[], JSON]) -> None:
    """Write every row to its file, with its lineage beside it, and the manifest last.

    `rows` are (file, row, lineage); the manifest, or what makes it once the rows went by, is completed with each file's sha256 and
    rows. Half-written folders of a process that died are swept away. When two write at once, the first to rename wins. Errors:
    OSError, after cleaning up.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    for left_over in folder.parent.glob(f".{folder.name}.*.part"):
        shutil.rmtree(left_over, ignore_errors=True)
    part = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.part")
    try:
        part.mkdir()
        files = _write_data(part, rows)
        told = manifest() if callable(manifest) else manifest
        _write_whole(part / MANIFEST, canonical_json({**told, "files": files}) + b"\n")
        _sync_folder(part)
        _rename(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _rename(part: Path, folder: Path) -> None:
    try:
        part.rename(folder)
    except OSError:
        if not (folder / MANIFEST).exists():
            raise
    _sync_folder(folder.parent)


def _write_data(part: Path, rows: Iterable[tuple[str, JSON, JSON]]) -> dict[str, JSON]:
    writers = {name: _Lines(part / name) for name in (*DATA, LINEAGE)}
    try:
        for name, row, lineage in rows:
            if name not in writers:
                writers[name] = _Lines(part / name)
            digest = writers[name].add(row)
            writers[LINEAGE].add({"file": name, "line": writers[name].rows, "digest": digest, **lineage})
        return {name: writer.finish() for name, writer in writers.items()}
    finally:
        for writer in writers.values():
            writer.stream.close()


class _Lines:
    """A JSONL file that knows its digest and its length."""

    def __init__(self, path: Path) -> None:
        self.stream = path.open("wb")
        self.sha256 = hashlib.sha256()
        self.rows = 0

    def add(self, row: JSON) -> str:
        line = canonical_json(row)
        self.stream.write(line + b"\n")
        self.sha256.update(line + b"\n")
        self.rows += 1
        return "sha256:" + hashlib.sha256(line).hexdigest()

    def finish(self) -> JSON:
        self.stream.flush()
        os.fsync(self.stream.fileno())
        return {"sha256": "sha256:" + self.sha256.hexdigest(), "rows": self.rows}


def _write_whole(path: Path, content: bytes) -> None:
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_manifest(folder: Path) -> JSON:
    return dict(json.loads((folder / MANIFEST).read_bytes()))


def read_lines(path: Path) -> Iterator[JSON]:
    with path.open("rb") as stream:
        for line in stream:
            yield json.loads(line)


def changed_files(folder: Path, files: Mapping[str, JSON], manifest_digest: str) -> list[str]:
    """Names of the files that are missing or differ from their digests; none when all is as it was frozen."""
    expected = {name: entry["sha256"] for name, entry in files.items()} | {MANIFEST: manifest_digest}
    return [name for name, digest in sorted(expected.items()) if not _is(folder / name, digest)]


def _is(path: Path, digest: str) -> bool:
    return path.is_file() and digest_of_file(path) == digest
