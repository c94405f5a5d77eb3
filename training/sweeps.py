"""Sweeps: a run again and again with other settings, one child after the other, until all are tried or the budget is spent.

A sweep is a job without devices. Its children are runs of their own; a sweep that died finds them by the key they were made under.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from accounts.models import Actor
from accounts.services import MANAGERS, require_role
from ground.errors import Invalid, NotFound
from jobs import services as job_services
from jobs.errors import JobError
from jobs.models import Job
from jobs.selectors import get_job_for
from training import specs
from training.costs import cost_of
from training.engine.methods import TRAINED
from training.methods import OFFERS
from training.models import Run
from training.searching import GRID, trials_of
from training.services import Asked, ensure_run, request_for

JSON = dict[str, Any]
KIND = "sweep"
KEYS = ("schema_version", "run", "search", "space", "budget_device_seconds", "metric", "goal", "requests", "trials")
MAX, MIN = "max", "min"
METRICS = {
    "classify": ("measures.macro_f1", MAX),
    "tag": ("measures.micro_f1", MAX),
    "reward": ("test_accuracy", MAX),
    "pretrain": ("bits_per_byte_after", MIN),
}
TRAIN_LOSS = ("train_loss", MIN)
"""Of methods that measure nothing held out: how well the rows were learned, not what for."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """`value` is the metric of a child that succeeded; `run` is None before it starts."""

    number: int
    settings: JSON
    run: Run | None
    state: str
    device_seconds: float
    value: float | None


def start_sweep(
    *,
    actor: Actor,
    space: JSON,
    run: Run | None = None,
    asked: Asked | None = None,
    search: str = GRID,
    trials: int | None = None,
    budget_device_seconds: float,
    metric: str = "",
    goal: str = "",
    seed: int = 0,
    key: str = "",
) -> Job:
    """Queue a sweep around a run, or around one that is `asked` for and not started: its inputs and settings, with those of
    `space` in their place. Managers only.

    Every trial is checked before anything starts. Errors: Invalid naming the trial, NotFound for another project's run; for
    what is asked as `start_run`.
    """
    require_role(actor, *MANAGERS)
    method = _trained_method(run, asked)
    around = _around(actor, run, asked)
    if not budget_device_seconds > 0:
        raise Invalid(_("The budget is device-seconds, more than 0."))
    try:
        found = trials_of(space, search=search, trials=trials, seed=seed)
        requests = [_request(around, number, one) for number, one in enumerate(found, 1)]
    except ValueError as error:
        raise Invalid(str(error), hint=_("GET /api/v1/methods lists every setting.")) from error
    usual, better = METRICS.get(method, TRAIN_LOSS)
    if metric and metric != usual and goal not in (MAX, MIN):
        raise Invalid(_("Say whether %s is to be high or low.") % metric, hint=_("Send goal: max or min."))
    spec = {
        "schema_version": 1,
        "run": run.public_id if run else "",
        "search": search,
        "space": space,
        "budget_device_seconds": budget_device_seconds,
        "metric": metric or usual,
        "goal": goal or better,
        "trials": found,
        "requests": requests,
    }
    return job_services.submit(actor=actor, project=actor.project, kind=KIND, spec=spec, key=key)


def _trained_method(run: Run | None, asked: Asked | None) -> str:
    if (run is None) == (asked is None):
        raise Invalid(_("A sweep needs one run to start from."), hint=_("Send `run`, or `start`, the body of a run."))
    method = run.method if run else asked.method if asked else ""
    if method not in TRAINED:
        raise Invalid(
            _("%s trains nothing, so there is nothing to search.") % OFFERS[method].name,
            hint=_("Choose a method that trains."),
        )
    return method


def _around(actor: Actor, run: Run | None, asked: Asked | None) -> JSON:
    """The spec of the job around which is searched."""
    if run is not None:
        if run.project_id != actor.project_id:
            raise NotFound(_("There is no run %s here.") % run.public_id)
        return {**run.job.spec, "method": run.method}
    assert asked is not None
    assert actor.project is not None
    return request_for(actor, actor.project, asked)


def _request(around: JSON, number: int, changed: JSON) -> JSON:
    request = {**around, "hyperparameters": {**(around.get("hyperparameters") or {}), **changed}}
    try:
        specs.check(around["method"], request)
    except ValueError as error:
        raise ValueError(f"trial {number} ({changed}): {error}") from error
    return request


def check(spec: JSON) -> None:
    """Pure. ValueError with what is wrong."""
    if set(spec) != set(KEYS):
        raise ValueError(f"spec: must have {', '.join(KEYS)}")
    if len(spec["trials"]) != len(spec["requests"]) or not spec["trials"]:
        raise ValueError("requests: must be one for each trial")


def perform(job: Job) -> JSON:
    """The kind's work. Idempotent: children that are there are waited for, not started again."""
    for number in range(1, len(job.spec["trials"]) + 1):
        _stop_when_asked(job, None)
        if spent(job) >= job.spec["budget_device_seconds"]:
            break
        _wait(job, _child(job, number))
    found = trials(job)
    best = best_of(job, found)
    return {
        "best": best.run.public_id if best and best.run else None,
        "best_value": best.value if best else None,
        "tried": sum(one.run is not None for one in found),
        "not_tried": sum(one.run is None for one in found),
        "device_seconds": spent(job),
    }


