"""Free text, with guidance on its length."""

from collections.abc import Iterator, Mapping
from typing import Any

from annotation.questions.base import (
    Kind,
    Problem,
    Question,
    Shown,
    check_length,
    check_length_rules,
    read_written,
)

LENGTH = ("min", "max", "unit", "enforce", "placeholder")
LONGEST_EXCERPT = 300


class Text(Kind):
    name = "text"
    keys = LENGTH
    answers = ("text",)
    is_comparable = False

    def check(self, question: Question, path: str, schema: Mapping[str, Any]) -> Iterator[Problem]:
        yield from check_length_rules(question, path)

    def is_blank(self, answer: Mapping[str, Any]) -> bool:
        text = answer.get("text")
        return text is None or (isinstance(text, str) and not text.strip())

    def answer(self, question: Question, answer: Mapping[str, Any], path: str, shown: Shown | None) -> dict[str, Any]:
        text = read_written(answer.get("text"), f"{path}.text")
        check_length(question, text, f"{path}.text")
        return {"text": text}

    def words(self, question: Question, answer: Mapping[str, Any]) -> str:
        return excerpt(answer.get("text", ""))


def excerpt(text: str) -> str:
    return text if len(text) <= LONGEST_EXCERPT else f"{text[: LONGEST_EXCERPT - 1]}…"
