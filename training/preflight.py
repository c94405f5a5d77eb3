"""Preflight: what a run would read, looked at before it takes a device; and the same as a check of its own, without a run."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil
from django.conf import settings
from django.utils.translation import gettext as _

from jobs import processes
from jobs.data import LaunchPlan
from jobs.errors import JobError
from jobs.gpus import gpus
from jobs.models import Job
from training import specs, staging
from training.engine.files import write_json
from training.engine.preflight.sequences import READERS
from training.plan import inspection
from training.services import ensure_run

JSON = dict[str, Any]
KIND = "preflight"
FILE, REQUEST, PROGRESS = "preflight.json", "preflight-request.json", "preflight-progress.json"
LOOK_SECONDS = 0.2


def applies(method: str) -> bool:
    """Whether the method learns from rows that can be read beforehand."""
    return method in READERS


def check(spec: JSON) -> None:
    """Pure. ValueError with the dotted field of everything that is wrong."""
    method = str(spec.get("method"))
    if not applies(method):
        raise ValueError(f"method: must be one of {', '.join(READERS)}")
    specs.check(method, spec)


def inspect(job: Job) -> None:
    """Before a run holds a device. Errors: JobError when its data or settings are past a limit and nobody overrode that."""
    run = ensure_run(job)
    report = examine(job, Path(run.folder), run.public_id)
    reason = (job.spec.get("preflight") or {}).get("override")
    if report["verdict"] != "block" or (reason and not report["error"]):
        return
    error = report["error"]
    if error:
        raise JobError(error["class"], error["message"], hint=error["hint"])
    blocking = [row["code"] for row in report["findings"] if row["level"] == "block"]
    raise JobError(
        "preflight_blocked",
        _("Preflight stopped this run before it took a device: %s.") % ", ".join(blocking),
        hint=_("Its preflight page shows the rows. Mend them and freeze again, or start it anyway with a reason."),
    )


def run(job: Job) -> JSON:
    """The kind's work: a check alone. Its report is in the folder; the result says how it came out."""
    report = examine(job, folder_of(job), job.public_id)
    return {"verdict": report["verdict"], "error": report["error"]}


def folder_of(job: Job) -> Path:
    """Where a check of its own keeps its files."""
    return Path(settings.RUNS) / job.public_id


def examine(job: Job, folder: Path, name: str) -> JSON:
    """Fill the folder, let the engine read every row in a process without a GPU, and return what it wrote. Errors: JobError."""
    assert job.project is not None
    request = specs.request_of(job.spec["method"], job.spec)
    spec = staging.fill(folder, job.project, name, request)
    place = staging.target(folder, request)
    held_out = staging.write_held_out(folder, job.project, request)
    asked = {"hardware": hardware(spec, place), "held_out": held_out}
    write_json(folder / REQUEST, asked)
    for name in (FILE, PROGRESS):
        (folder / name).unlink(missing_ok=True)
    launch = inspection(staging.target(folder))
    launch_plan = LaunchPlan(list(launch.argv), launch.environment, folder)
    _wait(job, processes.start_launcher(job, launch_plan, {}))
    report = report_in(folder)
    if report is None:
        hint = _("The end of launcher.log in %s says why.") % folder
        raise JobError("preflight_failed", _("Preflight ended without a report."), hint=hint)
    return report


def _wait(job: Job, child: subprocess.Popen[bytes]) -> None:
    """To its end; a cancelled job or one that takes too long ends it."""
    deadline = time.monotonic() + settings.PREFLIGHT_SECONDS
    try:
        while child.poll() is None:
            if time.monotonic() > deadline:
                message = _("Preflight took longer than %d s.") % settings.PREFLIGHT_SECONDS
                raise JobError("preflight_slow", message, hint=_("Raise PLUMBLINE_PREFLIGHT_SECONDS."))
            if Job.objects.filter(pk=job.pk, cancel_requested_at__isnull=False).exists():
                raise JobError("cancelled", _("It was stopped during preflight."))
            time.sleep(LOOK_SECONDS)
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()


def report_in(folder: Path) -> JSON | None:
    """The report, when it is there and whole."""
    return _object_in(folder / FILE)


def progress_in(folder: Path) -> JSON | None:
    """`read` of `rows` in `seconds`, while it reads; None before its first second is over."""
    return _object_in(folder / PROGRESS)


def _object_in(path: Path) -> JSON | None:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def hardware(spec: JSON, place: JSON) -> JSON:
    """What the run would compute on: its GPUs, or this machine's processors and the memory that is free now.

    Of other machines only what their target says is known.
    """
    if place["kind"] != "local":
        kind = "gpu" if place.get("gpus") else "cpu"
        name, memory = place.get("gpu_name", ""), place.get("gpu_memory_mb", 0)
        return {"kind": kind, "name": name, "count": place.get("gpus") or 1, "memory_mb": memory}
    cards = gpus() if (spec.get("parallelism") or {}).get("device") != "cpu" else ()
    if cards:
        smallest = min(cards, key=lambda one: one.memory_mb)
        return {"kind": "gpu", "name": smallest.name, "count": len(cards), "memory_mb": smallest.memory_mb}
    free = psutil.virtual_memory().available // 2**20
    return {"kind": "cpu", "name": "", "count": len(os.sched_getaffinity(0)), "memory_mb": free}
