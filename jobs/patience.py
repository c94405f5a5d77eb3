"""How long a run may say nothing before it counts as hung. Pure; told every line of its events.

Between two steps ten times its own longest step is enough, and two minutes in any case: a disk or a network may pause that long.
A flat limit fits nobody: a run of one-second steps would hold its devices for ten minutes, one of ten-minute steps be ended for
nothing. Whatever else takes long (loading, the first step, measuring, saving, exporting) says so first and has the flat limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

FACTOR = 10.0
"""Steps of one run differ by their rows' and samples' lengths, and on a shared machine by what its neighbours do."""
ENOUGH_STEPS = 3


@dataclass
class Patience:
    """`flat` holds where no step is known; `floor` is the least between steps. Seconds."""

    flat: float
    floor: float
    longest: float = 0.0
    steps: int = 0
    _at: datetime | None = None
    _step: int = -1
    _busy: bool = True

    @property
    def seconds(self) -> float:
        if self._busy or self.steps < ENOUGH_STEPS:
            return self.flat
        return max(min(self.flat, self.floor), FACTOR * self.longest)

    def begin(self) -> None:
        """An attempt starts: what earlier ones measured holds, but not before its own first step."""
        self._at, self._busy = None, True

    def heed(self, row: dict[str, Any]) -> bool:
        """Whether this line is progress. A heartbeat is only when it says what the run waits for or is doing."""
        data = row["data"]
        if row["kind"] == "heartbeat" and not (data.get("pending") or data.get("doing")):
            return False
        if row["kind"] in ("phase", "heartbeat"):
            self.begin()
        elif row["kind"] == "checkpoint":
            self._busy = False
        elif row["kind"] == "metric" and data.get("step") != self._step:
            self._measure(row.get("at"), data.get("step"))
        return True

    def _measure(self, at: Any, step: Any) -> None:
        """A pause of the whole machine looks like a step; it counts for no more than what was allowed then."""
        now = _moment(at)
        if self._at is not None and now is not None and now > self._at:
            self.longest = max(self.longest, min((now - self._at).total_seconds(), self.seconds))
            self.steps += 1
        self._at, self._step, self._busy = now, step, False


def _moment(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
