"""Reads of jobs: gated by project, and curves without the steps that were run again."""

from collections.abc import Iterable, Sequence

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from accounts.models import Actor
from ground.errors import NotFound
from jobs.models import Job, JobEvent


def jobs_for(actor: Actor) -> QuerySet[Job]:
    return Job.objects.filter(project=actor.project_id).select_related("actor")


def get_job_for(actor: Actor, public_id: str) -> Job:
    """Errors: NotFound, for another project's job too."""
    job = jobs_for(actor).filter(public_id=public_id).first()
    if job is None:
        raise NotFound(_("There is no job %(job)s here.") % {"job": public_id})
    return job


def events_of(job: Job, kind: str | None = None, after: int = 0) -> QuerySet[JobEvent]:
    """In the order in which they were written, those with a sequence number above `after`."""
    events = JobEvent.objects.filter(job=job, seq__gt=after).order_by("seq")
    return events.filter(kind=kind) if kind else events


def metric_series(job: Job, names: Sequence[str]) -> dict[str, list[tuple[int, float]]]:
    """(step, value) by metric name. A run that went on from an older checkpoint repeated steps: only the last account counts."""
    kept = metrics_in_force(job)
    return {
        name: [(event.step, event.data[name]) for event in kept if event.step is not None and _is_number(event, name)]
        for name in names
    }


def metrics_in_force(job: Job) -> list[JobEvent]:
    """Without the steps that a resumed run ran again."""
    return _in_force(events_of(job).filter(kind__in=["metric", "phase"]).iterator())


def _in_force(events: Iterable[JobEvent]) -> list[JobEvent]:
    kept: list[JobEvent] = []
    for event in events:
        if event.kind == "metric":
            kept.append(event)
        elif event.data.get("name") == "resumed":
            back = event.data.get("step") or 0
            kept = [metric for metric in kept if metric.step is None or metric.step <= back]
    return kept


def _is_number(event: JobEvent, name: str) -> bool:
    value = event.data.get(name)
    return isinstance(value, int | float) and not isinstance(value, bool)
