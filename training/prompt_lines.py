"""Pasted or uploaded prompts, line by line: JSON where a line begins with a brace, the prompt itself where not. Pure."""

import json
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _


@dataclass(frozen=True, kw_only=True)
class Line:
    """`number` counts from 1, as an editor shows it. Either `row` or `error` is there."""

    number: int
    text: str
    row: dict[str, Any] | None = None
    error: str = ""


def read_lines(text: str, *, every_nth: int = 0) -> list[Line]:
    """Every line that is not blank. Of those that can be read, every n-th is held out, unless it says so itself; 0: none."""
    lines = [_read(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    readable = [line.row for line in lines if line.row is not None]
    for row in readable[every_nth - 1 :: every_nth] if every_nth else []:
        row.setdefault("held_out", True)
    return lines


def _read(number: int, text: str) -> Line:
    if not text.lstrip().startswith("{"):
        return Line(number=number, text=text, row={"prompt": text.strip()})
    try:
        row = json.loads(text)
    except (ValueError, RecursionError) as error:
        return Line(number=number, text=text, error=_("This is not JSON: %s.") % error)
    return Line(number=number, text=text, row=row)