def _child(job: Job, number: int) -> Run:
    request = job.spec["requests"][number - 1]
    method = request["method"]
    child = job_services.submit(
        actor=job.actor, project=job.project, kind=method, spec=request, key=key_of(job, number)
    )
    return ensure_run(child)


def key_of(job: Job, number: int) -> str:
    """Under which a child is made, and found again."""
    return f"sweep:{job.public_id}:{number}"


def _wait(job: Job, run: Run) -> None:
    """To the child's end. What would go beyond the budget is stopped with a checkpoint, as a person would stop it."""
    while True:
        run.job.refresh_from_db()
        if run.job.is_final:
            return
        _stop_when_asked(job, run)
        if run.job.cancel_requested_at is None and spent(job) >= job.spec["budget_device_seconds"]:
            _stop(job, run)
        time.sleep(settings.SWEEP_LOOK_SECONDS)


def _stop_when_asked(job: Job, run: Run | None) -> None:
    if not Job.objects.filter(pk=job.pk, cancel_requested_at__isnull=False).exists():
        return
    if run is not None:
        _stop(job, run)
    raise JobError("cancelled", _("The sweep was stopped; the runs it made are kept."))


def _stop(job: Job, run: Run) -> None:
    if job.actor is not None and not run.job.is_final:
        job_services.request_cancel(actor=job.actor, job=run.job)


def spent(job: Job) -> float:
    """Device-seconds of all its children until now."""
    return round(sum(one.device_seconds for one in trials(job)), 2)


def trials(job: Job) -> list[Trial]:
    """Every trial in order, with what became of it."""
    keys = {key_of(job, number): number for number in range(1, len(job.spec["trials"]) + 1)}
    children = Run.objects.filter(project=job.project, job__key__in=list(keys)).select_related("job", "output__model")
    runs = {keys[run.job.key]: run for run in children}
    return [_trial(job, number, changed, runs.get(number)) for number, changed in enumerate(job.spec["trials"], 1)]


def _trial(job: Job, number: int, changed: JSON, run: Run | None) -> Trial:
    if run is None:
        return Trial(number=number, settings=changed, run=None, state="", device_seconds=0.0, value=None)
    return Trial(
        number=number,
        settings=changed,
        run=run,
        state=run.job.state,
        device_seconds=cost_of(run).device_seconds,
        value=_value(run, job.spec["metric"]),
    )


def _value(run: Run, name: str) -> float | None:
    found: Any = (run.job.result or {}).get("metrics")
    for part in name.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


def best_of(job: Job, found: list[Trial]) -> Trial | None:
    """The best child that succeeded; of equal ones the first."""
    known = [one for one in found if one.value is not None and one.state == Job.State.SUCCEEDED]
    sign = 1 if job.spec["goal"] == MAX else -1
    return max(known, key=lambda one: sign * (one.value or 0.0), default=None)


def get_sweep_for(actor: Actor, public_id: str) -> Job:
    """Errors: NotFound."""
    job = get_job_for(actor, public_id)
    if job.kind != KIND:
        raise NotFound(_("There is no sweep %s here.") % public_id)
    return job
