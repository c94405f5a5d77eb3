"""Plain values that cross this floor's edges."""

from dataclasses import dataclass, field
from typing import Any

ROLES = ("system", "user", "assistant")


@dataclass(frozen=True, kw_only=True)
class ImportedPrompt:
    """What became of row `index`: `created`, `existing` (same messages before), or `invalid` with the reason."""

    index: int
    status: str
    id: str = ""
    error: str = ""

    def as_dict(self) -> dict[str, Any]:
        shown = {"index": self.index, "status": self.status, "id": self.id, "error": self.error}
        return {key: value for key, value in shown.items() if value != ""}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One response of a backend, ready to be stored under the public id it was announced by."""

    public_id: str
    text: str
    finish_reason: str
    usage: dict[str, Any] = field(default_factory=dict)
