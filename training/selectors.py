"""Gated reads of runs: what they say while they work, and where their models came from."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.db.models import Count, QuerySet
from django.utils.translation import gettext as _

from accounts.models import Actor, Project
from feedback.models import Preference, Snapshot
from ground.errors import NotFound
from jobs.models import Job, JobEvent
from jobs.selectors import events_of, metric_series
from models_registry.models import Evaluation, ModelVersion
from training.data import Judge, Origin, Phase, Sample
from training.engine.fields import describe
from training.engine.hyperparameters import SETTINGS
from training.engine.spec import CheckpointPolicy, Parallelism
from training.models import Run
from training.services import USES
from training.storage import tail

LOG_BYTES = 32_000
LATEST_EVENTS = 40
LONGEST_LINE = 40
"""Versions shown going back from a model; a longer history is in its lineage."""


def runs_of(project: Project) -> QuerySet[Run]:
    """Newest first, with what a list of them shows."""
    return Run.objects.filter(project=project).select_related(
        "project", "job__actor", "base__model", "snapshot", "output__model"
    ).order_by("-pk")  # fmt: skip


def get_run_for(actor: Actor, public_id: str) -> Run:
    """Errors: NotFound, for another project's run too."""
    run = runs_of(actor.project).filter(public_id=public_id).first()
    if run is None:
        raise NotFound(_("There is no run %s here.") % public_id)
    return run


def run_of_job(job: Job) -> Run | None:
    return Run.objects.filter(job=job).first()


def metric_names(run: Run) -> list[str]:
    """What the run has measured so far, in the order of its newest rows."""
    latest = events_of(run.job, "metric").order_by("-seq").values_list("data", flat=True)[:LATEST_EVENTS]
    rows = [dict(row) for row in latest]
    names = dict.fromkeys(name for row in rows for name, value in row.items() if _is_curve(name, value))
    return list(names)


def _is_curve(name: str, value: Any) -> bool:
    return name not in ("step", "steps") and isinstance(value, int | float) and not isinstance(value, bool)


def curves(run: Run, names: Iterable[str] | None = None) -> dict[str, list[tuple[int, float]]]:
    """(step, value) by metric, all of them without `names`; steps that were run again count once."""
    return metric_series(run.job, list(names) if names is not None else metric_names(run))


def phases_of(run: Run) -> list[Phase]:
    """What the run did, in order, and how long each stretch took."""
    events = list(events_of(run.job, "phase"))
    ends = [event.at for event in events[1:]] + [run.job.finished_at]
    return [
        Phase(
            name=str(event.data.get("name", "")),
            at=event.at,
            seconds=(end - event.at).total_seconds() if end else None,
            data={name: value for name, value in event.data.items() if name != "name"},
        )
        for event, end in zip(events, ends, strict=False)
    ]


def samples_of(run: Run, most: int = 20) -> list[Sample]:
    """The newest texts first."""
    return [_sample(event) for event in events_of(run.job, "sample").order_by("-seq")[:most]]


def _sample(event: JobEvent) -> Sample:
    known = ("step", "prompt", "prompt_id", "text")
    return Sample(
        at=event.at,
        step=event.step,
        prompt=str(event.data.get("prompt_id") or event.data.get("prompt") or ""),
        text=str(event.data.get("text", "")),
        data={name: value for name, value in event.data.items() if name not in known},
    )


def warnings_of(run: Run) -> list[dict[str, Any]]:
    return list(events_of(run.job, "warning").values_list("data", flat=True))


def log_tail(run: Run, size: int = LOG_BYTES) -> str:
    """The end of what the run's processes printed."""
    return tail(Path(run.folder) / "launcher.log", size)


def evaluation_of(run: Run) -> Evaluation | None:
    return Evaluation.objects.filter(job=run.job).select_related("version__model", "baseline__model").first()


def judges_behind(snapshot: Snapshot) -> list[Judge]:
    """Who judged what the snapshot holds, most judgements first; simulated ones are marked by their kind."""
    said = Preference.objects.filter(snapshot_rows__snapshot=snapshot)
    rows = said.values("actor__public_id", "actor__pseudonym", "actor__kind").annotate(
        judgements=Count("pk", distinct=True)
    )
    return [
        Judge(
            id=row["actor__public_id"],
            name=row["actor__pseudonym"],
            kind=row["actor__kind"],
            judgements=row["judgements"],
        )
        for row in rows.order_by("-judgements", "actor__public_id")
    ]


def origins_of(version: ModelVersion) -> list[Origin]:
    """From a version back to its base: each with its run, its snapshot and who judged, nearest first."""
    line: list[Origin] = []
    current: ModelVersion | None = version
    while current is not None and len(line) < LONGEST_LINE:
        run = Run.objects.filter(output=current).select_related("snapshot", "job", "base__model").first()
        snapshot = run.snapshot if run else None
        judges = judges_behind(snapshot) if snapshot else []
        line.append(Origin(version=current, run=run, snapshot=snapshot, judges=judges))
        current = current.parent
    return line


def methods() -> list[dict[str, Any]]:
    """Every method with its settings (name, type, default, help, bounds), as the engine reads them."""
    return [
        {
            "method": method,
            "label": str(Run.Method(method).label),
            "uses": list(USES[method]),
            "hyperparameters": describe(settings),
            "parallelism": describe(Parallelism),
            "checkpoint": describe(CheckpointPolicy),
        }
        for method, settings in SETTINGS.items()
    ]
