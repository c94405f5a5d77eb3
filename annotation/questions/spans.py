"""Places in a text, each under a label. Offsets are code points of the field's raw string, the end left out."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from django.utils.translation import gettext as _

from annotation.questions.base import (
    MAX_REASON,
    Kind,
    Problem,
    Question,
    Shown,
    check_options,
    check_text_field,
    check_yes_no,
    is_whole,
    most_common,
    read_text,
    refuse_unknown,
    require_shown,
)

MOST_SPANS = 5_000
_ID = re.compile(r"[A-Za-z0-9_-]{1,20}")
Span = Mapping[str, Any]
Place = tuple[int, int, str]


class Spans(Kind):
    name = "spans"
    keys = ("field", "options", "overlap", "notes")
    answers = ("spans",)
    needs_shown = True

    def check(self, question: Question, path: str, schema: Mapping[str, Any]) -> Iterator[Problem]:
        yield from check_text_field(schema, question.get("field"), f"{path}.field")
        yield from check_options(question, path)
        yield from check_yes_no(question, path, "overlap", "notes")

    def answer(self, question: Question, answer: Mapping[str, Any], path: str, shown: Shown | None) -> dict[str, Any]:
        text = require_shown(shown, path).data.get(question["field"]) or ""
        spans, here = answer.get("spans"), f"{path}.spans"
        if not isinstance(spans, list) or len(spans) > MOST_SPANS:
            raise ValueError(f"{here}: " + _("is a list of at most %d, each {id, start, end, label}") % MOST_SPANS)
        labels = {option["value"] for option in question["options"]}
        read = [_span(question, one, f"{here}[{place}]", len(text), labels) for place, one in enumerate(spans)]
        _refuse_twice(read, here)
        read.sort(key=place_of)
        if not question.get("overlap", True):
            _refuse_overlap(read, here)
        return {"spans": read}

    def values(self, question: Question, answer: Mapping[str, Any]) -> set[str]:
        return {span["label"] for span in answer["spans"]}

    def possible(self, question: Question) -> set[str] | None:
        return {option["value"] for option in question["options"]}

    def words(self, question: Question, answer: Mapping[str, Any]) -> str:
        texts = {option["value"]: option["text"] for option in question["options"]}
        told = [
            f"{span['start']}–{span['end']} {texts.get(span['label'], span['label'])}"
            for span in answer.get("spans", [])
        ]
        return ", ".join(told) or _("nothing marked")

    def likeness(self, question: Question, one: Mapping[str, Any], other: Mapping[str, Any]) -> float | None:
        """F1 of the spans, a partial match counting half (MUC-5: Chinchor and Sundheim 1993). Two empty answers are alike.

        Spans match where both ends and the label agree; in part where they overlap under the same label, each with one other at
        most. F1 = 2 (exact + partial / 2) / (spans of one + spans of the other).
        """
        mine, yours = ({place_of(span) for span in said.get("spans", [])} for said in (one, other))
        if not mine and not yours:
            return 1.0
        exact = mine & yours
        return 2 * (len(exact) + _partial(mine - exact, yours - exact) / 2) / (len(mine) + len(yours))

    def majority(self, question: Question, answers: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
        """The spans that more than half marked."""
        if not answers:
            return None
        places = most_common((place_of(span) for answer in answers for span in answer.get("spans", [])), len(answers))
        listed = enumerate(sorted(places), start=1)
        return {
            "spans": [{"id": f"s{n}", "start": start, "end": end, "label": label} for n, (start, end, label) in listed]
        }


def _partial(mine: set[Place], yours: set[Place]) -> int:
    """How many overlap under one label, each with one other at most, those that share most first."""
    found: list[tuple[int, Place, Place]] = []
    ahead = sorted(yours)
    for one in sorted(mine):
        ahead = [other for other in ahead if other[1] > one[0]]
        for other in ahead:
            if other[0] >= one[1]:
                break
            if one[2] == other[2]:
                found.append((max(one[0], other[0]) - min(one[1], other[1]), one, other))
    taken: set[tuple[bool, Place]] = set()
    for _shared, one, other in sorted(found):
        if (False, one) not in taken and (True, other) not in taken:
            taken |= {(False, one), (True, other)}
    return len(taken) // 2


def place_of(span: Span) -> Place:
    return span["start"], span["end"], span["label"]


def _span(question: Question, span: Any, path: str, length: int, labels: set[str]) -> dict[str, Any]:
    if not isinstance(span, dict):
        raise ValueError(f"{path}: " + _("needs an object {id, start, end, label}"))
    refuse_unknown(span, path, ("id", "start", "end", "label", "note"))
    name, start, end, label = (span.get(key) for key in ("id", "start", "end", "label"))
    if not isinstance(name, str) or not _ID.fullmatch(name):
        raise ValueError(f"{path}.id: " + _("needs 1 to 20 letters, digits, - or _, of its own in this answer"))
    if not is_whole(start, 0, length):
        raise ValueError(f"{path}.start: " + _("is a code point of the text, from 0 to %d") % max(length - 1, 0))
    if not is_whole(end, start + 1, length):  # type: ignore[operator]
        raise ValueError(f"{path}.end: " + _("is after start and at most %d, the length of the text") % length)
    if not isinstance(label, str) or label not in labels:
        raise ValueError(f"{path}.label: " + _("is one of %s") % ", ".join(sorted(labels)[:20]))
    found = {"id": name, "start": start, "end": end, "label": label}
    note = read_text(span.get("note") or "", f"{path}.note", MAX_REASON)
    if note.strip() and not question.get("notes"):
        raise ValueError(f"{path}.note: " + _("this question takes no notes; leave them out"))
    return {**found, "note": note} if note.strip() else found


def _refuse_twice(spans: Sequence[Span], path: str) -> None:
    names: set[str] = set()
    places: set[Place] = set()
    for number, span in enumerate(spans):
        if span["id"] in names:
            raise ValueError(f"{path}[{number}].id: " + _("%s is used twice") % repr(span["id"]))
        if place_of(span) in places:
            raise ValueError(f"{path}[{number}]: " + _("marks the same place with the same label again; remove one"))
        names.add(span["id"])
        places.add(place_of(span))


def _refuse_overlap(spans: Sequence[Span], path: str) -> None:
    """`spans` are sorted by start."""
    for before, span in pairwise(spans):
        if span["start"] < before["end"]:
            told = {"one": before["id"], "other": span["id"]}
            raise ValueError(
                f"{path}: " + _("%(one)s and %(other)s overlap, which this question does not allow") % told
            )
