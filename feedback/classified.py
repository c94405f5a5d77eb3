"""Rows for training classifiers and taggers, and for people who study judgements: one for each task and question. Pure.

Preferences and responses to imitate are made by `feedback.curation`. Everything else that people said stands here, with what each
of them said and what holds: a reviewer's settlement, else what more than half said, else null.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from annotation.questions import KINDS
from annotation.scoring import agreed_on, observed_agreement

FILES = {
    "labels": "labels",
    "flags": "labels",
    "spans": "spans",
    "relations": "relations",
    "rating": "ratings",
    "text": "texts",
    "correction": "texts",
}
"""Kind of question → the file its rows are in, `_train.jsonl` or `_test.jsonl` behind it."""
TEXTS = ("text", "markdown", "code")
JSON = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Said:
    """An answer that counts. `by` is its author's public id."""

    source: str
    by: str
    simulated: bool
    answers: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A task with all that was said about it; `settled` is a reviewer's last word."""

    task: str
    body: Mapping[str, Any]
    data: Mapping[str, Any]
    prompt: Sequence[Mapping[str, Any]] = ()
    responses: Sequence[Mapping[str, str]] = ()
    said: Sequence[Said] = field(default_factory=tuple)
    settled: Said | None = None


def asks_here(question: Mapping[str, Any]) -> bool:
    """Whether answers to a question become rows here. A corrected response is a preference, and no row of texts."""
    return question["kind"] in FILES and question.get("of") != "candidate"


def rows_of(judged: Judged) -> list[tuple[str, JSON, list[str]]]:
    """(file without its split, row, public ids of the annotations behind it), in the order of the questions."""
    questions = judged.body["questions"]
    holds = judged.settled.answers if judged.settled else agreed_on(questions, [one.answers for one in judged.said])
    found: list[tuple[str, JSON, list[str]]] = []
    for question in questions:
        if not asks_here(question):
            continue
        name = question["name"]
        answered = [one for one in judged.said if one.answers.get(name) is not None]
        if not answered and not (judged.settled and judged.settled.answers.get(name)):
            continue
        row = {
            "id": f"{judged.task}:{name}",
            "task": judged.task,
            "question": name,
            "kind": question["kind"],
            "asked": question["text"],
            **_options(question),
            **_shown(question, judged),
            "answers": [_answer(question, one) for one in answered],
            "holds": _value(question, holds) if holds.get(name) is not None else None,
            "settled": judged.settled is not None,
            "agreement": _agreement(question, answered),
        }
        settled = [judged.settled.source] if judged.settled else []
        found.append((FILES[question["kind"]], row, [*(one.source for one in answered), *settled]))
    return found


def _options(question: Mapping[str, Any]) -> JSON:
    """What could be said, so that a label nobody gave is known."""
    if "options" in question:
        return {"options": _values(question["options"])}
    if question["kind"] == "rating":
        return {"scale": question.get("scale", 5), "aspects": [aspect["name"] for aspect in question["aspects"]]}
    return {}


def _values(options: Sequence[Mapping[str, Any]]) -> list[str]:
    return [value for option in options for value in (option["value"], *_values(option.get("children", ())))]


def _shown(question: Mapping[str, Any], judged: Judged) -> JSON:
    """`text` is what a classifier reads: the field that is marked or corrected, else all texts, else the conversation."""
    fields = {
        row["name"]: judged.data[row["name"]] for row in judged.body.get("fields", []) if row["name"] in judged.data
    }
    conversation: JSON = {"prompt": list(judged.prompt)} if judged.prompt else {}
    responses: JSON = {"responses": [dict(one) for one in judged.responses]} if judged.responses else {}
    return {"text": _text(question, judged, fields), "fields": fields, **conversation, **responses}


def text_for(judged: Judged, question: str) -> str:
    """What a classifier of that question reads in a task: `text` of the row it would become."""
    asked: JSON = next((one for one in judged.body["questions"] if one["name"] == question), {})
    return str(_shown(asked, judged)["text"])


def _text(question: Mapping[str, Any], judged: Judged, fields: Mapping[str, Any]) -> str:
    named = str(question.get("field") or question.get("of") or _spans_of(question, judged.body).get("field") or "")
    if isinstance(fields.get(named), str):
        return str(fields[named])
    kinds = {row["name"]: row.get("kind", "text") for row in judged.body.get("fields", [])}
    texts = [value for name, value in fields.items() if kinds[name] in TEXTS and isinstance(value, str)]
    turns = [str(turn.get("content", "")) for turn in judged.prompt[-1:]]
    return "\n\n".join(texts or [*turns, *(str(one["text"]) for one in judged.responses)])


def _spans_of(question: Mapping[str, Any], body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The spans question that a question of relations is about."""
    wanted = question.get("spans")
    return next((other for other in body["questions"] if wanted and other["name"] == wanted), {})


def _answer(question: Mapping[str, Any], said: Said) -> JSON:
    return {"by": said.by, **({"simulated": True} if said.simulated else {}), **_value(question, said.answers)}


def _value(question: Mapping[str, Any], answers: Mapping[str, Any]) -> JSON:
    """An answer by itself: relations with the places of their spans, flags as labels with notes."""
    answer = KINDS[question["kind"]].resolved(question, answers[question["name"]], answers)
    if question["kind"] == "flags":
        notes = {one["value"]: one["note"] for one in answer["raised"] if one.get("note")}
        return {"labels": [one["value"] for one in answer["raised"]], **({"notes": notes} if notes else {})}
    if question["kind"] == "relations":
        return {
            "relations": [
                {**one, **{end: _place(one[end]) for end in ("subject", "object")}} for one in answer["relations"]
            ]
        }
    return {key: value for key, value in answer.items() if key not in ("reason", "flags")}


def _place(place: Sequence[Any]) -> JSON:
    start, end, label = place
    return {"start": start, "end": end, "label": label}


def _agreement(question: Mapping[str, Any], answered: Sequence[Said]) -> float | None:
    """None where only one answered, or where answers of this kind cannot be compared."""
    alike = observed_agreement([question], [one.answers for one in answered])
    return None if alike is None else round(alike, 6)
