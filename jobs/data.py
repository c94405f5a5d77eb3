"""Plain values that pass between this floor and the ones above."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class LaunchPlan:
    """How a kind wants its external process started. `folder` is the run directory, the launcher's working directory.

    `environment` is laid over the supervisor's own, from which addresses of databases and secrets are taken out.
    """

    argv: list[str]
    environment: dict[str, str]
    folder: Path
    launcher: str = "python"
    world_size: int = 1
    zero_stage: int | None = None


@dataclass(frozen=True)
class Failure:
    """Why an attempt ended. `code` is stable and shown as the error's class; `retryable` asks for another attempt.

    `counts` false: the next attempt will be another one, so this one uses up none of the allowed.
    """

    code: str
    message: str
    hint: str = ""
    retryable: bool = False
    counts: bool = True
    details: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {**self.details, "class": self.code, "message": self.message, "hint": self.hint}
