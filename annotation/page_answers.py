"""Answers between the labeling page and the queue: the page speaks of the sides a and b, the queue of first and second."""

from collections.abc import Mapping, Sequence
from typing import Any

from annotation.answer_words import judgement
from annotation.data import Feedback
from annotation.models import Schema, Task
from ground.errors import Invalid

CHOICES = {"a": "first", "b": "second", "tie": "tie", "neither": "neither"}
SIDES = {choice: side for side, choice in CHOICES.items()}
SHOWN = ("pairwise", "labels")

Questions = Sequence[Mapping[str, Any]]


def questions_of(task: Task) -> list[dict[str, Any]]:
    questions: list[dict[str, Any]] = Schema.body_of(task.schema_id)["questions"]
    return questions


def page_kind(questions: Questions) -> str:
    """Which page shows these questions; `other` where none does yet."""
    kinds = [question["kind"] for question in questions]
    return kinds[0] if len(kinds) == 1 and kinds[0] in SHOWN else "other"


def from_page(questions: Questions, said: Any) -> Any:
    """The page's answer in the words of the queue's contract; what else is wrong with it is found there."""
    if page_kind(questions) != "pairwise":
        return said
    preference = said.get("preference") if isinstance(said, dict) else None
    if not isinstance(preference, dict):
        raise Invalid("answer.preference: is required")
    choice = preference.get("choice")
    answer = {
        "choice": CHOICES.get(choice) if isinstance(choice, str) else choice,
        "strength": preference.get("strength"),
        "reason": said.get("reason") or "",
        "flags": said.get("flags") or [],
    }
    return {questions[0]["name"]: answer}


def to_page(questions: Questions, answers: dict[str, Any]) -> dict[str, Any]:
    """An answer, its candidates as its author saw them, as the page put it."""
    if page_kind(questions) != "pairwise":
        return answers
    said = answers[questions[0]["name"]]
    preference = {"choice": SIDES[said["choice"]], "strength": said["strength"]}
    return {"preference": preference, "reason": said["reason"], "flags": said["flags"]}


def feedback_in_words(questions: Questions, told: Feedback) -> dict[str, Any]:
    """What the author of a gold answer reads: whether it was right, what is right, and why."""
    return {
        "right": told.score >= 1,
        "partly": 0 < told.score < 1,
        "answers": [judgement(question, told.right_answers.get(question["name"], {})) for question in questions],
        "explanation": told.explanation,
    }
