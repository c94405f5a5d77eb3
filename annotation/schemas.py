"""Schemas and answers, checked by pure functions that name the path of what is wrong. The kinds of question know the rest."""

from collections.abc import Generator, Iterator, Mapping
from typing import Any

from django.utils.translation import gettext as _

from annotation.questions import KINDS, Problem, Shown, needs
from annotation.questions.base import (
    COMMON,
    check_named,
    check_words,
    check_yes_no,
    read_common,
    refuse_unknown,
    short,
)
from annotation.questions.fields import check_field, check_sensitive, check_value
from annotation.questions.flags import Flags
from annotation.questions.when import check_when, holds

MOST_FIELDS = 50
MOST_QUESTIONS = 50
KEYS = ("schema_version", "fields", "questions", "layout", "sensitive")
LAYOUTS = ("side_by_side", "stacked")
BESIDE = ("reason", "flags")


def check_schema(body: dict[str, Any]) -> None:
    """Refuse a schema that no page could show. Raises ValueError with the path of the first thing that is wrong.

    A schema is `{schema_version: 1, fields: [...], questions: [...], layout?, sensitive?}`. Fields name what of a task's data is
    shown; what a question of each kind holds stands in `annotation.questions`.
    """
    for path, problem in _problems(body):
        raise ValueError(f"{path}: {problem}")


def schema_errors(body: Any) -> list[Problem]:
    """Everything that is wrong with a schema, as (path, what and how to mend it)."""
    return list(_problems(body))


def _problems(body: Any) -> Iterator[Problem]:
    if not isinstance(body, dict):
        yield "schema", _("needs an object with questions")
        return
    for name in sorted(str(key) for key in set(body) - set(KEYS)):
        yield short(name) or '""', _("unknown; known are %s") % ", ".join(KEYS)
    if body.get("schema_version", 1) != 1:
        yield "schema_version", _("is 1")
    if body.get("layout", LAYOUTS[0]) not in LAYOUTS:
        yield "layout", _("is one of %s") % ", ".join(LAYOUTS)
    if not isinstance(body.get("sensitive", False), bool):
        yield "sensitive", _("is true or false")
    seen: set[str] = set()
    for place, field in enumerate((yield from _list(body, "fields", 0, MOST_FIELDS))):
        yield from check_field(field, f"fields[{place}]", seen)
    wrong = False
    earlier: dict[str, Mapping[str, Any]] = {}
    seen = set()
    for place, question in enumerate((yield from _list(body, "questions", 1, MOST_QUESTIONS))):
        for problem in _check_question(question, f"questions[{place}]", seen, earlier, body):
            wrong = True
            yield problem
        if isinstance(question, dict) and isinstance(question.get("name"), str):
            earlier.setdefault(question["name"], question)
    if earlier and not wrong:
        yield from _check_together(body)


def _list(body: Mapping[str, Any], name: str, least: int, most: int) -> Generator[Problem, None, list[Any]]:
    """Yields what is wrong with a list, returns it."""
    found = body.get(name, [])
    if not isinstance(found, list) or not least <= len(found) <= most:
        yield name, _("needs a list of %(least)d to %(most)d") % {"least": least, "most": most}
        return found[:most] if isinstance(found, list) else []
    return found


def _check_question(
    question: Any, path: str, seen: set[str], earlier: Mapping[str, Mapping[str, Any]], body: Mapping[str, Any]
) -> Iterator[Problem]:
    if not isinstance(question, dict):
        yield path, _("needs an object")
        return
    name = question.get("kind")
    kind = KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        told = {"kind": repr(name)[:60], "kinds": ", ".join(KINDS)}
        yield f"{path}.kind", _("%(kind)s is not one of %(kinds)s") % told
        return
    yield from check_named(question, path, seen, (*COMMON, *kind.keys))
    if "help" in question:
        yield from check_words(question["help"], f"{path}.help", _("needs words, or leave it out"))
    yield from check_yes_no(question, path, "required")
    if question.get("reason", False) not in (False, True, "required"):
        yield f"{path}.reason", _("is false, true or required")
    if question.get("when") is not None:
        yield from check_when(question["when"], f"{path}.when", earlier, KINDS)
    yield from kind.check(question, path, body)


