"""A text made right by a person: a response, or a field of the task."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _

from annotation.questions.base import (
    Kind,
    Needs,
    Problem,
    Question,
    Shown,
    check_length,
    check_length_rules,
    check_text_field,
    read_written,
    require_shown,
)
from annotation.questions.text import excerpt


class Correction(Kind):
    name = "correction"
    keys = ("of", "min", "max", "unit", "enforce")
    answers = ("text", "unchanged")
    needs_shown = True

    def check(self, question: Question, path: str, schema: Mapping[str, Any]) -> Iterator[Problem]:
        if question.get("of") != "candidate":
            for here, told in check_text_field(schema, question.get("of"), f"{path}.of"):
                yield here, _('is "candidate", or %s') % told
        yield from check_length_rules(question, path)

    def needs(self, question: Question) -> Needs:
        return Needs(prompt=True, least=1, most=1) if question["of"] == "candidate" else Needs()

    def is_blank(self, answer: Mapping[str, Any]) -> bool:
        return answer.get("text") is None and not answer.get("unchanged")

    def answer(self, question: Question, answer: Mapping[str, Any], path: str, shown: Shown | None) -> dict[str, Any]:
        """A text that is the original is no change."""
        unchanged = answer.get("unchanged", False)
        if not isinstance(unchanged, bool):
            raise ValueError(f"{path}.unchanged: " + _("is true or false"))
        if unchanged:
            if answer.get("text") is not None:
                raise ValueError(f"{path}: " + _("give the corrected text or unchanged, not both"))
            return {"unchanged": True}
        text = read_written(answer.get("text"), f"{path}.text")
        if text == original(question, require_shown(shown, path)):
            return {"unchanged": True}
        check_length(question, text, f"{path}.text")
        return {"text": text}

    def words(self, question: Question, answer: Mapping[str, Any]) -> str:
        return _("Right as it is") if answer.get("unchanged") else excerpt(answer.get("text", ""))

    def likeness(self, question: Question, one: Mapping[str, Any], other: Mapping[str, Any]) -> float | None:
        """Whether it needed correcting can be compared; two corrections cannot: both may be right."""
        mine, yours = (bool(said.get("unchanged")) for said in (one, other))
        if mine != yours:
            return 0.0
        return 1.0 if mine else None

    def majority(self, question: Question, answers: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
        """That nothing is to be corrected; no correction is anybody else's."""
        left = sum(bool(answer.get("unchanged")) for answer in answers)
        return {"unchanged": True} if left * 2 > len(answers) else None


def original(question: Question, shown: Shown) -> str:
    """The text that is corrected."""
    if question["of"] == "candidate":
        return shown.candidates[0] if shown.candidates else ""
    return str(shown.data.get(question["of"]) or "")
