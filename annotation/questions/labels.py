"""Which of some labels fit: one, several, or out of a tree."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _

from annotation.questions.base import (
    Kind,
    Problem,
    Question,
    Shown,
    check_option,
    check_range,
    check_yes_no,
    jaccard,
    most_common,
)

MOST_OPTIONS = 2_000
DEEPEST = 8


class Labels(Kind):
    name = "labels"
    keys = ("options", "multiple", "min", "max")
    answers = ("labels",)

    def check(self, question: Question, path: str, schema: Mapping[str, Any]) -> Iterator[Problem]:
        options = question.get("options")
        if not isinstance(options, list) or not options:
            yield f"{path}.options", _("needs 2 to %d options, each {value, text}") % MOST_OPTIONS
        else:
            seen: set[str] = set()
            found = list(_check_tree(options, f"{path}.options", seen, 1))
            yield from found
            if not found and not 2 <= len(seen) <= MOST_OPTIONS:
                yield f"{path}.options", _("needs 2 to %d options, each {value, text}") % MOST_OPTIONS
        yield from check_yes_no(question, path, "multiple")
        yield from check_range(question, path, 0, MOST_OPTIONS)
        if ("min" in question or "max" in question) and not question.get("multiple"):
            yield f"{path}.{'min' if 'min' in question else 'max'}", _("goes with multiple: true; leave it out")

    def answer(self, question: Question, answer: Mapping[str, Any], path: str, shown: Shown | None) -> dict[str, Any]:
        labels, known = answer.get("labels"), order_of(question)
        if not isinstance(labels, list) or not all(isinstance(label, str) and label in known for label in labels):
            raise ValueError(f"{path}.labels: " + _("is a list of %s") % _some(list(known)))
        if len(set(labels)) != len(labels):
            raise ValueError(f"{path}.labels: " + _("names a label twice"))
        if not question.get("multiple"):
            if len(labels) != 1:
                raise ValueError(f"{path}.labels: " + _("needs exactly one label"))
            return {"labels": labels}
        least, most = question.get("min", 0), question.get("max", MOST_OPTIONS)
        if not least <= len(labels) <= most:
            told = {"least": least, "most": min(most, len(known))}
            raise ValueError(f"{path}.labels: " + _("needs %(least)d to %(most)d labels") % told)
        return {"labels": sorted(labels, key=known.__getitem__)}

    def values(self, question: Question, answer: Mapping[str, Any]) -> set[str]:
        """A child says its parents too."""
        return implied(question, answer["labels"])

    def possible(self, question: Question) -> set[str] | None:
        return set(order_of(question))

    def words(self, question: Question, answer: Mapping[str, Any]) -> str:
        texts = {value: " › ".join(path) for value, path in _paths(question["options"], ())}
        return ", ".join(texts.get(label, label) for label in answer.get("labels", [])) or _("none of the labels")

    def likeness(self, question: Question, one: Mapping[str, Any], other: Mapping[str, Any]) -> float | None:
        """Jaccard 1912. In a tree labels count with all above them (Kiritchenko et al. 2006): siblings are alike in part."""
        return jaccard(implied(question, one.get("labels", [])), implied(question, other.get("labels", [])))

    def majority(self, question: Question, answers: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
        """The labels that more than half gave; of a tree also by giving one below, and then the lowest of each branch."""
        said = (label for answer in answers for label in implied(question, answer.get("labels", [])))
        agreed = most_common(said, len(answers))
        above = {value for label in agreed for value in implied(question, [label]) if value != label}
        labels = [label for label in agreed if label not in above]
        if not answers or (not question.get("multiple") and len(labels) != 1):
            return None
        return {"labels": sorted(labels)}


def order_of(question: Question) -> dict[str, int]:
    """Every value of the tree and its place in it, parents before children."""
    values: list[str] = []
    _collect(question["options"], values)
    return {value: place for place, value in enumerate(values)}


def _collect(options: Any, into: list[str]) -> None:
    for option in options:
        into.append(option["value"])
        if "children" in option:
            _collect(option["children"], into)


def implied(question: Question, labels: Sequence[str]) -> set[str]:
    if not any("children" in option for option in question.get("options", ())):
        return set(labels)
    lines = {line[-1]: line for line in _lines(question["options"], ())}
    return {value for label in labels for value in lines.get(label, (label,))}


def _lines(options: Any, above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Each value with those above it."""
    for option in options:
        here = (*above, option["value"])
        yield here
        yield from _lines(option.get("children", ()), here)


def _paths(options: Any, above: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for option in options:
        here = (*above, option["text"])
        yield option["value"], here
        yield from _paths(option.get("children", ()), here)


def _check_tree(options: list[Any], path: str, seen: set[str], depth: int) -> Iterator[Problem]:
    for place, option in enumerate(options):
        here = f"{path}[{place}]"
        yield from check_option(option, here, seen, ("children",))
        if isinstance(option, dict) and "children" in option:
            children = option["children"]
            if depth == DEEPEST:
                yield f"{here}.children", _("is more than %d levels deep; flatten the tree") % DEEPEST
            elif not isinstance(children, list) or not children:
                yield f"{here}.children", _("needs a list of options, or leave it out")
            else:
                yield from _check_tree(children, f"{here}.children", seen, depth + 1)


def _some(values: list[str]) -> str:
    more = len(values) - 20
    return ", ".join(values[:20]) + (_(" and %d more") % more if more > 0 else "")
