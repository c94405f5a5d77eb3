"""From what somebody said to preferences and responses to imitate: pure, so that the projection can be thrown away and made again.

A schema's first comparison (pairwise or ranking) is what people prefer. Its aspects, and every further pairwise question, go along
as aspects: two questions about the same pair are not two votes on it.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

from feedback.data import Candidacy, Meaning, Projected, Written

PROJECTOR = 2
"""Version of this mapping. A preference is unique per (source, projector, part): raise it when the mapping changes."""

OUTCOMES = ("first", "second", "tie", "neither")
STRENGTHS = (1, 2, 3)
POSITIONS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth")
COMPARING = ("pairwise", "ranking")
Question = Mapping[str, Any]
Answers = Mapping[str, Any]


def meaning_of(
    *,
    questions: Sequence[Question],
    answers: Answers,
    candidates: Sequence[Candidacy],
    display_order: Sequence[int],
) -> Meaning:
    """What an annotation's answers say. Anything that fits no question says nothing; it is never an error."""
    shown = sorted(candidates, key=lambda candidate: candidate.ordinal)
    main = next((question for question in questions if question.get("kind") in COMPARING), None)
    written: list[Written] = []
    for question in questions:
        write = _WRITERS.get(str(question.get("kind")))
        answer = answers.get(question["name"])
        if write is not None and isinstance(answer, Mapping):
            written.extend(write(question, answer, shown))
    return Meaning(
        preferences=tuple(_preferred(main, questions, answers, shown, display_order)), written=tuple(written)
    )


def _preferred(
    main: Question | None,
    questions: Sequence[Question],
    answers: Answers,
    shown: Sequence[Candidacy],
    display_order: Sequence[int],
) -> list[Projected]:
    answer = answers.get(main["name"]) if main else None
    if main is None or not isinstance(answer, Mapping):
        return []
    if main["kind"] == "ranking":
        return _ranked(main, answer, shown, display_order)
    if len(shown) != 2:
        return []
    found = _preference(
        shown[0], shown[1], answer, shown_first(display_order), aspects=_aspects(main, questions, answers)
    )
    return [found] if found else []


def _aspects(main: Question, questions: Sequence[Question], answers: Answers) -> dict[str, Any]:
    """What was said of each aspect, and in further pairwise questions, by name."""
    inside = answers[main["name"]].get("aspects")
    said = dict(inside) if isinstance(inside, Mapping) else {}
    others = [question["name"] for question in questions if question.get("kind") == "pairwise" and question is not main]
    said |= {name: answers[name] for name in others if isinstance(answers.get(name), Mapping)}
    return {
        str(name): {"choice": one["choice"], "strength": one.get("strength")}
        for name, one in sorted(said.items())
        if isinstance(one, Mapping) and one.get("choice") in OUTCOMES
    }


def _ranked(
    question: Question, answer: Answers, shown: Sequence[Candidacy], display_order: Sequence[int]
) -> list[Projected]:
    """Every pair the ranking implies; equal ranks are ties. Where all are bad, what is better is still better."""
    ranks = _ranks(answer, len(shown))
    if ranks is None:
        return []
    bad = answer.get("all_bad") is True
    found = []
    for one, other in combinations(range(len(shown)), 2):
        said = "tie" if ranks[one] == ranks[other] else "first" if ranks[one] < ranks[other] else "second"
        outcome = "neither" if bad and said == "tie" else said
        part = f"{question['name']}:{shown[one].ordinal}-{shown[other].ordinal}"
        before = shown_before(display_order, shown[one].ordinal, shown[other].ordinal)
        pair = _preference(
            shown[one], shown[other], {"choice": outcome}, before, part=part, origin="ranking", all_bad=bad
        )
        found.extend([pair] if pair else [])
    return found


def _ranks(answer: Answers, count: int) -> list[int] | None:
    ranks = answer.get("ranks")
    fits = isinstance(ranks, list) and len(ranks) == count >= 2
    return ranks if fits and all(isinstance(rank, int) and not isinstance(rank, bool) for rank in ranks) else None  # type: ignore[union-attr]


def shown_first(display_order: Sequence[int]) -> bool | None:
    """Whether ordinal 0 stood first on the screen; None when nobody noted the order."""
    return display_order[0] == 0 if display_order else None


