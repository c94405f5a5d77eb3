"""An answer in words, for pages where a person reads what another said. Candidates are called A, B, … as on the labeling page."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _

from annotation.answer_display import display_of
from annotation.questions import KINDS, Shown
from annotation.questions.base import letter

Questions = Sequence[Mapping[str, Any]]


def in_words(questions: Questions, answers: Mapping[str, Any], shown: Shown | None = None) -> list[dict[str, Any]]:
    """One entry for each question that was answered: its text, the judgement, how it is shown, the reason and the flags.

    `shown`: what the answers are about, its candidates in the order they speak of.
    """
    said = [question for question in questions if answers.get(question["name"]) is not None]
    return [_entry(question, answers, shown) for question in said]


def _entry(question: Mapping[str, Any], answers: Mapping[str, Any], shown: Shown | None) -> dict[str, Any]:
    answer = answers[question["name"]]
    return {
        "text": question["text"],
        "judgement": judgement(question, answer),
        "display": display_of(question, answers, shown),
        "reason": str(answer.get("reason") or ""),
        "flags": [_flag(flag) for flag in answer.get("flags", [])],
    }


def judgement(question: Mapping[str, Any], answer: Mapping[str, Any] | None) -> str:
    return KINDS[question["kind"]].words(question, answer) if answer else _("no answer")


def summary_of(questions: Questions, answers: Mapping[str, Any]) -> str:
    """All judgements in one line; with several questions each behind its text."""
    said = [(row["text"], judgement(row, answers[row["name"]])) for row in questions if answers.get(row["name"])]
    if len(questions) == 1:
        return "; ".join(words for _text, words in said) or _("no answer")
    return "; ".join(_("%(question)s %(words)s") % {"question": text, "words": words} for text, words in said) or _(
        "no answer"
    )


def shown_in(data: Mapping[str, Any], prompt: Sequence[Mapping[str, Any]], candidates: Iterable[Any]) -> Shown:
    """What stands on a page, as displays of answers read it."""
    texts = [one["text"] if isinstance(one, Mapping) else one.text for one in candidates]
    return Shown(data, prompt, texts)


def _flag(flag: str) -> str:
    """`first:unsafe` → `A: unsafe`."""
    side, colon, rest = flag.partition(":")
    return f"{letter(side)}{colon} {rest}".strip() if colon else flag
