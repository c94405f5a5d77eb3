"""An answer in words, for pages where a person reads what another said. Sides are called A and B, as the labeling page does."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _

STRENGTHS = (1, 2, 3)


def in_words(questions: Sequence[Mapping[str, Any]], answers: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One entry for each question: its text, the judgement, the reason given and the flags raised."""
    return [_entry(question, answers.get(question["name"])) for question in questions]


def _entry(question: Mapping[str, Any], answer: Any) -> dict[str, Any]:
    said = answer if isinstance(answer, Mapping) else {}
    return {
        "text": question["text"],
        "judgement": judgement(question, said),
        "reason": str(said.get("reason") or ""),
        "flags": [_flag(flag) for flag in said.get("flags", [])],
    }


def judgement(question: Mapping[str, Any], answer: Mapping[str, Any]) -> str:
    if question["kind"] == "pairwise":
        return _pairwise(answer.get("choice"), answer.get("strength"))
    if question["kind"] == "labels":
        texts = {option["value"]: option["text"] for option in question["options"]}
        return ", ".join(texts.get(label, label) for label in answer.get("labels", [])) or _("none of the labels")
    return str(answer)


def _pairwise(choice: Any, strength: Any) -> str:
    words = {"tie": _("About equal"), "neither": _("Both bad")}
    if choice in words:
        return words[choice]
    side = {"first": "A", "second": "B"}.get(str(choice), "?")
    how = {1: _("%s is slightly better"), 2: _("%s is better"), 3: _("%s is much better")}
    return how.get(strength, _("%s is better")) % side


def _flag(flag: str) -> str:
    """`first:unsafe` → `A: unsafe`."""
    side, colon, rest = flag.partition(":")
    return f"{ {'first': 'A', 'second': 'B'}.get(side, side) }{colon} {rest}".strip() if colon else flag


def settle_choices(questions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What a reviewer can choose for each question, as (value, words) pairs; `many` where several hold at once."""
    return [_choices(question) for question in questions]


def _choices(question: Mapping[str, Any]) -> dict[str, Any]:
    base = {"name": question["name"], "text": question["text"], "kind": question["kind"], "many": False}
    if question["kind"] == "pairwise":
        sides = [(f"{side}:{much}", _pairwise(side, much)) for side in ("first", "second") for much in STRENGTHS]
        first, second = sides[:3], sides[3:]
        return {
            **base,
            "options": [
                *reversed(first),
                ("tie", _pairwise("tie", None)),
                *second,
                ("neither", _pairwise("neither", None)),
            ],
        }
    if question["kind"] == "labels":
        options = [(option["value"], option["text"]) for option in question["options"]]
        return {**base, "many": bool(question.get("multiple")), "options": options}
    return {**base, "options": []}


def chosen(question: Mapping[str, Any], values: Sequence[str]) -> dict[str, Any] | None:
    """The answer that a form's values mean; None when nothing was chosen."""
    if question["kind"] == "pairwise":
        choice, _colon, strength = (values[0] if values else "").partition(":")
        return (
            {"choice": choice, "strength": int(strength) if strength in ("1", "2", "3") else strength or None}
            if choice
            else None
        )
    if question["kind"] == "labels":
        return {"labels": list(values)} if values or question.get("multiple") else None
    return None
