"""Gated reads of runs: what they say while they work, and where their models came from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models import Count, QuerySet
from django.utils.translation import gettext as _

from accounts.models import Actor, Project
from feedback.models import Preference, Snapshot
from ground.errors import Invalid, NotFound
from jobs.models import Job, JobEvent
from jobs.selectors import events_of, get_job_for, metric_series
from models_registry.models import Evaluation, ModelVersion
from training import preflight
from training.data import Judge, Origin, Phase, Sample
from training.engine.fields import describe
from training.engine.files import read_jsonl
from training.engine.hyperparameters.shared import default_checkpointing, default_rates
from training.engine.methods import METHODS, Method
from training.engine.spec import CheckpointPolicy, Parallelism
from training.methods import OFFERS
from training.models import MlflowRun, Run
from training.storage import PREDICTIONS, tail

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
    """The newest texts first, without those at fixed prompts."""
    free = events_of(run.job, "sample").exclude(data__has_key="fixed")
    return [_sample(event) for event in free.order_by("-seq")[:most]]


def shown_of(run: Run) -> dict[str, list[Sample]]:
    """What it wrote to the same prompts, by prompt and in the order of steps; of a step that was run again the last account."""
    found: dict[str, dict[int | None, Sample]] = {}
    for event in events_of(run.job, "sample").filter(data__has_key="fixed"):
        sample = _sample(event)
        found.setdefault(sample.prompt, {})[sample.step] = sample
    return {prompt: sorted(by_step.values(), key=lambda one: one.step or 0) for prompt, by_step in found.items()}


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


def mlflow_of(run: Run) -> dict[str, str]:
    """Where MLflow shows the run, empty until it is there, and what keeps the rest of it away; nothing without a server."""
    row = MlflowRun.objects.filter(run=run).first() if settings.MLFLOW_URL else None
    if row is None:
        return {}
    there = row.mlflow_id and row.server == settings.MLFLOW_URL
    place = f"{row.server}/#/experiments/{row.experiment_id}/runs/{row.mlflow_id}" if there else ""
    return {"url": place, "error": row.error}


def get_check_for(actor: Actor, public_id: str) -> Job:
    """A preflight that was asked for without a run. Errors: NotFound."""
    job = get_job_for(actor, public_id)
    if job.kind != preflight.KIND:
        raise NotFound(_("There is no preflight %s here.") % public_id)
    return job


def predictions_of(run: Run) -> Iterator[dict[str, Any]]:
    """What it said of each task, in the order it read them; nothing before it is done. Errors: Invalid for other methods."""
    if run.method != Run.Method.PREDICT:
        raise Invalid(_("Run %d predicts nothing.") % run.number, hint=_("Start one with the method predict."))
    return read_jsonl(Path(run.folder) / PREDICTIONS) if run.job.state == Job.State.SUCCEEDED else iter(())


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


def _with_defaults(engine: Method) -> list[dict[str, Any]]:
    """Each setting; where an empty one depends on the model's size, `default_by_size` says what it stands for."""
    rows = describe(engine.settings)
    if not engine.is_trained:
        return rows
    by_size = {
        "learning_rate": default_rates(engine.settings),
        "activation_checkpointing": default_checkpointing(engine.settings),
    }
    return [{**row, **({"default_by_size": by_size[row["name"]]} if row["name"] in by_size else {})} for row in rows]


def methods() -> list[dict[str, Any]]:
    """Every method with its settings (name, type, default, help, bounds), as the engine reads them."""
    return [
        {
            "method": method,
            "label": str(Run.Method(method).label),
            "uses": list(OFFERS[method].uses),
            "hyperparameters": _with_defaults(engine),
            "parallelism": describe(Parallelism),
            "checkpoint": describe(CheckpointPolicy),
        }
        for method, engine in METHODS.items()
    ]
