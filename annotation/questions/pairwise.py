"""Which of two candidates is better."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _

from annotation.questions.base import (
    Kind,
    Needs,
    Order,
    Problem,
    Question,
    Shown,
    check_candidate_flags,
    check_named_list,
    check_yes_no,
    letter,
    most_common,
    read_rewrite,
    refuse_unknown,
    turned_position,
    turned_rewrite,
)

CHOICES = ("first", "second", "tie", "neither")
EVEN = ("tie", "neither")
STRENGTHS = (1, 2, 3)


class Pairwise(Kind):
    name = "pairwise"
    keys = ("strength", "tie", "neither", "aspects", "rewrite", "candidate_flags")
    answers = ("choice", "strength", "aspects", "rewrite")

    def check(self, question: Question, path: str, schema: Mapping[str, Any]) -> Iterator[Problem]:
        if not (isinstance(question.get("strength", False), bool) or question["strength"] == "steps"):
            yield f"{path}.strength", _("is false, true or steps")
        yield from check_yes_no(question, path, "tie", "neither", "rewrite")
        if "aspects" in question:
            yield from check_named_list(question, path, "aspects", most=20)
        yield from check_candidate_flags(question, path)

    def needs(self, question: Question) -> Needs:
        return Needs(prompt=True, least=2, most=2)

    def answer(self, question: Question, answer: Mapping[str, Any], path: str, shown: Shown | None) -> dict[str, Any]:
        said = {**_judgement(question, answer, path), **read_rewrite(question, answer, path, 2)}
        aspects = question.get("aspects")
        if aspects:
            return {**said, "aspects": _aspects(question, aspects, answer.get("aspects"), f"{path}.aspects")}
        if answer.get("aspects"):
            raise ValueError(f"{path}.aspects: " + _("this question has no aspects; leave it out"))
        return said

    def values(self, question: Question, answer: Mapping[str, Any]) -> set[str]:
        return {answer["choice"]}

    def possible(self, question: Question) -> set[str] | None:
        return set(_choices(question))

    def reorder(self, question: Question, answer: Mapping[str, Any], order: Order) -> dict[str, Any]:
        turned = super().reorder(question, answer, order)
        if "choice" in answer:
            turned["choice"] = turned_position(answer["choice"], order)
        if answer.get("aspects"):
            turned["aspects"] = {
                name: {**said, "choice": turned_position(said["choice"], order)}
                for name, said in answer["aspects"].items()
            }
        return {**turned, **turned_rewrite(answer, order)}

    def words(self, question: Question, answer: Mapping[str, Any]) -> str:
        said = in_words(answer.get("choice"), answer.get("strength"))
        texts = {aspect["name"]: aspect["text"] for aspect in question.get("aspects", [])}
        more = [
            _("%(aspect)s: %(words)s")
            % {"aspect": texts.get(name, name), "words": in_words(one.get("choice"), one.get("strength"))}
            for name, one in (answer.get("aspects") or {}).items()
        ]
        return " · ".join([said, *more])

    def likeness(self, question: Question, one: Mapping[str, Any], other: Mapping[str, Any]) -> float | None:
        return float(one.get("choice") == other.get("choice"))

    def majority(self, question: Question, answers: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
        choices = most_common((answer.get("choice") for answer in answers), len(answers))
        if not choices:
            return None
        said: dict[str, Any] = {"choice": choices[0], "strength": None}
        if question.get("aspects"):
            aspects = {aspect["name"]: _most_said(aspect["name"], answers) for aspect in question["aspects"]}
            return None if None in aspects.values() else {**said, "aspects": aspects}
        return said


def in_words(choice: Any, strength: Any) -> str:
    words = {"tie": _("About equal"), "neither": _("Both bad")}
    if choice in words:
        return words[choice]
    side = letter(choice) if choice in CHOICES else "?"
    how = {1: _("%s is slightly better"), 2: _("%s is better"), 3: _("%s is much better")}
    return how.get(strength, _("%s is better")) % side


def _choices(question: Question) -> tuple[str, ...]:
    if question.get("tie", True) and question.get("neither", True):
        return CHOICES
    return tuple(choice for choice in CHOICES if choice not in EVEN or question.get(choice, True))


def _judgement(question: Question, answer: Mapping[str, Any], path: str) -> dict[str, Any]:
    choice, strength = answer.get("choice"), answer.get("strength")
    choices = _choices(question)
    if choice not in choices:
        told = {"choice": repr(choice)[:60], "choices": ", ".join(choices)}
        raise ValueError(f"{path}.choice: " + _("%(choice)s is not one of %(choices)s") % told)
    if strength is not None and (strength not in STRENGTHS or isinstance(strength, bool) or choice in EVEN):
        raise ValueError(f"{path}.strength: " + _("is 1, 2 or 3, and only where one side is preferred"))
    return {"choice": choice, "strength": strength}


def _aspects(question: Question, aspects: Sequence[Question], said: Any, path: str) -> dict[str, Any]:
    names = [aspect["name"] for aspect in aspects]
    if not isinstance(said, dict):
        raise ValueError(f"{path}: " + _("needs a choice for each of %s") % ", ".join(names))
    refuse_unknown(said, path, names)
    return {name: _aspect(question, said.get(name), f"{path}.{name}") for name in names}


def _aspect(question: Question, said: Any, path: str) -> dict[str, Any]:
    if not isinstance(said, dict):
        raise ValueError(f"{path}: " + _("is required"))
    refuse_unknown(said, path, ("choice", "strength"))
    return _judgement(question, said, path)


def _most_said(name: str, answers: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    said = [answer["aspects"][name]["choice"] for answer in answers if name in answer.get("aspects", {})]
    choices = most_common(said, len(answers))
    return {"choice": choices[0], "strength": None} if choices else None