def shown_before(display_order: Sequence[int], one: int, other: int) -> bool | None:
    """Whether the candidate of ordinal `one` stood before `other`; None when nobody noted the order."""
    if one not in display_order or other not in display_order:
        return None
    return display_order.index(one) < display_order.index(other)


def _rewritten(question: Question, answer: Answers, shown: Sequence[Candidacy]) -> list[Written]:
    """A better response is preferred to the one it was to better: the one named, else the best of those shown.

    Not to those the best one beats: nobody compared them, and pairs that follow by transitivity would count one sentence several
    times. Where several are best (a tie, or all are bad) it is better than each of them.
    """
    said = answer.get("rewrite")
    text = _text(said.get("text")) if isinstance(said, Mapping) else ""
    if not isinstance(said, Mapping) or not text:
        return []
    named = [row for row, name in zip(shown, POSITIONS, strict=False) if name == said.get("of")]
    over = named or _best(question, answer, shown)
    part = f"{question['name']}.rewrite"
    return [Written(part=part, origin="rewrite", text=text, over=tuple(row.completion for row in over))]


def _best(question: Question, answer: Answers, shown: Sequence[Candidacy]) -> list[Candidacy]:
    if question["kind"] == "ranking":
        ranks = _ranks(answer, len(shown)) or []
        return [row for row, rank in zip(shown, ranks, strict=False) if rank == min(ranks)]
    if len(shown) != 2 or answer.get("choice") not in OUTCOMES:
        return []
    sides = {"first": shown[:1], "second": shown[1:]}
    return list(sides.get(str(answer["choice"]), shown))


def _corrected(question: Question, answer: Answers, shown: Sequence[Candidacy]) -> list[Written]:
    """Whoever corrects a response prefers the corrected one; whoever leaves it as it is would have it imitated.

    A corrected field answers no prompt: it becomes a row of texts, not of conversations (see `feedback.classified`).
    """
    if question.get("of") != "candidate" or len(shown) != 1:
        return []
    [original] = shown
    if answer.get("unchanged") is True:
        return [Written(part=question["name"], origin="unchanged", completion=original.completion)]
    text = _text(answer.get("text"))
    written = Written(part=question["name"], origin="correction", text=text, over=(original.completion,))
    return [written] if text else []


def _demonstrated(question: Question, answer: Answers, shown: Sequence[Candidacy]) -> list[Written]:
    """One example for each reply, on top of all that was said before it: nobody is taught to speak for the user."""
    messages = answer.get("messages")
    if not isinstance(messages, list) or not all(_is_message(message) for message in messages):
        return []
    return [
        Written(
            part=f"{question['name']}:{place}",
            origin="demonstration",
            text=message["content"],
            before=tuple({"role": turn["role"], "content": turn["content"]} for turn in messages[:place]),
        )
        for place, message in enumerate(messages)
        if message["role"] == "assistant" and (place == 0 or messages[place - 1]["role"] == "user")
    ]


def _is_message(message: Any) -> bool:
    return (
        isinstance(message, Mapping)
        and message.get("role") in ("user", "assistant")
        and bool(_text(message.get("content")))
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) and value.strip() else ""


# How an answer to a question of this kind writes, or lets stand, what is to be imitated.
_WRITERS: dict[str, Callable[[Question, Answers, Sequence[Candidacy]], list[Written]]] = {
    "pairwise": _rewritten,
    "ranking": _rewritten,
    "correction": _corrected,
    "demonstration": _demonstrated,
}


def from_comparison(*, first: Candidacy, second: Candidacy, value: Mapping[str, Any]) -> Projected | None:
    """What an application's user preferred. None when the two responses answer different prompts."""
    return _preference(first, second, {"choice": value.get("outcome"), "strength": value.get("strength")}, None)


def from_correction(*, corrected: Candidacy, original: Candidacy) -> Projected | None:
    """Whoever corrects a response prefers the corrected one."""
    return _preference(corrected, original, {"choice": "first"}, None, origin="correction")


def _preference(
    first: Candidacy, second: Candidacy, answer: Mapping[str, Any], first_shown_first: bool | None, **more: Any
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
        **more,
    )
