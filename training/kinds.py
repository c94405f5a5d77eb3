"""The kinds of work this floor brings: one per method of the engine, and the check that runs before those that learn."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs.data import LaunchPlan
from jobs.errors import JobError
from jobs.kinds import Kind, register
from jobs.models import Job
from training import event_files, finishing, preflight, specs, staging, sweeps, targets
from training.engine.fields import SpecError
from training.engine.files import write_files
from training.engine.methods import TRAINED
from training.engine.spec import parse
from training.models import Run
from training.plan import Launch, plan
from training.services import ensure_run

JSON = dict[str, Any]
ATTEMPTS = 5


def prepare(job: Job) -> LaunchPlan:
    """Fill the run directory and say how to start the engine in it. Called before every attempt: it finds what it left."""
    run = ensure_run(job)
    folder = Path(run.folder)
    request = specs.request_of(job.kind, job.spec)
    spec = staging.fill(folder, run.project, run.public_id, request)
    launch = _planned(spec, staging.target(folder, request))
    write_files(folder, launch.files)
    return _launch_plan(spec, launch, folder)


def _planned(spec: JSON, target: JSON) -> Launch:
    """Errors: JobError `world_size`, when the machines no longer have room for as many processes as the run has."""
    try:
        return plan(spec, target)
    except SpecError as error:
        if "parallelism.world_size" not in error.problems:
            raise
        raise JobError(
            "world_size",
            _(
                "This run has %(count)d processes, and the place where it goes has room for another number (%(problem)s)."
            )
            % {"count": parse(spec).parallelism.world_size, "problem": error},
            hint=_(
                "A run keeps its number of processes: its checkpoints are in as many parts. Give the place as many again and let it"
                " go on, or start a new run with another world_size; that begins with its base, at the first step."
            ),
        ) from error


def _launch_plan(spec: JSON, launch: Launch, folder: Path) -> LaunchPlan:
    layout = parse(spec).parallelism
    distributed = launch.ds_config is not None
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
        inspect=preflight.inspect if preflight.applies(method) else None,
        prepare=prepare,
        collect=collect,
        finish=finish,
        closed=_closed,
        devices=partial(specs.devices_for, method),
        max_attempts=ATTEMPTS,
    )


def _closed(job: Job) -> None:
    targets.end_remote(job)
    event_files.keep(job)


def register_all() -> None:
    """From `AppConfig.ready()`."""
    for method in ("import", *TRAINED):
        register(_kind(method, finishing.collect_artifact, finishing.register_model))
    register(_kind("generate", finishing.collect_completions, finishing.store_completions))
    register(_kind("predict", finishing.collect_predictions, finishing.store_predictions))
    register(_kind("evaluate", finishing.collect_measures, finishing.store_evaluation))
    register(
        Kind(
            name=sweeps.KIND, label=gettext_lazy("sweep"), check=sweeps.check, run=sweeps.perform, max_attempts=ATTEMPTS
        )
    )
    register(
        Kind(
            name=preflight.KIND,
            label=gettext_lazy("preflight"),
            check=preflight.check,
            run=preflight.run,
            max_attempts=2,
        )
    )
