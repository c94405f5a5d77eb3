"""Plain values that the pages and the API of this floor show."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A stretch of a run. `seconds` is None while it lasts."""

    name: str
    at: datetime
    seconds: float | None
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A text the run wrote on its way."""

    at: datetime
    step: int | None
    prompt: str
    text: str
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Judge:
    """Somebody whose judgements stand behind a snapshot."""

    id: str
    name: str
    kind: str
    judgements: int


@dataclass(frozen=True, kw_only=True)
class Origin:
    """One step back from a version: the run that made it, the data that run read, and who had judged that data."""

    version: Any
    run: Any | None
    snapshot: Any | None
    judges: list[Judge]


@dataclass(frozen=True, kw_only=True)
class Station:
    """One of the loop's eight. `parts` are counts by kind: moving, waiting, stuck, rest."""

    key: str
    title: str
    count: int
    unit: str
    note: str
    parts: tuple[tuple[str, int], ...] = ()

    @property
    def state(self) -> str:
        """`live` while something moves here, `here` while it waits for a person, `nothing` otherwise."""
        counts = dict(self.parts)
        if counts.get("moving"):
            return "live"
        return "here" if counts.get("waiting") else "nothing"


@dataclass(frozen=True, kw_only=True)
class LoopPicture:
    """Where every item of a project is now. `win_rate` is the latest known, with its interval and who judged."""

    stations: tuple[Station, ...]
    win_rate: dict[str, Any] | None
    numbers: dict[str, Any]
