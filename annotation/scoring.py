"""How alike two answers to one task are: gold against what somebody said, and people among each other. Pure.

The kinds of question know how they are compared (`annotation.questions`); here they are asked, question by question.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from annotation.questions import KINDS
from annotation.questions.when import holds

Questions = Sequence[Mapping[str, Any]]
Answers = Mapping[str, Any]


def likeness(questions: Questions, one: Answers, other: Answers) -> float | None:
    """Mean over the questions both answer, 0 (nothing alike) to 1 (the same); None when they share no comparable question."""
    scores = [
        score
        for question in questions
        if one.get(question["name"]) is not None and other.get(question["name"]) is not None
        if (score := _alike(question, one, other)) is not None
    ]
    return sum(scores) / len(scores) if scores else None


def _alike(question: Mapping[str, Any], one: Answers, other: Answers) -> float | None:
    mine, yours = (_resolved(question, answers) for answers in (one, other))
    return KINDS[question["kind"]].likeness(question, mine, yours)


def _resolved(question: Mapping[str, Any], answers: Answers) -> Mapping[str, Any]:
    return KINDS[question["kind"]].resolved(question, answers[question["name"]], answers)


def is_comparable(questions: Questions) -> bool:
    """Whether anything asked here can be compared: gold without that could score nobody."""
    return any(KINDS[question["kind"]].is_comparable for question in questions)


def score_against(questions: Questions, key: Answers, said: Answers) -> float:
    """How right an answer is, 0 to 1: the mean likeness over what the key says.

    A question that the key answers and the author does not is wrong. What cannot be compared (two corrections, say) is not held
    against anybody.
    """
    scores = [
        0.0 if said.get(question["name"]) is None else _alike(question, key, said)
        for question in questions
        if key.get(question["name"]) is not None and KINDS[question["kind"]].is_comparable
    ]
    known = [score for score in scores if score is not None]
    return sum(known) / len(known) if known else 1.0


def observed_agreement(questions: Questions, answers: Sequence[Answers]) -> float | None:
    """Mean likeness over all pairs of answers; None below two answers. Not corrected for chance: that needs many tasks."""
    pairs = [likeness(questions, one, other) for one, other in combinations(answers, 2)]
    known = [score for score in pairs if score is not None]
    return sum(known) / len(known) if known else None


def consensus(questions: Questions, answers: Sequence[Answers]) -> dict[str, Any] | None:
    """What most of them said, as answers that fit the schema; None where a required question has no majority.

    One choice or label needs more than half of the answers; of several labels those count that more than half gave. A question
    that most left out is left out, and so is one that is not asked after what the others agree on.
    """
    found = agreed_on(questions, answers)
    asked = {question["name"]: question for question in questions}
    open_still = [
        question for question in questions if question.get("required", True) and question["name"] not in found
    ]
    if not found or any(_is_asked(question, found, asked) for question in open_still):
        return None
    return {name: {**answer, "reason": "", "flags": []} for name, answer in found.items()}


def agreed_on(questions: Questions, answers: Sequence[Answers]) -> dict[str, Any]:
    """What most of them said, question by question, to those that have a majority."""
    found: dict[str, Any] = {}
    asked = {question["name"]: question for question in questions}
    for name, question in asked.items():
        agreed = _majority(question, answers, found) if _is_asked(question, found, asked) else None
        if agreed is not None:
            found[name] = agreed
    return found


def _is_asked(question: Mapping[str, Any], said: Answers, asked: Mapping[str, Mapping[str, Any]]) -> bool:
    return question.get("when") is None or holds(question["when"], said, asked, KINDS)


def _majority(question: Mapping[str, Any], answers: Sequence[Answers], found: Answers) -> dict[str, Any] | None:
    """What most of those asked said to one question. `found`: what they agree on in earlier ones, which it may refer to."""
    said = [answer for answer in answers if answer.get(question["name"]) is not None]
    if not question.get("required", True) and len(said) * 2 <= len(answers):
        return None
    kind = KINDS[question["kind"]]
    agreed = kind.majority(question, [_resolved(question, answer) for answer in said])
    return None if agreed is None else kind.named(question, agreed, found)
