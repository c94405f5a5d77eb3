"""All candidates, best first, ties allowed."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

from django.utils.translation import gettext as _

from annotation.questions.base import (
    MOST_CANDIDATES,
    POSITIONS,
    Kind,
    Needs,
    Order,
    Problem,
    Question,
    Shown,
    check_candidate_flags,
    check_yes_no,
    is_whole,
    letter,
    most_common,
    read_rewrite,
    require_shown,
    turned_list,
    turned_rewrite,
)


class Ranking(Kind):
    name = "ranking"
    keys = ("tie", "all_bad", "rewrite", "candidate_flags")
    answers = ("ranks", "all_bad", "rewrite")
    needs_shown = True

    def check(self, question: Question, path: str, schema: Mapping[str, Any]) -> Iterator[Problem]:
        yield from check_yes_no(question, path, "tie", "all_bad", "rewrite")
        yield from check_candidate_flags(question, path)

    def needs(self, question: Question) -> Needs:
        return Needs(prompt=True, least=2, most=MOST_CANDIDATES)

    def answer(self, question: Question, answer: Mapping[str, Any], path: str, shown: Shown | None) -> dict[str, Any]:
        count = len(require_shown(shown, path).candidates)
        ranks = _ranks(question, answer.get("ranks"), f"{path}.ranks", count)
        bad = answer.get("all_bad") or False
        if bad is not False and (bad is not True or not question.get("all_bad")):
            raise ValueError(f"{path}.all_bad: " + _("is true or false, and only where the question offers it"))
        return {"ranks": ranks, **({"all_bad": True} if bad else {}), **read_rewrite(question, answer, path, count)}

    def reorder(self, question: Question, answer: Mapping[str, Any], order: Order) -> dict[str, Any]:
        turned = super().reorder(question, answer, order)
        return {**turned, "ranks": turned_list(answer["ranks"], order), **turned_rewrite(answer, order)}

    def words(self, question: Question, answer: Mapping[str, Any]) -> str:
        """`B, then A and C`, in a form every language reads: `B > A = C`."""
        ranks = answer.get("ranks", [])
        groups = [
            " = ".join(letter(POSITIONS[place]) for place, rank in enumerate(ranks) if rank == step)
            for step in sorted(set(ranks))
        ]
        return " > ".join(groups) + (f" · {_('All bad')}" if answer.get("all_bad") else "")

    def likeness(self, question: Question, one: Mapping[str, Any], other: Mapping[str, Any]) -> float | None:
        """Kendall's tau-b (Kendall 1945, The treatment of ties in ranking problems), moved from -1…1 to 0…1.

        tau-b = (concordant - discordant) / sqrt(pairs one does not tie x pairs the other does not tie). Whoever ties everything
        orders nothing: alike to another who does, and neither alike nor unlike to anybody else.
        """
        mine, yours = _signs(one.get("ranks", [])), _signs(other.get("ranks", []))
        if len(mine) != len(yours) or not mine:
            return None
        untied = sum(map(abs, mine)) * sum(map(abs, yours))
        if not untied:
            return 1.0 if mine == yours else 0.5
        return (sum(a * b for a, b in zip(mine, yours, strict=True)) / math.sqrt(untied) + 1) / 2

    def majority(self, question: Question, answers: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
        """The order of each pair that more than half gave (Condorcet 1785), where all of them make one ranking; else None."""
        said = [_signs(answer.get("ranks", [])) for answer in answers]
        if not said or len({len(signs) for signs in said}) != 1:
            return None
        most = [most_common(signs, len(said)) for signs in zip(*said, strict=True)]
        if not most or not all(most):
            return None
        count = len(answers[0]["ranks"])
        before = dict(zip(combinations(range(count), 2), (signs[0] for signs in most), strict=True))
        ranks = _dense([sum(_beats(before, other, place) for other in range(count)) for place in range(count)])
        return {"ranks": ranks} if _signs(ranks) == list(before.values()) else None


def _ranks(question: Question, ranks: Any, path: str, count: int) -> list[int]:
    if not isinstance(ranks, list) or len(ranks) != count or not all(is_whole(rank, 1, count) for rank in ranks):
        raise ValueError(f"{path}: " + _("needs one rank from 1 for each of the %d candidates, as shown") % count)
    if set(ranks) != set(range(1, max(ranks, default=0) + 1)):
        raise ValueError(f"{path}: " + _("leaves a rank out; after 1 comes 2, also after a tie"))
    if not question.get("tie", True) and len(set(ranks)) != count:
        raise ValueError(f"{path}: " + _("ties two candidates; this question asks for a strict order"))
    return list(ranks)


def _signs(ranks: Sequence[int]) -> list[int]:
    """Of each pair: -1 where the one that stands first is better, 1 where it is worse, 0 in a tie."""
    return [(one > other) - (one < other) for one, other in combinations(ranks, 2)]


def _beats(before: Mapping[tuple[int, int], int], one: int, other: int) -> bool:
    return before.get((one, other), -before.get((other, one), 0)) < 0


def _dense(beaten_by: Sequence[int]) -> list[int]:
    steps = sorted(set(beaten_by))
    return [steps.index(count) + 1 for count in beaten_by]
