"""Reads a run's `events.jsonl` into JobEvent as it grows: each line once, whatever is killed in between."""

import json
import logging
from datetime import datetime
from pathlib import Path
from typing import Any

from ground import clock
from jobs.cleaning import storable
from jobs.models import Job, JobEvent

log = logging.getLogger(__name__)
CHUNK = 1 << 20
"""Bytes per look, so that a new supervisor that reads a long file from its start still renews its lease."""
KEPT_METRICS = 12


class Journal:
    """`offset` ends the last whole line that the database has. A new reader starts at 0: storing again changes nothing."""

    def __init__(self, job: Job, path: Path) -> None:
        self.job = job
        self.path = path
        self.offset = 0
        self.progress: dict[str, Any] = {}

    def lines(self) -> tuple[list[dict[str, Any]], int]:
        """Whole lines after `offset` and where they end. A torn last line waits for its rest."""
        if not self.path.exists():
            return [], 0
        if self.path.stat().st_size < self.offset:
            self.offset = 0
        with self.path.open("rb") as stream:
            stream.seek(self.offset)
            block = stream.read(CHUNK)
        end = block.rfind(b"\n") + 1
        return [row for row in map(_parse, block[:end].splitlines()) if row is not None], self.offset + end

    def store(self, rows: list[dict[str, Any]], end: int) -> None:
        """The file is the truth: a sequence number that a resumed run used again replaces the row it lost."""
        self.progress = progress_after(self.progress, rows)
        events = {row["seq"]: self._event(row) for row in rows if row["kind"] != "heartbeat"}
        JobEvent.objects.bulk_create(
            events.values(),
            batch_size=500,
            update_conflicts=True,
            unique_fields=["job", "seq"],
            update_fields=["at", "kind", "step", "data"],
        )
        self.offset = end

    def _event(self, row: dict[str, Any]) -> JobEvent:
        step = row["data"].get("step")
        return JobEvent(
            job=self.job,
            seq=row["seq"],
            at=_moment(row.get("at")),
            kind=row["kind"][:20],
            step=step if isinstance(step, int) and step >= 0 else None,
            data=row["data"],
        )


def _parse(line: bytes) -> dict[str, Any] | None:
    """A line that is no event is passed over: half of one can stand in the middle after a crash of the machine."""
    try:
        row = json.loads(line)
        whole = isinstance(row["seq"], int) and isinstance(row["kind"], str) and isinstance(row.get("data", {}), dict)
    except (ValueError, KeyError, TypeError):
        whole = False
    if not whole:
        log.warning("No event: %r", line[:200])
        return None
    return {**row, "kind": storable(row["kind"]), "data": storable(row.get("data", {}))}


def _moment(text: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return clock.now()
    return moment if moment.tzinfo else clock.now()


def progress_after(progress: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What the run's page shows at a glance: phase, step of steps, newest checkpoint and metrics, memory."""
    new = dict(progress)
    for row in rows:
        data = row["data"]
        if row["kind"] == "phase" and isinstance(data.get("name"), str):
            new["phase"] = data["name"]
        if row["kind"] == "checkpoint":
            new["checkpoint"] = data.get("step", 0)
        if row["kind"] == "metric":
            numbers = {name: value for name, value in data.items() if isinstance(value, int | float) and name != "step"}
            new["metrics"] = dict(list(numbers.items())[:KEPT_METRICS])
        new |= {
            name: data[name] for name in ("step", "steps", "peak_rss_mb") if isinstance(data.get(name), int | float)
        }
    return new