def _check_together(body: Mapping[str, Any]) -> Iterator[Problem]:
    needed = needs(body)
    if needed.least > needed.most:
        asking = [question["name"] for question in body["questions"] if KINDS[question["kind"]].needs(question).most]
        yield (
            "questions",
            _("%s need different numbers of responses; ask them in schemas of their own") % ", ".join(asking),
        )


def pairwise_schema(*, text: str) -> dict[str, Any]:
    """The template for comparing two responses."""
    question = {"name": "preference", "kind": "pairwise", "text": text, "strength": True, "reason": True}
    return {"schema_version": 1, "questions": [question]}


def labels_schema(*, text: str, options: list[str], multiple: bool = False) -> dict[str, Any]:
    """The template for sorting texts into classes: tasks carry `{"text": …}`."""
    question = {
        "name": "labels",
        "kind": "labels",
        "text": text,
        "options": [{"value": option, "text": option} for option in options],
        "multiple": multiple,
        "reason": True,
    }
    return {"schema_version": 1, "fields": [{"name": "text", "text": "Text"}], "questions": [question]}


def check_data(body: Mapping[str, Any], data: Any) -> None:
    """Refuse task data that lacks a field the schema shows. Raises ValueError with the path."""
    if not isinstance(data, dict):
        raise ValueError("data: " + _("needs an object"))
    for field in body.get("fields", []):
        check_value(field, data.get(field["name"]), f"data.{field['name']}")
    if "sensitive" in data:
        check_sensitive(data["sensitive"], "data.sensitive")


def check_answers(body: Mapping[str, Any], answers: Any, shown: Shown | None = None) -> dict[str, Any]:
    """The answers, known to fit the schema, canonical: only what was answered. Raises ValueError with the path.

    Candidates are named as this actor saw them. `shown` is what the answers are about; only some kinds need it
    (`annotation.questions.needs_shown`).
    """
    if not isinstance(answers, dict):
        raise ValueError("answers: " + _("needs an object with one entry per question"))
    asked = {question["name"]: question for question in body["questions"]}
    if not answers.keys() <= asked.keys():
        refuse_unknown(answers, "answers", list(asked))
    said: dict[str, Any] = {}
    for name, question in asked.items():
        answer = _answer(question, answers.get(name), said, asked, shown)
        if answer is not None:
            said[name] = answer
    return said


def _answer(
    question: Mapping[str, Any],
    answer: Any,
    said: Mapping[str, Any],
    asked: Mapping[str, Mapping[str, Any]],
    shown: Shown | None,
) -> dict[str, Any] | None:
    path, kind = f"answers.{question['name']}", KINDS[question["kind"]]
    if question.get("when") is not None and not holds(question["when"], said, asked, KINDS):
        if answer is not None:
            raise ValueError(f"{path}: " + _("is not asked after these answers; leave it out"))
        return None
    if answer is None and not question.get("required", True):
        return None
    if not isinstance(answer, dict):
        raise ValueError(f"{path}: " + _("is required"))
    if not question.get("required", True) and kind.is_blank(answer):
        return None
    refuse_unknown(answer, path, (*kind.answers, *BESIDE))
    found = kind.answer(question, answer, path, shown)
    kind.fits(question, found, said, path)
    beside = read_common(question, answer, path)
    if isinstance(kind, Flags) and kind.wants_review(question, found) and "review" not in beside["flags"]:
        beside["flags"] = [*beside["flags"], "review"]
    return {**found, **beside}


def flags_in(answers: Mapping[str, Any]) -> list[str]:
    """Every flag somebody raised in an answer."""
    return [flag for answer in answers.values() for flag in answer.get("flags", [])]
