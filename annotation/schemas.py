"""Schemas and answers, checked by pure functions that name the path of what is wrong."""

from collections.abc import Callable, Mapping
from typing import Any

CHOICES = ("first", "second", "tie", "neither")
MAX_REASON = 10_000
MOST_OPTIONS = 200
COMMON = ("name", "kind", "text", "reason")


def check_schema(body: dict[str, Any]) -> None:
    """Refuse a schema that no page could show. Raises ValueError with the path.

    A schema is `{schema_version: 1, fields: [{name, text}], questions: [...]}`. Fields name what of a task's data is shown; a
    question is `{name, kind: "pairwise", text, strength: bool, reason: bool}` or
    `{name, kind: "labels", text, options: [{value, text}], multiple: bool, reason: bool}`.
    """
    seen: set[str] = set()
    for place, field in enumerate(_list(body, "fields", at_least=0)):
        _check_named(field, f"fields[{place}]", seen, ("name", "text"))
    seen = set()
    for place, question in enumerate(_list(body, "questions", at_least=1)):
        _check_question(question, f"questions[{place}]", seen)


def _list(body: dict[str, Any], name: str, *, at_least: int) -> list[Any]:
    found = body.get(name, [])
    if not isinstance(found, list) or len(found) < at_least:
        raise ValueError(f"{name}: needs a list" + (" of at least one question" if at_least else ""))
    return found


def _check_named(item: Any, path: str, seen: set[str], known: tuple[str, ...]) -> None:
    if not isinstance(item, dict):
        raise ValueError(f"{path}: needs an object")
    name = item.get("name")
    if not isinstance(name, str) or not name.isidentifier():
        raise ValueError(f"{path}.name: needs a name of letters, digits and underscores")
    if name in seen:
        raise ValueError(f"{path}.name: {name!r} is used twice")
    seen.add(name)
    if not isinstance(item.get("text"), str) or not item["text"].strip():
        raise ValueError(f"{path}.text: needs the words the annotator reads")
    unknown = sorted(set(item) - set(known))
    if unknown:
        raise ValueError(f"{path}.{unknown[0]}: unknown; known are {', '.join(known)}")


def _check_question(question: Any, path: str, seen: set[str]) -> None:
    if not isinstance(question, dict):
        raise ValueError(f"{path}: needs an object")
    kind = question.get("kind")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise ValueError(f"{path}.kind: {kind!r} is not one of {', '.join(_KINDS)}")
    more, check, _answer = _KINDS[kind]
    _check_named(question, path, seen, (*COMMON, *more))
    check(question, path)


def _no_check(question: dict[str, Any], path: str) -> None:
    pass


def _check_options(question: dict[str, Any], path: str) -> None:
    options = question.get("options")
    if not isinstance(options, list) or not 2 <= len(options) <= MOST_OPTIONS:
        raise ValueError(f"{path}.options: needs 2 to {MOST_OPTIONS} options")
    seen: set[str] = set()
    for place, option in enumerate(options):
        here = f"{path}.options[{place}]"
        if not isinstance(option, dict) or set(option) - {"value", "text"}:
            raise ValueError(f"{here}: needs an object with value and text")
        value, text = option.get("value"), option.get("text")
        if not isinstance(value, str) or not value or len(value) > 80 or not isinstance(text, str) or not text.strip():
            raise ValueError(f"{here}: value is 1 to 80 characters, text is what the annotator reads")
        if value in seen:
            raise ValueError(f"{here}.value: {value!r} is used twice")
        seen.add(value)


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


def check_data(body: dict[str, Any], data: Any) -> None:
    """Refuse task data that lacks a field the schema shows. Raises ValueError with the path."""
    if not isinstance(data, dict):
        raise ValueError("data: needs an object")
    for field in body.get("fields", []):
        if not isinstance(data.get(field["name"]), str):
            raise ValueError(f"data.{field['name']}: needs a text")


