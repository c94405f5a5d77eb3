"""Judged rows of one question, as a classifier or a tagger learns from them. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from training.engine.errors import EngineError
from training.engine.files import JSON


@dataclass(frozen=True)
class Question:
    """`rows` have an answer that holds; `undecided` rows, on which people did not agree, are left out."""

    name: str
    options: tuple[str, ...]
    rows: tuple[JSON, ...]
    undecided: int


def of_one(rows: list[JSON], name: str | None, answer: str) -> Question:
    """The rows of the question `name`, or of the only one. `answer` is the key of what holds: labels or spans.

    Errors: several questions and none named, no row of the one named, none decided, an answer outside the options.
    """
    named = name or _only(rows)
    of_it = [row for row in rows if row["question"] == named]
    if not of_it:
        raise EngineError("no_such_question", f"No row answers the question {named}.", f"Known are {_known(rows)}.")
    decided = [row for row in of_it if row["holds"] is not None]
    if not decided:
        hint = "Collect more answers, or settle the tasks in review, and freeze the snapshot again."
        raise EngineError("no_rows_left", f"No answer to {named} holds: people disagree, or too few said one.", hint)
    options = tuple(dict.fromkeys(option for row in of_it for option in row["options"]))
    for row in decided:
        _require(row, answer, options)
    return Question(str(named), options, tuple(decided), len(of_it) - len(decided))


def _only(rows: list[JSON]) -> str:
    names = {row["question"] for row in rows}
    if len(names) > 1:
        raise EngineError("which_question", "The rows answer several questions.", f"Set question to {_known(rows)}.")
    return str(names.pop())


def _known(rows: list[JSON]) -> str:
    return ", ".join(sorted({row["question"] for row in rows}))


def _require(row: JSON, answer: str, options: tuple[str, ...]) -> None:
    given = row["holds"].get(answer)
    problem = f"has no {answer}" if not isinstance(given, list) else ""
    for one in given or []:
        problem = problem or (_label_problem(one, options) if answer == "labels" else _span_problem(one, row, options))
    if problem:
        raise EngineError("bad_row", f"Row {row['id']}: holds {problem}.", "Correct it and freeze the snapshot again.")


def _label_problem(label: Any, options: tuple[str, ...]) -> str:
    return "" if label in options else f"{label!r}, which is no option"


def _span_problem(span: Any, row: JSON, options: tuple[str, ...]) -> str:
    if not isinstance(span, dict) or not all(type(span.get(end)) is int for end in ("start", "end")):
        return "a span without start and end"
    if not 0 <= span["start"] < span["end"] <= len(row["text"]):
        return f"a span from {span['start']} to {span['end']} of a text of {len(row['text'])} characters"
    return _label_problem(span.get("label"), options)
