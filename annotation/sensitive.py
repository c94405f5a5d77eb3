"""Which tasks are sensitive: their schema says so for all of them, or their data for one. Pure but for the schema's body."""

from collections.abc import Mapping
from typing import Any

from annotation.lines import NewTask
from annotation.models import Schema, Task


def kind_of(body: Mapping[str, Any], data: Any) -> str | None:
    """What is sensitive, in the words that came with the task; empty when nobody said; None for what is not sensitive."""
    said = data.get("sensitive") if isinstance(data, Mapping) else None
    if isinstance(said, str) and said.strip():
        return said.strip()
    return "" if said is True or body.get("sensitive") is True else None


def is_sensitive(task: Task | NewTask) -> bool:
    if isinstance(task, NewTask):
        return task.sensitive
    return kind_of(Schema.body_of(task.schema_id), task.data) is not None
