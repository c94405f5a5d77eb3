"""Files as runs meet them: a folder that looks like a model, a frozen snapshot, and a run that says it is done."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from training.engine.files import artifact_digest, digest_tree, sha256_file, write_jsonl


@pytest.fixture(autouse=True)
def own_folders(settings: Any, tmp_path: Path) -> None:
    """Each test has its own storage root, so that a second run of the suite finds nothing of the first."""
    settings.RUNS = tmp_path / "runs"
    settings.ARTIFACTS = tmp_path / "artifacts"


def write_model(folder: Path, weights: bytes = b"weights") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(weights)
    return folder


@pytest.fixture
def make_model(cast: Any, tmp_path: Path) -> Callable[..., Any]:
    """`make_model()`: a registered version whose files exist. Bytes, not weights: nothing here computes."""
    from tests.factories import make_version

    def make(kind: str = "causal", name: str = "base", **fields: Any) -> Any:
        folder = write_model(tmp_path / "models" / name, name.encode())
        files = {"artifact": str(folder), "digest": artifact_digest(folder), "files": digest_tree(folder)}
        return make_version(cast.project, kind=kind, **{**files, **fields})

    return make


@pytest.fixture
def base(make_model: Callable[..., Any]) -> Any:
    return make_model()


@pytest.fixture
def make_snapshot(cast: Any, tmp_path: Path) -> Callable[..., Any]:
    """`make_snapshot(preference_train=3)`: a frozen folder with that many rows in that file, or with these rows.

    The files that every snapshot has are there, empty.
    """
    from feedback.models import Snapshot

    always = ("preference_train", "preference_test", "sft_train", "sft_test")

    def make(**asked: Any) -> Any:
        rows = {name: asked.get(name, 0) for name in dict.fromkeys((*always, *asked))}
        rows = {
            name: [{"id": f"{name}{at}"} for at in range(some)] if isinstance(some, int) else some
            for name, some in rows.items()
        }
        number = Snapshot.objects.filter(project=cast.project).count() + 1
        folder = tmp_path / "snapshots" / str(number)
        for name, some in rows.items():
            write_jsonl(folder / f"{name}.jsonl", some)
        files = {
            f"{name}.jsonl": {"sha256": f"sha256:{sha256_file(folder / f'{name}.jsonl')}", "rows": len(some)}
            for name, some in rows.items()
        }
        return Snapshot.objects.create(
            project=cast.project,
            number=number,
            spec={"schema_version": 1},
            folder=str(folder),
            digest=f"sha256:{number:064x}",
            files=files,
            counts={},
        )

    return make


@pytest.fixture
def start(cast: Any) -> Callable[..., Any]:
    from training.services import start_run

    def begin(method: str, **asked: Any) -> Any:
        return start_run(actor=cast.mona, project=cast.project, method=method, **asked)

    return begin


def engine_result(run: Any, **more: Any) -> dict[str, Any]:
    """result.json as the engine writes it, with an artifact in the run's folder."""
    folder = write_model(Path(run.folder) / "artifact", b"trained")
    return {
        "state": "succeeded",
        "metrics": {"loss": 0.5},
        "launcher": "deepspeed",
        "world_size": 2,
        "zero_stage": 2,
        "steps": 12,
        "seconds": 15.0,
        "artifact": {"path": "artifact", "files": digest_tree(folder), "sha256": artifact_digest(folder)},
        **more,
    }


def finish(run: Any, result: dict[str, Any]) -> dict[str, Any]:
    """What the supervisor does with a result: files first, then the rows."""
    from django.db import transaction

    from jobs.kinds import get_kind

    kind = get_kind(run.job.kind)
    collected = kind.collect(run.job, result)
    with transaction.atomic():
        return json.loads(json.dumps(kind.finish(run.job, collected)))
