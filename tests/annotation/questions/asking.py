"""Short ways to a schema and to what an answer becomes under it."""

from typing import Any

from annotation.questions import Shown
from annotation.schemas import check_answers

TEXT = {"name": "text", "text": "Text"}
SHOWN = Shown({"text": "one two"}, [{"role": "user", "content": "Hello"}], ["alpha", "beta", "gamma"])


def question(kind: str, **more: Any) -> dict[str, Any]:
    return {"name": "q", "kind": kind, "text": "?", **more}


def schema(*questions: dict[str, Any], fields: Any = (TEXT,)) -> dict[str, Any]:
    return {"schema_version": 1, "fields": list(fields), "questions": list(questions)}


def said(asked: dict[str, Any], answer: Any, shown: Shown | None = SHOWN) -> dict[str, Any]:
    """The canonical answer to one question, without reason and flags."""
    found = check_answers(schema(asked), {asked["name"]: answer}, shown)[asked["name"]]
    assert found.pop("reason") == ""
    assert found.pop("flags") == []
    return found
