"""What holds between spans: subject, predicate, object."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _

from annotation.questions.base import Kind, Problem, Question, Shown, check_options, most_common, refuse_unknown
from annotation.questions.spans import place_of

MOST_RELATIONS = 5_000
PARTS = ("subject", "predicate", "object")
ENDS = ("subject", "object")


class Relations(Kind):
    name = "relations"
    keys = ("spans", "options")
    answers = ("relations",)

    def check(self, question: Question, path: str, schema: Mapping[str, Any]) -> Iterator[Problem]:
        marks = _marking(question, schema)
        if marks is None:
            yield f"{path}.spans", _("needs the name of an earlier question of kind spans")
        yield from check_options(question, path, known=("subject", "object"))
        options = question.get("options")
        for place, option in enumerate(options if isinstance(options, list) else []):
            for end in ("subject", "object"):
                if isinstance(option, dict) and end in option:
                    yield from _check_ends(option[end], f"{path}.options[{place}].{end}", marks)

    def answer(self, question: Question, answer: Mapping[str, Any], path: str, shown: Shown | None) -> dict[str, Any]:
        relations, here = answer.get("relations"), f"{path}.relations"
        if not isinstance(relations, list) or len(relations) > MOST_RELATIONS:
            told = _("is a list of at most %d, each {subject, predicate, object}") % MOST_RELATIONS
            raise ValueError(f"{here}: {told}")
        predicates = [option["value"] for option in question["options"]]
        read = [_relation(one, f"{here}[{place}]", predicates) for place, one in enumerate(relations)]
        seen: set[tuple[str, ...]] = set()
        for place, one in enumerate(read):
            parts = tuple(one[part] for part in PARTS)
            if parts in seen:
                raise ValueError(f"{here}[{place}]: " + _("says the same again; remove one"))
            seen.add(parts)
        return {"relations": sorted(read, key=lambda one: [one[part] for part in PARTS])}

    def fits(self, question: Question, answer: Mapping[str, Any], said: Mapping[str, Any], path: str) -> None:
        labels = {span["id"]: span["label"] for span in said.get(question["spans"], {}).get("spans", [])}
        allowed = {option["value"]: option for option in question["options"]}
        for place, one in enumerate(answer["relations"]):
            for end in ("subject", "object"):
                here = f"{path}.relations[{place}].{end}"
                if one[end] not in labels:
                    raise ValueError(f"{here}: " + _("is no span of %s in this answer") % question["spans"])
                known = allowed[one["predicate"]].get(end)
                if known is not None and labels[one[end]] not in known:
                    raise ValueError(f"{here}: " + _("needs a span labelled %s") % ", ".join(known))

    def values(self, question: Question, answer: Mapping[str, Any]) -> set[str]:
        return {one["predicate"] for one in answer["relations"]}

    def possible(self, question: Question) -> set[str] | None:
        return {option["value"] for option in question["options"]}

    def resolved(self, question: Question, answer: Mapping[str, Any], answers: Mapping[str, Any]) -> Mapping[str, Any]:
        """Span ids are each author's own; what people share are places in the text."""
        places = {span["id"]: place_of(span) for span in answers.get(question["spans"], {}).get("spans", [])}
        known = [one for one in answer.get("relations", []) if one["subject"] in places and one["object"] in places]
        return {"relations": [{**one, **{end: places[one[end]] for end in ENDS}} for one in known]}

    def named(self, question: Question, answer: dict[str, Any], answers: Mapping[str, Any]) -> dict[str, Any] | None:
        names = {place_of(span): span["id"] for span in answers.get(question["spans"], {}).get("spans", [])}
        if any(one[end] not in names for one in answer["relations"] for end in ENDS):
            return None
        return {"relations": [{**one, **{end: names[one[end]] for end in ENDS}} for one in answer["relations"]]}

    def likeness(self, question: Question, one: Mapping[str, Any], other: Mapping[str, Any]) -> float | None:
        """F1 of relations that agree in predicate and in both spans, ends and labels; two empty answers are alike."""
        mine, yours = (_triples(said) for said in (one, other))
        return 2 * len(mine & yours) / (len(mine) + len(yours)) if mine or yours else 1.0

    def majority(self, question: Question, answers: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
        """The relations that more than half gave."""
        if not answers:
            return None
        most = most_common((triple for answer in answers for triple in _triples(answer)), len(answers))
        return {"relations": [dict(zip(PARTS, triple, strict=True)) for triple in sorted(most)]}

    def words(self, question: Question, answer: Mapping[str, Any]) -> str:
        texts = {option["value"]: option["text"] for option in question["options"]}
        told = [texts.get(one["predicate"], one["predicate"]) for one in answer.get("relations", [])]
        return ", ".join(told) or _("no relations")


def _triples(answer: Mapping[str, Any]) -> set[tuple[Any, ...]]:
    return {tuple(one[part] for part in PARTS) for one in answer.get("relations", [])}


def _marking(question: Question, schema: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The spans question that this one is about, if it stands before it."""
    for other in schema.get("questions") or []:
        if other is question:
            return None
        if isinstance(other, dict) and other.get("kind") == "spans" and other.get("name") == question.get("spans"):
            return other
    return None


def _check_ends(ends: Any, path: str, marks: Mapping[str, Any] | None) -> Iterator[Problem]:
    options = marks.get("options") if marks else None
    known = (
        {str(option.get("value")) for option in options if isinstance(option, dict)}
        if isinstance(options, list)
        else None
    )
    if not isinstance(ends, list) or not ends or not all(isinstance(label, str) for label in ends):
        yield path, _("needs a list of labels of the spans question, or leave it out")
    elif known is not None and set(ends) - known:
        told = {"label": repr(sorted(set(ends) - known)[0]), "known": ", ".join(sorted(known))}
        yield path, _("%(label)s is no label of the spans question; known are %(known)s") % told


def _relation(one: Any, path: str, predicates: Sequence[str]) -> dict[str, str]:
    if not isinstance(one, dict):
        raise ValueError(f"{path}: " + _("needs an object {subject, predicate, object}"))
    refuse_unknown(one, path, PARTS)
    for part in PARTS:
        if not isinstance(one.get(part), str):
            raise ValueError(f"{path}.{part}: " + _("is required"))
    if one["predicate"] not in predicates:
        raise ValueError(f"{path}.predicate: " + _("is one of %s") % ", ".join(predicates[:20]))
    if one["subject"] == one["object"]:
        raise ValueError(f"{path}: " + _("relates a span to itself; choose another object"))
    return {part: one[part] for part in PARTS}
