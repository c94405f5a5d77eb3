"""The controls of a schema, as the pages render them: one template and one module for each question, and where they stand."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.template.loader import render_to_string
from django.templatetags.static import static

from annotation.answer_words import judgement
from annotation.data import Feedback
from annotation.questions.chat import as_asked, turns_of

DOCK, SHEET = "dock", "sheet"
SMALL = ("pairwise", "labels", "ranking", "rating")
FEW_ASPECTS, MANY_OPTIONS = 3, 30
LABEL_KEYS = "1234567890abilovxy"
"""Digits, then the letters that no page means something by."""

Question = Mapping[str, Any]
Questions = Sequence[Question]


def controls_of(schema: str, questions: Questions) -> dict[str, Any]:
    """What `annotation/_controls.html` and `_questions.html` show of a schema; `schema` is its public id."""
    return {
        "schema": schema,
        "place": place_of(questions),
        "title": questions[0]["text"] if len(questions) == 1 else "",
        "questions": [_asked(question) for question in questions],
    }


def can_be_asked(questions: Questions) -> bool:
    """Whether these questions can be answered outside the labeling page. A conversation is held nowhere else."""
    return all(question["kind"] != "chat" for question in questions)


def place_of(questions: Questions) -> str:
    """A single small question stands in the dock, where it never leaves the screen; anything else in a sheet beside the task."""
    return DOCK if len(questions) == 1 and _is_small(questions[0]) else SHEET


def _is_small(question: Question) -> bool:
    if question.get("each"):
        return True  # its scales stand beside what they rate
    return (
        question["kind"] in SMALL
        and len(question.get("aspects", ())) <= (0 if question["kind"] == "pairwise" else FEW_ASPECTS)
        and len(question.get("options", ())) <= MANY_OPTIONS
        and not any(option.get("children") for option in question.get("options", ()))
    )


def _asked(question: Question) -> dict[str, Any]:
    kind = question["kind"]
    question = as_asked(question) if kind == "chat" else question
    return {
        **question,
        "optional": not question.get("required", True),
        "template": f"annotation/questions/{kind}.html",
        "module": static(module_of(kind)),
        "asked_json": json.dumps({key: value for key, value in question.items() if key not in _left_out(kind)}),
        "when_json": json.dumps(question["when"]) if question.get("when") else "",
        **(PREPARED[kind](question) if kind in PREPARED else {}),
    }


def _left_out(kind: str) -> tuple[str, ...]:
    """What a module needs not be told: labels may be two thousand, and stand in the page already."""
    return ("help", "options") if kind == "labels" else ("help",)


def module_of(kind: str) -> str:
    return f"js/questions/{kind}.mjs"


def modules_of(questions: Questions) -> list[str]:
    """Static names of what the page loads ahead to ask these questions."""
    return list(dict.fromkeys(module_of(question["kind"]) for question in questions))


def _as_labels(question: Question) -> dict[str, Any]:
    """Options in the order they stand, each with its depth, its parents' values and the key that chooses it."""
    keys = iter(LABEL_KEYS)
    flat = [{**row, "key": next(keys, "")} for row in _flat(question["options"])]
    return {"flat": flat, "tree": any(row["depth"] for row in flat), "searched": len(flat) > 12}


def _flat(options: Sequence[Mapping[str, Any]], parents: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    rows = []
    for option in options:
        rows.append(
            {
                "value": option["value"],
                "text": option["text"],
                "hint": option.get("hint", ""),
                "depth": len(parents),
                "parents": json.dumps(parents) if parents else "",
            }
        )
        rows += _flat(option.get("children", ()), (*parents, option["value"]))
    return rows


def _as_rating(question: Question) -> dict[str, Any]:
    """Each aspect with its marks and what they mean."""
    marks = range(1, question.get("scale", 5) + 1)
    aspects = [
        {**aspect, "marks": [(mark, aspect.get("anchors", {}).get(str(mark), "")) for mark in marks]}
        for aspect in question["aspects"]
    ]
    return {"aspects": aspects, "last": marks[-1]}


def _as_chat(question: Question) -> dict[str, Any]:
    return {"turns_least_most": turns_of(question)}


PREPARED: dict[str, Callable[[Question], dict[str, Any]]] = {
    "labels": _as_labels,
    "rating": _as_rating,
    "chat": _as_chat,
}


def controls_html(schema: str, questions: Questions) -> str:
    """The controls in a template that the page copies when it shows the first task of this schema."""
    return render_to_string("annotation/_controls.html", {"form": controls_of(schema, questions)})


def feedback_in_words(questions: Questions, told: Feedback) -> dict[str, Any]:
    """What the author of a gold answer reads: whether it was right, what is right, and why."""
    return {
        "right": told.score >= 1,
        "partly": 0 < told.score < 1,
        "answers": [
            judgement(row, told.right_answers[row["name"]]) for row in questions if row["name"] in told.right_answers
        ],
        "explanation": told.explanation,
    }
