"""What is wrong, if anything: nothing to flag is an answer."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _

from annotation.questions.base import (
    MAX_REASON,
    Kind,
    Problem,
    Question,
    Shown,
    check_options,
    check_yes_no,
    jaccard,
    most_common,
    read_text,
    refuse_unknown,
)

MOST_OPTIONS = 50


class Flags(Kind):
    name = "flags"
    keys = ("options", "note")
    answers = ("raised",)

    def check(self, question: Question, path: str, schema: Mapping[str, Any]) -> Iterator[Problem]:
        yield from check_options(question, path, most=MOST_OPTIONS, known=("review",))
        options = question.get("options")
        for place, option in enumerate(options if isinstance(options, list) else []):
            if isinstance(option, dict):
                yield from check_yes_no(option, f"{path}.options[{place}]", "review")
        yield from check_yes_no(question, path, "note")

    def answer(self, question: Question, answer: Mapping[str, Any], path: str, shown: Shown | None) -> dict[str, Any]:
        raised, here = answer.get("raised"), f"{path}.raised"
        options = [option["value"] for option in question["options"]]
        if not isinstance(raised, list) or len(raised) > len(options):
            raise ValueError(f"{here}: " + _("is a list of {value, note}; empty where nothing is to be flagged"))
        read = {}
        for place, one in enumerate(raised):
            flag = _flag(question, one, f"{here}[{place}]", options)
            if flag["value"] in read:
                raise ValueError(f"{here}[{place}].value: " + _("%s is raised twice") % repr(flag["value"]))
            read[flag["value"]] = flag
        return {"raised": [read[value] for value in options if value in read]}

    def wants_review(self, question: Question, answer: Mapping[str, Any]) -> bool:
        """Whether a raised flag asks for a second look by itself."""
        asking = {option["value"] for option in question["options"] if option.get("review")}
        return any(flag["value"] in asking for flag in answer["raised"])

    def values(self, question: Question, answer: Mapping[str, Any]) -> set[str]:
        return {flag["value"] for flag in answer["raised"]}

    def possible(self, question: Question) -> set[str] | None:
        return {option["value"] for option in question["options"]}

    def words(self, question: Question, answer: Mapping[str, Any]) -> str:
        texts = {option["value"]: option["text"] for option in question["options"]}
        told = [
            texts.get(flag["value"], flag["value"]) + (f" ({flag['note']})" if flag.get("note") else "")
            for flag in answer.get("raised", [])
        ]
        return ", ".join(told) or _("nothing to flag")

    def likeness(self, question: Question, one: Mapping[str, Any], other: Mapping[str, Any]) -> float | None:
        """Jaccard 1912, of what was raised."""
        mine, yours = ({flag["value"] for flag in said.get("raised", [])} for said in (one, other))
        return jaccard(mine, yours)

    def majority(self, question: Question, answers: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
        if not answers:
            return None
        most = most_common((flag["value"] for answer in answers for flag in answer.get("raised", [])), len(answers))
        return {
            "raised": [
                {"value": option["value"], "note": ""} for option in question["options"] if option["value"] in most
            ]
        }


def _flag(question: Question, one: Any, path: str, options: Sequence[str]) -> dict[str, str]:
    if not isinstance(one, dict):
        raise ValueError(f"{path}: " + _("needs an object {value, note}"))
    refuse_unknown(one, path, ("value", "note"))
    if one.get("value") not in options:
        raise ValueError(f"{path}.value: " + _("is one of %s") % ", ".join(options))
    note = read_text(one.get("note") or "", f"{path}.note", MAX_REASON)
    if note.strip() and not question.get("note", True):
        raise ValueError(f"{path}.note: " + _("this question takes no notes; leave them out"))
    return {"value": one["value"], "note": note}
