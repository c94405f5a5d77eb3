"""How the conversation should go on, written by a person."""

from collections.abc import Iterator, Mapping
from typing import Any

from django.utils.translation import gettext as _

from annotation.questions.base import (
    Kind,
    Needs,
    Problem,
    Question,
    Shown,
    check_known,
    check_length,
    check_length_rules,
    check_range,
    read_written,
    refuse_unknown,
    require_shown,
)
from annotation.questions.text import LENGTH, excerpt

MOST_TURNS = 50


class Demonstration(Kind):
    name = "demonstration"
    keys = (*LENGTH, "turns")
    answers = ("messages",)
    needs_shown = True
    is_comparable = False

    def check(self, question: Question, path: str, schema: Mapping[str, Any]) -> Iterator[Problem]:
        yield from check_length_rules(question, path)
        yield from check_turns(question, path)

    def needs(self, question: Question) -> Needs:
        return Needs(prompt=True)

    def is_blank(self, answer: Mapping[str, Any]) -> bool:
        messages = answer.get("messages")
        return messages is None or messages == []

    def answer(self, question: Question, answer: Mapping[str, Any], path: str, shown: Shown | None) -> dict[str, Any]:
        messages, here = answer.get("messages"), f"{path}.messages"
        if not isinstance(messages, list) or not messages:
            raise ValueError(f"{here}: " + _("needs a list of {role, content}, ending with the assistant"))
        prompt = require_shown(shown, path).prompt
        role = "user" if prompt and prompt[-1].get("role") == "assistant" else "assistant"
        read = []
        for place, message in enumerate(messages[: 2 * MOST_TURNS + 1]):
            read.append(_message(question, message, f"{here}[{place}]", role))
            role = "assistant" if role == "user" else "user"
        if read[-1]["role"] != "assistant":
            raise ValueError(f"{here}: " + _("ends with the user; write the assistant's reply"))
        _check_count(question, sum(one["role"] == "assistant" for one in read), here)
        return {"messages": read}

    def words(self, question: Question, answer: Mapping[str, Any]) -> str:
        return excerpt("\n".join(one["content"] for one in answer.get("messages", []) if one["role"] == "assistant"))


def check_turns(question: Question, path: str) -> Iterator[Problem]:
    """`turns: {min?, max?}`, the number of replies."""
    if "turns" not in question:
        return
    turns = question["turns"]
    if not isinstance(turns, dict):
        yield f"{path}.turns", _("needs an object {min, max}, or leave it out")
        return
    yield from check_known(turns, f"{path}.turns", ("min", "max"))
    yield from check_range(turns, f"{path}.turns", 1, MOST_TURNS)


def _message(question: Question, message: Any, path: str, role: str) -> dict[str, str]:
    if not isinstance(message, dict):
        raise ValueError(f"{path}: " + _("needs an object {role, content}"))
    refuse_unknown(message, path, ("role", "content"))
    if message.get("role") != role:
        raise ValueError(
            f"{path}.role: " + _("is %s here: user and assistant take turns, going on from the prompt") % role
        )
    content = read_written(message.get("content"), f"{path}.content")
    if role == "assistant":
        check_length(question, content, f"{path}.content")
    return {"role": role, "content": content}


def _check_count(question: Question, replies: int, path: str) -> None:
    """Without `turns` one reply is asked for."""
    turns = question.get("turns", {"max": 1})
    least, most = turns.get("min", 1), turns.get("max", MOST_TURNS)
    if not least <= replies <= most:
        told = {"least": least, "most": most, "now": replies}
        raise ValueError(f"{path}: " + _("needs %(least)d to %(most)d replies; it has %(now)d") % told)
