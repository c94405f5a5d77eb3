"""What webhooks are told of runs and models, and when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from jobs.models import Job
from jobs.notices import Notice, register_event, register_source
from models_registry.models import Alias, AliasMove, Verdict
from training.models import Run

EVENTS = {
    "run.succeeded": _("a run succeeded"),
    "run.failed": _("a run failed"),
    "run.stopped": _("a run was stopped"),
    "decision.needed": _("something waits for a decision"),
    "model.promoted": _("a model became the champion"),
}
ENDS = {
    Job.State.SUCCEEDED: "run.succeeded",
    Job.State.FAILED: "run.failed",
    Job.State.CANCELLED: "run.stopped",
}
FOR_PEOPLE = ("preflight_blocked", "disk_full")
"""Ends after which the same run can go on once somebody decided, or made room."""


def register_all() -> None:
    """From `AppConfig.ready()`."""
    for name, label in EVENTS.items():
        register_event(name, label)
    for state, event in ENDS.items():
        register_source(f"job.{state}", _source_of(event))
    register_source("verdict.recorded", of_verdict)
    register_source("alias.moved", of_move)


def _source_of(event: str) -> Any:
    return lambda job_id: of_end(event, job_id)


def of_end(event: str, job_id: int) -> Sequence[Notice]:
    """Of a run that came to an end; other work is not told."""
    run = Run.objects.filter(job=job_id).select_related("project", "job", "output__model").first()
    if run is None:
        return []
    data = _run(run)
    told = [Notice(event=event, project_id=run.project_id, data=data)]
    if event == "run.failed" and data["error"].get("class") in FOR_PEOPLE:
        told.append(Notice(event="decision.needed", project_id=run.project_id, data=data))
    return told


def _run(run: Run) -> dict[str, Any]:
    error = run.job.error or {}
    return {
        "project": run.project.slug,
        "run": run.public_id,
        "number": run.number,
        "method": run.method,
        "version": run.output.public_id if run.output else None,
        "error": {name: str(error[name])[:500] for name in ("class", "message", "hint") if error.get(name)},
        "path": reverse("run", args=[run.project.slug, run.public_id]),
    }


def of_verdict(verdict_id: int) -> Sequence[Notice]:
    """A version that was measured better waits for somebody to promote it."""
    verdict = Verdict.objects.select_related("project", "version__model").get(pk=verdict_id)
    project = verdict.project
    if verdict.outcome != Verdict.Outcome.BETTER or project is None:
        return []
    data = {
        "project": project.slug,
        "verdict": verdict.public_id,
        "outcome": verdict.outcome,
        "version": verdict.version.public_id,
        "name": str(verdict.version),
        "path": reverse("version", args=[project.slug, verdict.version.public_id]),
    }
    return [Notice(event="decision.needed", project_id=project.pk, data=data)]


def of_move(move_id: int) -> Sequence[Notice]:
    move = AliasMove.objects.select_related("alias__model__project", "to_version", "from_version").get(pk=move_id)
    project = move.alias.model.project
    if project is None or move.alias.name != Alias.CHAMPION:
        return []
    data = {
        "project": project.slug,
        "model": move.alias.model.slug,
        "version": move.to_version.public_id,
        "before": move.from_version.public_id if move.from_version else None,
        "generation": move.generation,
        "reason": move.reason,
        "path": reverse("version", args=[project.slug, move.to_version.public_id]),
    }
    return [Notice(event="model.promoted", project_id=project.pk, data=data)]
