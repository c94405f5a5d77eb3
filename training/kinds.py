"""The kinds of work this floor brings: one per method of the engine."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from feedback.models import Snapshot
from jobs.data import LaunchPlan
from jobs.devices import gpu_ordinals
from jobs.errors import JobError
from jobs.kinds import Kind, register
from jobs.models import Job
from models_registry.models import Prompt
from models_registry.selectors import versions_of
from training import finishing, specs, storage
from training.engine.files import write_json
from training.engine.spec import parse
from training.models import Run
from training.plan import Launch, plan
from training.services import ensure_run

JSON = dict[str, Any]
ATTEMPTS = 5
MOST_THREADS = 16
_CHUNK = 400


def prepare(job: Job) -> LaunchPlan:
    """Fill the run directory and say how to start the engine in it. Called before every attempt: it finds what it left."""
    run, request = ensure_run(job), with_threads(specs.request_of(job.kind, job.spec))
    folder = Path(run.folder)
    folder.mkdir(parents=True, exist_ok=True)
    spec = specs.to_engine(request, run=run.public_id, models=_models(run, request), data=_data(run, request))
    write_json(folder / "spec.json", spec)
    launch = plan(spec, target(folder))
    for name, content in launch.files.items():
        write_json(folder / name, content)
    return _launch_plan(spec, launch, folder)


def with_threads(request: JSON) -> JSON:
    """Processes of a run share this machine's cores, where nobody said how many threads each may use."""
    asked = request.get("parallelism") or {}
    threads = max(1, len(os.sched_getaffinity(0)) // asked.get("world_size", 1))
    return {**request, "parallelism": {"threads": min(threads, MOST_THREADS), **asked}}


def _models(run: Run, request: JSON) -> dict[str, JSON]:
    """Each version is verified once, in whichever roles it stands."""
    known: dict[str, JSON] = {}
    for name in sorted(set(request["models"].values())):
        version = versions_of(run.project).filter(public_id=name).first()
        if version is None:
            raise JobError("missing_version", _("There is no version %s here.") % name, hint=_("Choose another model."))
        known[name] = storage.model_reference(version)
    return {role: known[name] for role, name in request["models"].items()}


def _data(run: Run, request: JSON) -> dict[str, JSON]:
    folder, data = Path(run.folder), {}
    if request.get("data"):
        snapshot = Snapshot.objects.get(project=run.project, public_id=request["snapshot"])
        data = {role: storage.link_data(folder, role, snapshot, name) for role, name in request["data"].items()}
    if request.get("prompts"):
        data["prompts"] = storage.write_prompts(folder, _prompts(run, request["prompts"]))
    return data


def _prompts(run: Run, names: list[str]) -> list[Prompt]:
    found: dict[str, Prompt] = {}
    for start in range(0, len(names), _CHUNK):
        some = Prompt.objects.filter(project=run.project, public_id__in=names[start : start + _CHUNK])
        found.update({prompt.public_id: prompt for prompt in some})
    missing = next((name for name in names if name not in found), None)
    if missing:
        raise JobError("missing_prompt", _("There is no prompt %s here.") % missing, hint=_("Choose other prompts."))
    return [found[name] for name in names]


def target(folder: Path) -> JSON:
    """This machine, as the plan wants to know it."""
    return {
        "kind": "local",
        "run_dir": str(folder),
        "root": str(settings.BASE_DIR),
        "venv": sys.prefix,
        "var": str(settings.VAR),
        "path": os.environ.get("PATH", "/usr/local/bin:/usr/bin:/bin"),
        "master_port": storage.free_port(),
        "gpus": len(gpu_ordinals()),
        "offline": os.environ.get("HF_HUB_OFFLINE") == "1",
    }


def _launch_plan(spec: JSON, launch: Launch, folder: Path) -> LaunchPlan:
    layout = parse(spec).parallelism
    distributed = launch.launcher == "deepspeed"
    return LaunchPlan(
        argv=list(launch.argv),
        environment=launch.environment,
        folder=folder,
        launcher=launch.launcher,
        world_size=layout.world_size,
        zero_stage=layout.zero_stage if distributed else None,
    )


def _kind(method: str, collect: Callable[[Job, JSON], JSON], finish: Callable[[Job, JSON], JSON]) -> Kind:
    return Kind(
        name=method,
        label=Run.Method(method).label,
        check=partial(specs.check, method),
        prepare=prepare,
        collect=collect,
        finish=finish,
        devices=partial(specs.devices_for, method),
        max_attempts=ATTEMPTS,
    )


def register_all() -> None:
    """From `AppConfig.ready()`."""
    for method in ("import", "sft", "reward", "dpo"):
        register(_kind(method, finishing.collect_artifact, finishing.register_model))
    register(_kind("generate", finishing.collect_completions, finishing.store_completions))
    register(_kind("evaluate", finishing.collect_measures, finishing.store_evaluation))
