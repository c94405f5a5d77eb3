"""Marks on a scale, per aspect; of the task, of each candidate or of each turn."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import mean
from typing import Any

from django.utils.translation import gettext as _

from annotation.questions.base import (
    MAX_REASON,
    MOST_CANDIDATES,
    POSITIONS,
    Kind,
    Needs,
    Order,
    Problem,
    Question,
    Shown,
    check_named_list,
    check_whole,
    check_words,
    check_yes_no,
    field_of,
    is_whole,
    letter,
    most_common,
    read_text,
    refuse_unknown,
    require_shown,
    turned_list,
)

Marks = Mapping[str, Any]


class Rating(Kind):
    name = "rating"
    keys = ("scale", "aspects", "each", "field", "notes")
    answers = ("ratings", "notes")

    def check(self, question: Question, path: str, schema: Mapping[str, Any]) -> Iterator[Problem]:
        scale = question.get("scale", 5)
        yield from check_whole(scale, f"{path}.scale", 2, 10)
        yield from check_named_list(question, path, "aspects", most=20, known=("anchors", "required"))
        for place, aspect in enumerate(_aspects(question)):
            yield from _check_aspect(aspect, f"{path}.aspects[{place}]", scale)
        yield from check_yes_no(question, path, "notes")
        if question.get("each") not in (None, "candidates", "turns"):
            yield f"{path}.each", _("is candidates or turns; leave it out to rate the task as a whole")
        if "field" in question:
            yield from _check_field(question, path, schema)

    def needs(self, question: Question) -> Needs:
        if question.get("each") == "candidates":
            return Needs(prompt=True, least=1, most=MOST_CANDIDATES)
        return Needs(prompt=question.get("each") == "turns" and "field" not in question)

    def asks_about_shown(self, question: Question) -> bool:
        return "each" in question

    def answer(self, question: Question, answer: Mapping[str, Any], path: str, shown: Shown | None) -> dict[str, Any]:
        marks, notes = answer.get("ratings"), answer.get("notes")
        if notes and not question.get("notes"):
            raise ValueError(f"{path}.notes: " + _("this question takes no notes; leave them out"))
        if "each" not in question:
            ratings: Any = _marks(question, marks, f"{path}.ratings")
            written: Any = _notes(question, notes, f"{path}.notes")
            return {"ratings": ratings, **({"notes": written} if written else {})}
        rated = _rated(question, require_shown(shown, path))
        ratings = _list(question, marks, f"{path}.ratings", rated)
        written = _note_list(question, notes, f"{path}.notes", rated)
        return {"ratings": ratings, **({"notes": written} if any(written) else {})}

    def reorder(self, question: Question, answer: Mapping[str, Any], order: Order) -> dict[str, Any]:
        turned = super().reorder(question, answer, order)
        if question.get("each") == "candidates":
            lists = {name: answer[name] for name in ("ratings", "notes") if isinstance(answer.get(name), list)}
            turned |= {name: turned_list(items, order) for name, items in lists.items()}
        return turned

    def words(self, question: Question, answer: Mapping[str, Any]) -> str:
        texts = {aspect["name"]: aspect["text"] for aspect in _aspects(question)}
        ratings = answer.get("ratings", {})
        if isinstance(ratings, Mapping):
            return _words(texts, ratings, question)
        label = letter_of if question.get("each") == "candidates" else turn_of
        told = [
            _("%(what)s: %(words)s") % {"what": label(place), "words": _words(texts, marks, question)}
            for place, marks in enumerate(ratings)
            if marks
        ]
        return " · ".join(told)

    def likeness(self, question: Question, one: Mapping[str, Any], other: Mapping[str, Any]) -> float | None:
        """1 minus the mean distance of the marks both gave, as a share of the scale's length: the linear weights of Cohen 1968."""
        mine, yours = _flat(one.get("ratings")), _flat(other.get("ratings"))
        both = [key for key in mine if key in yours]
        length = question.get("scale", 5) - 1
        return mean(1 - abs(mine[key] - yours[key]) / length for key in both) if both else None

    def majority(self, question: Question, answers: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
        """The marks that more than half gave, where every required one has such a mark."""
        marks: dict[tuple[int, str], list[int]] = {}
        for answer in answers:
            for key, mark in _flat(answer.get("ratings")).items():
                marks.setdefault(key, []).append(mark)
        most = {key: most_common(given, len(answers)) for key, given in marks.items()}
        needed = {aspect["name"] for aspect in _aspects(question) if aspect.get("required", True)}
        if not most or any(not found and key[1] in needed for key, found in most.items()):
            return None
        agreed = {key: found[0] for key, found in most.items() if found}
        if "each" not in question:
            return {"ratings": {name: mark for (_place, name), mark in agreed.items()}}
        length = max(len(answer["ratings"]) for answer in answers)
        listed = [{name: mark for (at, name), mark in agreed.items() if at == place} for place in range(length)]
        return {"ratings": [found or None for found in listed]}


def letter_of(place: int) -> str:
    return letter(POSITIONS[place])


def turn_of(place: int) -> str:
    return _("turn %d") % (place + 1)


def _words(texts: Mapping[str, str], marks: Marks, question: Question) -> str:
    scale = question.get("scale", 5)
    return ", ".join(f"{texts.get(name, name)} {mark}/{scale}" for name, mark in marks.items())


def _flat(ratings: Any) -> dict[tuple[int, str], int]:
    """Every mark by (place, aspect); a rating of the whole stands at place 0."""
    listed = [ratings] if isinstance(ratings, Mapping) else ratings or []
    return {(place, name): mark for place, marks in enumerate(listed) for name, mark in (marks or {}).items()}


def _aspects(question: Question) -> list[Marks]:
    aspects = question.get("aspects")
    return [aspect for aspect in aspects if isinstance(aspect, dict)] if isinstance(aspects, list) else []


def _check_aspect(aspect: Marks, path: str, scale: Any) -> Iterator[Problem]:
    yield from check_yes_no(aspect, path, "required")
    anchors = aspect.get("anchors", {})
    if not isinstance(anchors, dict):
        yield f"{path}.anchors", _('needs an object of marks and words, as {"1": "wrong", "5": "right"}')
        return
    top = scale if is_whole(scale, 2, 10) else 10
    for mark, words in anchors.items():
        if mark not in {str(step) for step in range(1, top + 1)}:
            yield f"{path}.anchors.{str(mark)[:20]}", _("is no mark of the scale, which runs from 1 to %d") % top
        yield from check_words(words, f"{path}.anchors.{str(mark)[:20]}", _("needs the words for this mark"))


def _check_field(question: Question, path: str, schema: Mapping[str, Any]) -> Iterator[Problem]:
    if question.get("each") != "turns":
        yield f"{path}.field", _('goes with each: "turns"; leave it out')
        return
    field = field_of(schema, question["field"])
    if field is None or field.get("kind") != "chat":
        yield f"{path}.field", _("needs the name of a chat field; leave it out to rate the prompt's turns")


def _rated(question: Question, shown: Shown) -> list[bool]:
    """For each candidate or turn, whether it is rated: of a conversation only what the assistant said."""
    if question["each"] == "candidates":
        return [True] * len(shown.candidates)
    turns = shown.data.get(question["field"]) or [] if "field" in question else shown.prompt
    return [turn.get("role") == "assistant" for turn in turns]


def _marks(question: Question, marks: Any, path: str) -> dict[str, int]:
    aspects = question["aspects"]
    names = [aspect["name"] for aspect in aspects]
    scale = question.get("scale", 5)
    if not isinstance(marks, dict):
        raise ValueError(f"{path}: " + _("needs a mark for each of %s") % ", ".join(names))
    refuse_unknown(marks, path, names)
    found: dict[str, int] = {}
    for aspect in aspects:
        mark: Any = marks.get(aspect["name"])
        if mark is None and not aspect.get("required", True):
            continue
        if not is_whole(mark, 1, scale):
            raise ValueError(f"{path}.{aspect['name']}: " + _("needs a whole number from 1 to %d") % scale)
        found[aspect["name"]] = mark
    return found


def _notes(question: Question, notes: Any, path: str) -> dict[str, str]:
    if notes is None:
        return {}
    if not isinstance(notes, dict):
        raise ValueError(f"{path}: " + _("is an object of aspects and texts"))
    refuse_unknown(notes, path, [aspect["name"] for aspect in question["aspects"]])
    written = {name: read_text(text or "", f"{path}.{name}", MAX_REASON) for name, text in notes.items()}
    return {name: text for name, text in written.items() if text.strip()}


def _list(question: Question, marks: Any, path: str, rated: list[bool]) -> list[dict[str, int] | None]:
    if not isinstance(marks, list) or len(marks) != len(rated):
        raise ValueError(f"{path}: " + _("needs a list of %d, one entry for each candidate or turn") % len(rated))
    return [_entry(question, one, f"{path}[{place}]", rated[place]) for place, one in enumerate(marks)]


def _entry(question: Question, marks: Any, path: str, rated: bool) -> dict[str, int] | None:
    if rated:
        return _marks(question, marks, path)
    if marks:
        raise ValueError(f"{path}: " + _("only the assistant's turns are rated; send null here"))
    return None


def _note_list(question: Question, notes: Any, path: str, rated: list[bool]) -> list[dict[str, str] | None]:
    if notes is None:
        return []
    if not isinstance(notes, list) or len(notes) != len(rated):
        raise ValueError(f"{path}: " + _("needs a list of %d, one entry for each candidate or turn") % len(rated))
    return [_notes(question, one, f"{path}[{place}]") or None for place, one in enumerate(notes)]
