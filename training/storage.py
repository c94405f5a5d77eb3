"""The files of a run on this machine: links to what is frozen, digests of what is used, artifacts that are kept."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from feedback.models import Snapshot
from jobs.errors import JobError
from models_registry.models import ModelVersion, Prompt
from training.engine.files import (
    JSON,
    artifact_digest,
    digest_tree,
    read_jsonl,
    sha256_file,
    sync,
    sync_tree,
    write_jsonl,
)

PREDICTIONS = "output/predictions.jsonl"
"""Where a `predict` run writes, below its folder."""


def bare(digest: str) -> str:
    """The hexadecimal part: snapshots and artifacts write `sha256:…`, their files may not."""
    return digest.removeprefix("sha256:")


def artifact_path(version: ModelVersion) -> Path:
    """Where the files of a version lie: as registered, or below the storage root."""
    return Path(settings.VAR) / version.artifact


def model_reference(version: ModelVersion) -> JSON:
    """The engine's reference to a version, after all its files were found unchanged. Errors: JobError, for good."""
    path = artifact_path(version)
    for name, digest in _registered_files(version, path).items():
        _check_model_file(version, path / name, digest)
    return {"path": str(path), "digest": version.digest, "version": version.public_id}


def _registered_files(version: ModelVersion, path: Path) -> dict[str, str]:
    if not (path / "config.json").is_file():
        raise JobError(
            "missing_model",
            _("The files of %(version)s are not in %(path)s.") % {"version": version, "path": path},
            hint=_("Bring the folder back, or import or train the model again."),
        )
    return dict(version.files)


def _check_model_file(version: ModelVersion, path: Path, digest: str) -> None:
    if not path.is_file():
        raise JobError(
            "missing_model",
            _("%(file)s of %(version)s is missing.") % {"file": path.name, "version": version},
            hint=_("Bring the file back to %s, or import or train the model again.") % path.parent,
        )
    if sha256_file(path) != bare(digest):
        raise JobError(
            "changed_model",
            _("%(file)s of %(version)s differs from its registered digest.") % {"file": path.name, "version": version},
            hint=_("Bring the registered file back, or import or train the model again."),
        )


def link_data(folder: Path, role: str, snapshot: Snapshot, name: str) -> JSON:
    """The frozen file under data/, verified, linked and never copied where a link can be made. Safe to repeat."""
    entry, source, target = snapshot.files[name], Path(snapshot.folder) / name, folder / "data" / f"{role}.jsonl"
    digest = bare(entry["sha256"])
    if not source.is_file() or sha256_file(source) != digest:
        raise JobError(
            "changed_snapshot" if source.is_file() else "missing_snapshot",
            _("%(file)s of %(snapshot)s is missing or differs from its digest.") % {"file": name, "snapshot": snapshot},
            hint=_("Bring %s back as it was frozen, or freeze a new snapshot.") % source,
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists() or sha256_file(target) != digest:
        target.unlink(missing_ok=True)
        _link(source, target)
    return {"path": f"data/{role}.jsonl", "sha256": digest, "rows": entry["rows"]}


def write_prompts(folder: Path, prompts: Iterable[Prompt]) -> JSON:
    """data/prompts.jsonl in the given order, so that a second attempt writes the same bytes."""
    rows = [{"id": prompt.public_id, "messages": prompt.messages} for prompt in prompts]
    path = folder / "data" / "prompts.jsonl"
    write_jsonl(path, rows)
    return {"path": "data/prompts.jsonl", "sha256": sha256_file(path), "rows": len(rows)}


def write_texts(folder: Path, rows: Iterable[JSON]) -> JSON:
    """data/texts.jsonl, once: a later attempt reads what the first one read."""
    path = folder / "data" / "texts.jsonl"
    if not path.exists():
        write_jsonl(path, rows)
    with path.open("rb") as stream:
        count = sum(1 for _line in stream)
    return {"path": "data/texts.jsonl", "sha256": sha256_file(path), "rows": count}


def keep_artifact(produced: Path, digest: str) -> Path:
    """The artifact under its digest in the storage root; linked beside and renamed, so it is there whole or not at all.

    Safe to repeat. Errors: JobError when the files are not those that the run reported.
    """
    kept = Path(settings.ARTIFACTS) / bare(digest)
    if kept.is_dir():
        return kept
    if not produced.is_dir() or artifact_digest(produced) != digest:
        raise JobError(
            "changed_artifact",
            _("The files in %s are not those that the run reported.") % produced,
            hint=_("Start the run again; nothing was registered."),
        )
    part = kept.with_name(f".{kept.name}.{uuid.uuid4().hex}.part")
    try:
        _link_tree(produced, part)
        _rename(part, kept)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return kept


def _link_tree(source: Path, target: Path) -> None:
    for name in digest_tree(source):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        _link(source / name, target / name)
    sync_tree(target)


def _rename(part: Path, kept: Path) -> None:
    try:
        part.rename(kept)
    except OSError:
        if not kept.is_dir():  # else another process kept the same files first
            raise
    sync(kept.parent)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
            raise
        shutil.copyfile(source, target)  # another disk, or one without hard links


def free_port() -> int:
    """A port of the loopback interface that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def tail(path: Path, size: int) -> str:
    """The last `size` bytes of a text, from a whole line on; empty when the file is not there."""
    try:
        with path.open("rb") as stream:
            start = max(0, stream.seek(0, os.SEEK_END) - size)
            stream.seek(start)
            content = stream.read()
    except OSError:
        return ""
    if start:
        content = content[content.find(b"\n") + 1 :]
    return content.decode("utf-8", "replace")


def read_rows(path: Path) -> list[dict[str, Any]]:
    return list(read_jsonl(path)) if path.exists() else []
