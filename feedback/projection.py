"""From what somebody said to a preference: pure functions, so that the projection can be thrown away and made again."""

from collections.abc import Mapping, Sequence
from typing import Any

from feedback.data import Candidacy, Projected

PROJECTOR = 1
"""Version of this mapping. A preference is unique per (source, projector): raise it when the mapping changes."""

OUTCOMES = ("first", "second", "tie", "neither")
STRENGTHS = (1, 2, 3)


def from_annotation(
    *,
    questions: Sequence[Mapping[str, Any]],
    answers: Mapping[str, Any],
    candidates: Sequence[Candidacy],
    display_order: Sequence[int],
) -> Projected | None:
    """The preference in a pairwise answer, or None where there is none. `first` is the candidate of ordinal 0."""
    name = next((question["name"] for question in questions if question.get("kind") == "pairwise"), None)
    answer = answers.get(name) if name else None
    pair = sorted(candidates, key=lambda candidate: candidate.ordinal)
    if not isinstance(answer, Mapping) or len(pair) != 2:
        return None
    return _preference(pair[0], pair[1], answer, shown_first(display_order))


def shown_first(display_order: Sequence[int]) -> bool | None:
    """Whether ordinal 0 stood first on the screen; None when nobody noted the order."""
    return display_order[0] == 0 if display_order else None


def from_comparison(*, first: Candidacy, second: Candidacy, value: Mapping[str, Any]) -> Projected | None:
    """What an application's user preferred. None when the two responses answer different prompts."""
    return _preference(first, second, {"choice": value.get("outcome"), "strength": value.get("strength")}, None)


def from_correction(*, corrected: Candidacy, original: Candidacy) -> Projected | None:
    """Whoever corrects a response prefers the corrected one."""
    return _preference(corrected, original, {"choice": "first"}, None)


def _preference(
    first: Candidacy, second: Candidacy, answer: Mapping[str, Any], first_shown_first: bool | None
) -> Projected | None:
    outcome, strength = answer.get("choice"), answer.get("strength")
    if outcome not in OUTCOMES or first.prompt != second.prompt or first.completion == second.completion:
        return None
    return Projected(
        prompt=first.prompt,
        first=first.completion,
        second=second.completion,
        outcome=outcome,
        strength=strength if strength in STRENGTHS else None,
        first_shown_first=first_shown_first,
    )
