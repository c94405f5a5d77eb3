"""The run directory, as the side that does not compute sees it. Its files are the only contract with the engine."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.data import LaunchPlan

RESULT_STATES = ("succeeded", "failed", "cancelled")


@dataclass(frozen=True)
class RunDir:
    folder: Path

    @property
    def events(self) -> Path:
        return self.folder / "events.jsonl"

    @property
    def stop(self) -> Path:
        return self.folder / "control" / "stop"

    def said(self) -> int:
        """Bytes of events so far."""
        return self.events.stat().st_size if self.events.exists() else 0

    def result(self) -> dict[str, Any] | None:
        """The result, when it is there, whole, and names a state: this decides, never an exit code."""
        try:
            value = json.loads((self.folder / "result.json").read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return None
        return value if isinstance(value, dict) and value.get("state") in RESULT_STATES else None

    def write_launch(self, plan: LaunchPlan, attempt: int) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        content = {
            "schema_version": 1,
            "argv": plan.argv,
            "environment": plan.environment,
            "launcher": plan.launcher,
            "world_size": plan.world_size,
            "zero_stage": plan.zero_stage,
            "attempt": attempt,
        }
        beside = self.folder / "launch.json.part"
        beside.write_text(json.dumps(content, indent=2), encoding="utf-8")
        os.replace(beside, self.folder / "launch.json")

    def ask_to_stop(self) -> None:
        self.stop.parent.mkdir(parents=True, exist_ok=True)
        self.stop.touch()

    def clear_for_attempt(self, attempt: int) -> None:
        """Put aside what an earlier attempt left: its result would be taken for this one's, its stop would stop this one."""
        result = self.folder / "result.json"
        if result.exists():
            os.replace(result, self.folder / f"result-before-{attempt}.json")
        self.stop.unlink(missing_ok=True)

    def log_tail(self, size: int = 2000) -> str:
        """The end of what the launcher printed, for the person who looks for the cause."""
        try:
            with (self.folder / "launcher.log").open("rb") as stream:
                stream.seek(max(0, stream.seek(0, os.SEEK_END) - size))
                return stream.read().decode("utf-8", "replace")
        except OSError:
            return ""