def check_answers(body: dict[str, Any], answers: Any) -> dict[str, Any]:
    """The answers, known to fit the schema. Raises ValueError with the path.

    A pairwise answer is `{choice: first|second|tie|neither, strength: 1..3|null, reason: str, flags: [str]}`, where first and
    second are the sides as this actor saw them. A labels answer is `{labels: [value], reason: str, flags: [str]}`.
    """
    if not isinstance(answers, dict):
        raise ValueError("answers: needs an object with one entry per question")
    questions = {question["name"]: question for question in body["questions"]}
    unknown = sorted(set(answers) - set(questions))
    if unknown:
        raise ValueError(f"answers.{unknown[0]}: no such question; the questions are {', '.join(questions)}")
    return {name: _check_answer(question, answers.get(name)) for name, question in questions.items()}


def _check_answer(question: Mapping[str, Any], answer: Any) -> dict[str, Any]:
    path = f"answers.{question['name']}"
    if not isinstance(answer, dict):
        raise ValueError(f"{path}: is required")
    _more, _check, check = _KINDS[question["kind"]]
    return check(question, answer, path)


def _check_pairwise(question: Mapping[str, Any], answer: dict[str, Any], path: str) -> dict[str, Any]:
    _refuse_unknown(answer, path, ("choice", "strength", "reason", "flags"))
    choice, strength = answer.get("choice"), answer.get("strength")
    if choice not in CHOICES:
        raise ValueError(f"{path}.choice: {choice!r} is not one of {', '.join(CHOICES)}")
    if strength is not None and (
        strength not in (1, 2, 3) or isinstance(strength, bool) or choice in ("tie", "neither")
    ):
        raise ValueError(f"{path}.strength: is 1, 2 or 3, and only where one side is preferred")
    return {"choice": choice, "strength": strength, **_check_texts(answer, path)}


def _check_labels(question: Mapping[str, Any], answer: dict[str, Any], path: str) -> dict[str, Any]:
    _refuse_unknown(answer, path, ("labels", "reason", "flags"))
    labels, known = answer.get("labels"), [option["value"] for option in question["options"]]
    if not isinstance(labels, list) or not all(isinstance(label, str) and label in known for label in labels):
        raise ValueError(f"{path}.labels: is a list of {', '.join(known)}")
    if len(set(labels)) != len(labels):
        raise ValueError(f"{path}.labels: names a label twice")
    if not question.get("multiple") and len(labels) != 1:
        raise ValueError(f"{path}.labels: needs exactly one label")
    return {"labels": sorted(labels, key=known.index), **_check_texts(answer, path)}


def _refuse_unknown(answer: dict[str, Any], path: str, known: tuple[str, ...]) -> None:
    unknown = sorted(set(answer) - set(known))
    if unknown:
        raise ValueError(f"{path}.{unknown[0]}: unknown; known are {', '.join(known)}")


def _check_texts(answer: dict[str, Any], path: str) -> dict[str, Any]:
    reason, flags = answer.get("reason") or "", answer.get("flags") or []
    if not isinstance(reason, str) or len(reason) > MAX_REASON:
        raise ValueError(f"{path}.reason: is text of at most {MAX_REASON} characters")
    if "\x00" in reason:
        raise ValueError(f"{path}.reason: holds a NUL character, which no database keeps; remove it")
    if (
        not isinstance(flags, list)
        or not all(isinstance(flag, str) and len(flag) <= 60 for flag in flags)
        or len(flags) > 20
    ):
        raise ValueError(f"{path}.flags: is a list of at most 20 short texts")
    return {"reason": reason, "flags": flags}


def flags_in(answers: Mapping[str, Any]) -> list[str]:
    """Every flag somebody raised in an answer."""
    return [flag for answer in answers.values() for flag in answer.get("flags", [])]


# What a question of this kind may hold beside the common, how it is checked, and how an answer to it is.
_KINDS: dict[str, tuple[tuple[str, ...], Callable[[dict[str, Any], str], None], Callable[..., dict[str, Any]]]] = {
    "pairwise": (("strength",), _no_check, _check_pairwise),
    "labels": (("options", "multiple"), _check_options, _check_labels),
}
