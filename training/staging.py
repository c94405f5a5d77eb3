"""The inputs of a run, brought into its folder: spec.json and data/, and what this machine is."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from accounts.models import Project
from annotation.models import Task
from feedback.classified import text_for
from feedback.models import Snapshot
from feedback.services.classifying import judged
from jobs.devices import gpu_ordinals
from jobs.errors import JobError
from models_registry.models import Prompt
from models_registry.selectors import versions_of
from training import corpora, specs, storage
from training.engine.files import write_json, write_jsonl
from training.models import Target

JSON = dict[str, Any]
MOST_THREADS = 16
HELD_OUT = "data/held_out.jsonl"
_CHUNK = 400


def fill(folder: Path, project: Project, name: str, request: JSON) -> JSON:
    """spec.json, written and returned, and the files it names. Safe to repeat. Errors: JobError, for good."""
    folder.mkdir(parents=True, exist_ok=True)
    request = request if request.get("target") else with_threads(request)
    models, data = _models(project, request), _data(folder, project, request)
    spec = specs.to_engine(request, run=name, models=models, data=data)
    write_json(folder / "spec.json", spec)
    return spec


def with_threads(request: JSON) -> JSON:
    """Processes of a run share this machine's cores, where nobody said how many threads each may use."""
    asked = request.get("parallelism") or {}
    threads = max(1, len(os.sched_getaffinity(0)) // asked.get("world_size", 1))
    return {**request, "parallelism": {"threads": min(threads, MOST_THREADS), **asked}}


def _models(project: Project, request: JSON) -> dict[str, JSON]:
    """Each version is verified once, in whichever roles it stands."""
    known: dict[str, JSON] = {}
    for name in sorted(set(request["models"].values())):
        version = versions_of(project).filter(public_id=name).first()
        if version is None:
            raise JobError("missing_version", _("There is no version %s here.") % name, hint=_("Choose another model."))
        known[name] = storage.model_reference(version)
    return {role: known[name] for role, name in request["models"].items()}


def _data(folder: Path, project: Project, request: JSON) -> dict[str, JSON]:
    data = {}
    if request.get("data"):
        snapshot = Snapshot.objects.get(project=project, public_id=request["snapshot"])
        data = {role: storage.link_data(folder, role, snapshot, name) for role, name in request["data"].items()}
    if request.get("prompts"):
        data["prompts"] = storage.write_prompts(folder, _prompts(project, request["prompts"]))
    if request.get("corpus"):
        data["texts"] = storage.write_texts(folder, corpora.documents(project, request["corpus"]))
    if request.get("texts"):
        data["texts"] = storage.write_texts(folder, _texts(project, request))
    return data


def _texts(project: Project, request: JSON) -> Iterator[JSON]:
    """What the tasks show, in the given order, as a snapshot would write it for the question that the model answers."""
    base = versions_of(project).filter(public_id=request["models"]["base"]).first()
    question = str((base.metrics if base else {}).get("question", ""))
    names = request["texts"]
    for start in range(0, len(names), _CHUNK):
        some = names[start : start + _CHUNK]
        keys = dict(Task.objects.filter(project=project, public_id__in=some).values_list("public_id", "pk"))
        missing = next((name for name in some if name not in keys), None)
        if missing:
            raise JobError("missing_task", _("There is no task %s here.") % missing, hint=_("Choose other tasks."))
        for one, _digest in judged([keys[name] for name in some]):
            yield {"id": one.task, "text": text_for(one, question)}


def _prompts(project: Project, names: list[str]) -> list[Prompt]:
    found: dict[str, Prompt] = {}
    for start in range(0, len(names), _CHUNK):
        some = Prompt.objects.filter(project=project, public_id__in=names[start : start + _CHUNK])
        found.update({prompt.public_id: prompt for prompt in some})
    missing = next((name for name in names if name not in found), None)
    if missing:
        raise JobError("missing_prompt", _("There is no prompt %s here.") % missing, hint=_("Choose other prompts."))
    return [found[name] for name in names]


def write_held_out(folder: Path, project: Project, request: JSON) -> str:
    """Every prompt that nothing may learn from: the held-out ones of the project, and those of the snapshot's test files."""
    write_jsonl(folder / HELD_OUT, _held_out(project, request))
    return HELD_OUT


def _held_out(project: Project, request: JSON) -> Iterator[JSON]:
    for prompt in Prompt.objects.filter(project=project, held_out=True).order_by("pk").iterator():
        yield {"id": prompt.public_id, "prompt": prompt.messages}
    snapshot = Snapshot.objects.filter(project=project, public_id=request.get("snapshot") or "").first()
    if snapshot is None:
        return
    for name in sorted(snapshot.files):
        if name.endswith("_test.jsonl") and name.startswith(("preference", "sft")):
            for row in storage.read_rows(Path(snapshot.folder) / name):
                yield {"id": row["id"], "prompt": row.get("prompt") or []}
        elif name in ("labels_test.jsonl", "spans_test.jsonl"):
            for row in storage.read_rows(Path(snapshot.folder) / name):
                yield {"id": row["id"], "text": row["text"]}


def target(folder: Path, request: JSON | None = None) -> JSON:
    """Where the run goes, as the plan wants to know it: the target that the request names, or this machine."""
    named = (request or {}).get("target")
    place = {"kind": "local", "gpus": len(gpu_ordinals()), **paths(folder)}
    if not named:
        return place
    row = Target.objects.filter(public_id=named, retired_at=None).first()
    if row is None:
        message = _("The target %s is no longer there.") % named
        raise JobError("missing_target", message, hint=_("Start the run somewhere else."))
    return {**paths(folder), **settings_of(row)}


def settings_of(row: Target) -> JSON:
    """What the plan of its kind reads."""
    return {"kind": row.kind, **{name: value for name, value in row.settings.items() if name != "schema_version"}}


def paths(folder: Path) -> JSON:
    """This machine's own, which a target may replace by those of its machines."""
    return {
        "run_dir": str(folder),
        "root": str(settings.BASE_DIR),
        "venv": sys.prefix,
        "var": str(settings.VAR),
        "path": os.environ.get("PATH", "/usr/local/bin:/usr/bin:/bin"),
        "master_port": storage.free_port(),
        "offline": os.environ.get("HF_HUB_OFFLINE") == "1",
    }
