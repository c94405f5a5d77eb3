"""Schemas and answers, checked by pure functions that name the path of what is wrong."""

from typing import Any

CHOICES = ("first", "second", "tie", "neither")
QUESTION_KINDS = ("pairwise",)
MAX_REASON = 10_000


def check_schema(body: dict[str, Any]) -> None:
    """Refuse a schema that no page could show. Raises ValueError with the path.

    A schema is `{schema_version: 1, questions: [{name, kind: "pairwise", text, strength: bool, reason: bool}]}`.
    """
    questions = body.get("questions")
    if not isinstance(questions, list) or not questions:
        raise ValueError("questions: needs a list of at least one question")
    seen: set[str] = set()
    for place, question in enumerate(questions):
        _check_question(question, f"questions[{place}]", seen)


def _check_question(question: Any, path: str, seen: set[str]) -> None:
    if not isinstance(question, dict):
        raise ValueError(f"{path}: needs an object")
    name, kind = question.get("name"), question.get("kind")
    if not isinstance(name, str) or not name.isidentifier():
        raise ValueError(f"{path}.name: needs a name of letters, digits and underscores")
    if name in seen:
        raise ValueError(f"{path}.name: {name!r} is used twice")
    seen.add(name)
    if kind not in QUESTION_KINDS:
        raise ValueError(f"{path}.kind: {kind!r} is not one of {', '.join(QUESTION_KINDS)}")
    if not isinstance(question.get("text"), str) or not question["text"].strip():
        raise ValueError(f"{path}.text: needs the question as the annotator reads it")
    unknown = sorted(set(question) - {"name", "kind", "text", "strength", "reason"})
    if unknown:
        raise ValueError(f"{path}.{unknown[0]}: unknown; known are name, kind, text, strength, reason")


def pairwise_schema(*, text: str) -> dict[str, Any]:
    """The template for comparing two responses."""
    question = {"name": "preference", "kind": "pairwise", "text": text, "strength": True, "reason": True}
    return {"schema_version": 1, "questions": [question]}


def check_answers(body: dict[str, Any], answers: Any) -> dict[str, Any]:
    """The answers, known to fit the schema. Raises ValueError with the path.

    A pairwise answer is `{choice: first|second|tie|neither, strength: 1..3|null, reason: str, flags: [str]}`, where first and
    second are the sides as this actor saw them.
    """
    if not isinstance(answers, dict):
        raise ValueError("answers: needs an object with one entry per question")
    names = [question["name"] for question in body["questions"]]
    unknown = sorted(set(answers) - set(names))
    if unknown:
        raise ValueError(f"answers.{unknown[0]}: no such question; the questions are {', '.join(names)}")
    return {name: _check_pairwise(answers.get(name), f"answers.{name}") for name in names}


def _check_pairwise(answer: Any, path: str) -> dict[str, Any]:
    if not isinstance(answer, dict):
        raise ValueError(f"{path}: is required")
    unknown = sorted(set(answer) - {"choice", "strength", "reason", "flags"})
    if unknown:
        raise ValueError(f"{path}.{unknown[0]}: unknown; known are choice, strength, reason, flags")
    choice, strength = answer.get("choice"), answer.get("strength")
    if choice not in CHOICES:
        raise ValueError(f"{path}.choice: {choice!r} is not one of {', '.join(CHOICES)}")
    if strength is not None and (
        strength not in (1, 2, 3) or isinstance(strength, bool) or choice in ("tie", "neither")
    ):
        raise ValueError(f"{path}.strength: is 1, 2 or 3, and only where one side is preferred")
    return {"choice": choice, "strength": strength, **_check_texts(answer, path)}


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
