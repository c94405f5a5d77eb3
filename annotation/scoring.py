"""How alike two answers to one task are: gold against what somebody said, and people among each other. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

Questions = Sequence[Mapping[str, Any]]
Answers = Mapping[str, Any]


def likeness(questions: Questions, one: Answers, other: Answers) -> float | None:
    """Mean over the questions both answer, 0 (nothing alike) to 1 (the same); None when they share no comparable question."""
    scores = [
        _alike(question["kind"], one[question["name"]], other[question["name"]])
        for question in questions
        if one.get(question["name"]) is not None and other.get(question["name"]) is not None
    ]
    return sum(scores) / len(scores) if scores else None


def _alike(kind: str, one: Answers, other: Answers) -> float:
    if kind == "labels":
        return jaccard(set(one.get("labels", [])), set(other.get("labels", [])))
    return float(one.get("choice") == other.get("choice"))


def jaccard(one: set[str], other: set[str]) -> float:
    """Size of the intersection over size of the union (Jaccard 1912); two empty sets are alike."""
    return len(one & other) / len(one | other) if one | other else 1.0


def observed_agreement(questions: Questions, answers: Sequence[Answers]) -> float | None:
    """Mean likeness over all pairs of answers; None below two answers. Not corrected for chance: that needs many tasks."""
    pairs = [likeness(questions, one, other) for one, other in combinations(answers, 2)]
    known = [score for score in pairs if score is not None]
    return sum(known) / len(known) if known else None


def consensus(questions: Questions, answers: Sequence[Answers]) -> dict[str, Any] | None:
    """What most of them said, as answers that fit the schema; None where a question has no majority.

    One choice or label needs more than half of the answers; of several labels those count that more than half gave.
    """
    found = {question["name"]: _majority(question, answers) for question in questions}
    return found if found and all(answer is not None for answer in found.values()) else None


def _majority(question: Mapping[str, Any], answers: Sequence[Answers]) -> dict[str, Any] | None:
    said = [answer[question["name"]] for answer in answers if answer.get(question["name"]) is not None]
    most = lambda counts: [value for value, count in counts.items() if count * 2 > len(said)]  # noqa: E731
    plain: dict[str, Any] = {"reason": "", "flags": []}
    if question["kind"] == "labels":
        labels = most(Counter(label for answer in said for label in answer.get("labels", [])))
        wrong = not said or (not question.get("multiple") and len(labels) != 1)
        return None if wrong else {"labels": sorted(labels), **plain}
    choices = most(Counter(answer.get("choice") for answer in said))
    return {"choice": choices[0], "strength": None, **plain} if choices else None
