"""What MLflow is told of a run, within its limits: params, tags, and metrics by step. Pure reading."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from django.conf import settings
from django.urls import reverse

from jobs.models import Job, JobEvent
from training.comparing import numbers, settings_in_force
from training.mlflow import RUN_TAG
from training.models import Run

JSON = dict[str, Any]
MOST_METRICS = 1000
MOST_AT_END = 900
"""With tags in the same batch, which together may hold a thousand."""
PARAMS_AT_ONCE = 25
"""MLflow takes 100, and 1 MB: 25 of the longest fit in any script."""
LONGEST_KEY = 250
LONGEST_PARAM = 6000
LONGEST_TAG = 5000
LARGEST = 1e300
STATUSES: dict[str, str] = {
    Job.State.QUEUED: "SCHEDULED",
    Job.State.RUNNING: "RUNNING",
    Job.State.SUCCEEDED: "FINISHED",
    Job.State.FAILED: "FAILED",
    Job.State.CANCELLED: "KILLED",
}


def key_of(name: str) -> str:
    """A name that MLflow takes: it reads / as a path, which may not leave where it begins."""
    clean = re.sub(r"[^\w\-. :/]", "_", name, flags=re.ASCII)[:LONGEST_KEY]
    return "/".join(part for part in clean.split("/") if part not in ("", ".", "..")) or "_"


def shortened(value: Any, most: int) -> str:
    text = str(value)
    return text if len(text) <= most else text[: most - 1] + "…"


def milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def params_of(run: Run) -> dict[str, str]:
    """Every setting, defaults included, the base by name, and the digests of what it starts from and learns from."""
    found = {**settings_in_force(run), **_digests(run)}
    return {key_of(name): shortened(value, LONGEST_PARAM) for name, value in found.items()}


def _digests(run: Run) -> JSON:
    found: JSON = {}
    if run.base is not None:
        found |= {"base": str(run.base), "base.digest": run.base.digest}
    if run.snapshot is not None:
        found["snapshot.digest"] = run.snapshot.digest
        for role, name in (run.job.spec.get("data") or {}).items():
            found[f"data.{role}"] = name
            found[f"data.{role}.digest"] = (run.snapshot.files.get(name) or {}).get("sha256", "")
    return found


def tags_of(run: Run) -> dict[str, str]:
    """Known when it begins. `plumbline.run` is how a run is found again there."""
    return {
        RUN_TAG: run.public_id,
        "plumbline.project": run.project.slug,
        "plumbline.method": run.method,
        "plumbline.page": page_of(run),
    }


def page_of(run: Run) -> str:
    """The whole address where the operator named this site's origin, else the path."""
    site = next((one for one in settings.CSRF_TRUSTED_ORIGINS if "*" not in one), "")
    return str(site).rstrip("/") + reverse("run", args=[run.project.slug, run.public_id])


def end_tags_of(run: Run) -> dict[str, str]:
    """Known when it is over. A run that went on after a failure has no error any more, so that one is emptied."""
    error = run.job.error or {}
    told = {
        "plumbline.state": run.job.state,
        "plumbline.error": f"{error.get('class', '')}: {error.get('message', '')}" if error else "",
        "plumbline.version": run.output.public_id if run.output else "",
    }
    return {name: shortened(value, LONGEST_TAG) for name, value in told.items()}


def end_metrics_of(run: Run) -> list[JSON]:
    """What it reported at its end, as final/…, at its last step."""
    found = dict(numbers((run.job.result or {}).get("metrics") or {}))
    at, step = run.job.finished_at, run.job.progress.get("step") or 0
    assert at is not None
    return [_metric(f"final/{name}", value, at, step) for name, value in found.items() if _fits(value)][:MOST_AT_END]


def metrics_of(event: JobEvent) -> list[JSON]:
    named = ((name, value) for name, value in event.data.items() if name not in ("step", "steps"))
    return [_metric(name, value, event.at, event.step or 0) for name, value in named if _fits(value)]


def _metric(name: str, value: float, at: datetime, step: int) -> JSON:
    return {"key": key_of(name), "value": value, "timestamp": milliseconds(at), "step": step}


def _fits(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -LARGEST < value < LARGEST


def packs(events: Iterable[JobEvent]) -> Iterator[tuple[list[JSON], JobEvent | None]]:
    """Metrics, a batch of them at a time, with the last event that is wholly sent once the batch is."""
    pack: list[JSON] = []
    done = None
    for event in events:
        for metric in metrics_of(event):
            if len(pack) == MOST_METRICS:
                yield pack, done
                pack = []
            pack.append(metric)
        done = event
    if done is not None:
        yield pack, done
