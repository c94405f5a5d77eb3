"""How alike two answers to one task are: gold against what somebody said, and people among each other. Pure."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any


def likeness(questions: Sequence[Mapping[str, Any]], one: Mapping[str, Any], other: Mapping[str, Any]) -> float | None:
    """Mean over the questions both answer, 0 (nothing alike) to 1 (the same); None when they share no comparable question."""
    scores = [
        _alike(question["kind"], one[question["name"]], other[question["name"]])
        for question in questions
        if one.get(question["name"]) is not None and other.get(question["name"]) is not None
    ]
    return sum(scores) / len(scores) if scores else None


def _alike(kind: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    if kind == "labels":
        return jaccard(set(one.get("labels", [])), set(other.get("labels", [])))
    return float(one.get("choice") == other.get("choice"))


def jaccard(one: set[str], other: set[str]) -> float:
    """Size of the intersection over size of the union (Jaccard 1912); two empty sets are alike."""
    return len(one & other) / len(one | other) if one | other else 1.0


def observed_agreement(questions: Sequence[Mapping[str, Any]], answers: Sequence[Mapping[str, Any]]) -> float | None:
    """Mean likeness over all pairs of answers; None below two answers. Not corrected for chance: that needs many tasks."""
    pairs = [likeness(questions, one, other) for one, other in combinations(answers, 2)]
    known = [score for score in pairs if score is not None]
    return sum(known) / len(known) if known else None
