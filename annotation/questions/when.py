"""Questions that are asked only after certain answers."""

from collections.abc import Iterator, Mapping
from typing import Any

from django.utils.translation import gettext as _

from annotation.questions.base import LONGEST_VALUE, Kind, Problem, check_known, is_whole

Questions = Mapping[str, Mapping[str, Any]]
KEYS = ("question", "is", "aspect", "at_least", "at_most", "answered")


def check_when(when: Any, path: str, earlier: Questions, kinds: Mapping[str, Kind]) -> Iterator[Problem]:
    """`earlier`: the questions before this one, by name."""
    if not isinstance(when, dict):
        yield path, _("needs an object {question, is}, {question, at_least} or {question, answered}")
        return
    yield from check_known(when, path, KEYS)
    asked = when.get("question")
    question = earlier.get(asked) if isinstance(asked, str) else None
    if question is None:
        yield (
            f"{path}.question",
            _("needs the name of a question before this one; there are: %s") % (", ".join(earlier) or _("none")),
        )
        return
    forms = [form for form in ("is", "answered") if form in when]
    if "at_least" in when or "at_most" in when or "aspect" in when:
        forms.append("at_least")
    if len(forms) != 1:
        yield path, _("needs exactly one of: is, at_least and at_most, answered")
    elif forms == ["is"]:
        yield from _check_is(when["is"], f"{path}.is", question, kinds)
    elif forms == ["answered"]:
        if when["answered"] is not True:
            yield f"{path}.answered", _("is true")
    else:
        yield from _check_marks(when, path, question)


def _check_is(value: Any, path: str, question: Mapping[str, Any], kinds: Mapping[str, Kind]) -> Iterator[Problem]:
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(one, str) and len(one) <= LONGEST_VALUE for one in values):
        yield path, _("needs a value of the other question, or a list of them")
        return
    try:
        possible = kinds[question["kind"]].possible(question)
    except (KeyError, TypeError, AttributeError):
        return  # the other question is wrong itself, and that is told there
    if possible is None:
        yield path, _("%s has no values to compare with; use answered: true") % repr(question.get("name"))
    elif set(values) - possible:
        told = {"value": repr(sorted(set(values) - possible)[0]), "known": ", ".join(sorted(possible)[:20])}
        yield path, _("%(value)s is no value of that question; known are %(known)s") % told


def _check_marks(when: Mapping[str, Any], path: str, question: Mapping[str, Any]) -> Iterator[Problem]:
    if question.get("kind") != "rating" or "each" in question:
        yield path, _("at_least and at_most compare with a rating of the task as a whole")
        return
    if "at_least" not in when and "at_most" not in when:
        yield path, _("needs at_least or at_most")
    scale = question.get("scale", 5)
    top = scale if is_whole(scale, 2, 10) else 10
    for name in ("at_least", "at_most"):
        if name in when and not is_whole(when[name], 1, top):
            yield f"{path}.{name}", _("is a whole number from 1 to %d") % top
    aspects = question.get("aspects")
    names = [str(one.get("name")) for one in aspects if isinstance(one, dict)] if isinstance(aspects, list) else []
    if "aspect" in when and when["aspect"] not in names:
        yield f"{path}.aspect", _("is one of %s") % ", ".join(names)
    if "aspect" not in when and len(names) > 1:
        yield f"{path}.aspect", _("say which of %s") % ", ".join(names)


def holds(when: Mapping[str, Any], said: Mapping[str, Any], asked: Questions, kinds: Mapping[str, Kind]) -> bool:
    """Whether a question is asked, after these canonical answers. One that depends on an unanswered question is not."""
    answer = said.get(when["question"])
    if answer is None:
        return False
    question = asked[when["question"]]
    if "answered" in when:
        return True
    if "is" in when:
        wanted = when["is"] if isinstance(when["is"], list) else [when["is"]]
        return not kinds[question["kind"]].values(question, answer).isdisjoint(wanted)
    mark = answer["ratings"].get(when.get("aspect") or question["aspects"][0]["name"])
    return mark is not None and when.get("at_least", mark) <= mark <= when.get("at_most", mark)
