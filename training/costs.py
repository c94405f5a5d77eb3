"""What runs cost: device-seconds of all their attempts, and an estimate of energy. Pure reading."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from django.conf import settings

from ground import clock
from jobs.devices import INSPECTING, WAITING
from jobs.models import Device, Job, JobEvent
from training.models import Run

CPU, GPU = "cpu", "gpu"
JOULES = 3_600_000.0
"""In a kilowatt-hour."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """`seconds` is the time in which the run held its devices; waiting in the queue and between attempts is not in it."""

    devices: int
    kind: str
    seconds: float

    @property
    def device_seconds(self) -> float:
        return round(self.devices * self.seconds, 1)

    @property
    def watts(self) -> float:
        """Assumed of each device, whatever it does."""
        return float(settings.GPU_WATTS if self.kind == GPU else settings.CPU_WATTS)

    @property
    def kilowatt_hours(self) -> float:
        return self.device_seconds * self.watts / JOULES


def costs_of(runs: Sequence[Run]) -> dict[int, Cost]:
    """By the run's key, until now. Two queries for all of them, and one for each attempt after a run's first."""
    with_gpus = set(Device.objects.filter(kind=GPU).values_list("host", flat=True).distinct())
    starts = _starts([run.job_id for run in runs])
    return {run.pk: _cost(run, starts[run.job_id], with_gpus) for run in runs}


def cost_of(run: Run) -> Cost:
    return costs_of([run])[run.pk]


def _starts(jobs: Sequence[int]) -> dict[int, list[tuple[int, datetime]]]:
    """(sequence number, moment) at which each attempt's engine began, by job."""
    found: dict[int, list[tuple[int, datetime]]] = defaultdict(list)
    rows = JobEvent.objects.filter(job__in=jobs, kind="phase", data__name="starting").order_by("job", "seq")
    for job, seq, at in rows.values_list("job", "seq", "at"):
        found[job].append((seq, at))
    return found


def _cost(run: Run, starts: list[tuple[int, datetime]], with_gpus: set[str]) -> Cost:
    processes = int((run.settings.get("parallelism") or {}).get("world_size") or 1)
    kind = _kind(run, with_gpus)
    return Cost(devices=processes if kind == GPU else 1, kind=kind, seconds=_seconds(run, starts))


def _kind(run: Run, with_gpus: set[str]) -> str:
    """Ranks on a CPU share it: it is one device. Elsewhere than on this machine a run is thought to hold GPUs."""
    if (run.settings.get("parallelism") or {}).get("device") == CPU:
        return CPU
    here = (run.job.process or {}).get("host") or settings.MACHINE
    return GPU if run.settings.get("target") or here in with_gpus else CPU


def _seconds(run: Run, starts: list[tuple[int, datetime]]) -> float:
    """Each attempt from its start to its last event; the last one to the run's end."""
    job = run.job
    end = job.finished_at or (clock.now() if job.state == Job.State.RUNNING else None)
    if not starts:
        return _before_the_engine_spoke(job, end)
    spans = [(began, _last_before(run, seq)) for (_seq, began), (seq, _at) in pairwise(starts)]
    began = starts[-1][1]
    spans.append((began, end or _last_before(run, None)))
    return sum(max(0.0, (end - began).total_seconds()) for began, end in spans)


def _before_the_engine_spoke(job: Job, end: datetime | None) -> float:
    """Since it was claimed; preflight and waiting hold no device."""
    idle = job.progress.get("phase") in (INSPECTING, WAITING)
    return 0.0 if idle or end is None or job.started_at is None else (end - job.started_at).total_seconds()


def _last_before(run: Run, seq: int | None) -> datetime:
    events = JobEvent.objects.filter(job=run.job_id)
    if seq is not None:
        events = events.filter(seq__lt=seq)
    return events.order_by("-seq").values_list("at", flat=True)[0]
