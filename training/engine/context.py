"""What every method is given: its spec, its directory, its log and its fellow processes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.engine.errors import Cancelled
from training.engine.events import EventLog
from training.engine.files import JSON, RunDir
from training.engine.models import require_model
from training.engine.rows import read_rows
from training.engine.spec import Spec
from training.engine.world import World


@dataclass(frozen=True)
class Context:
    spec: Spec
    run: RunDir
    log: EventLog
    world: World
    cuda: bool

    def model_path(self, name: str) -> Path:
        return require_model(self.spec.models[name])

    def rows(self, role: str, kind: str) -> list[JSON]:
        return read_rows(self.run.root, self.spec.data[role], kind)

    def check_stop(self) -> None:
        """For methods of one process: leave between two units of work; what is written so far stays."""
        if self.run.stop.exists():
            raise Cancelled


@dataclass(frozen=True)
class Outcome:
    """What a method hands back for `result.json`."""

    metrics: dict[str, Any]
    steps: int
    artifact: dict[str, Any] | None = None
