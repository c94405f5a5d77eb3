"""A live talk with one or two models. The conversation itself stands in rows of its own; an answer names it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from annotation.questions.base import (
    POSITIONS,
    Kind,
    Needs,
    Problem,
    Question,
    Shown,
    check_kept,
    check_known,
    check_range,
    check_words,
    check_yes_no,
    is_whole,
    letter,
    read_text,
    read_written,
)

PLACES = POSITIONS[:2]
MOST_TURNS, USUAL_TURNS = 40, 20
LONGEST_MESSAGE, LONGEST_SYSTEM, LONGEST_NAME = 20_000, 20_000, 300
SAMPLING: dict[str, tuple[float, float]] = {
    "temperature": (0, 2),
    "top_p": (0.001, 1),
    "max_tokens": (1, 32_768),
    "seed": (0, 2**31 - 10),
}
WHOLE = ("max_tokens", "seed")
_CONVERSATION = re.compile(r"cnv_[A-Za-z0-9-]{1,60}")
_COMPLETION = re.compile(r"cmp_[A-Za-z0-9-]{1,60}")


@dataclass(frozen=True)
class Side:
    """A model by the name it is asked by, and how it is sampled, in the words completions are stored with."""

    model: str
    sampling: dict[str, Any] = field(default_factory=dict)


def sides_of(question: Question) -> list[Side]:
    return [_side(model) for model in question["models"]]


def _side(model: Any) -> Side:
    if isinstance(model, str):
        return Side(model)
    stored = {"max_tokens": "max_new_tokens"}
    return Side(model["model"], {stored.get(name, name): model[name] for name in SAMPLING if name in model})


def turns_of(question: Question) -> tuple[int, int]:
    """The fewest and the most turns of an answer."""
    turns = question.get("turns") or {}
    least = turns.get("min", 1)
    return least, turns.get("max", max(least, USUAL_TURNS))


def as_asked(question: Question) -> dict[str, Any]:
    """The question as whoever answers may see it: how many models there are, not which."""
    shown = {name: value for name, value in question.items() if name not in ("models", "system")}
    return {**shown, "sides": len(question["models"])} if "models" in question else shown


def read_message(text: Any) -> str:
    """Errors: ValueError with the path."""
    return read_text(read_written(text, "text"), "text", LONGEST_MESSAGE)


class Chat(Kind):
    name = "chat"
    keys = ("models", "turns", "system", "strength")
    answers = ("conversation", "turns")
    is_comparable = False

    def check(self, question: Question, path: str, schema: Mapping[str, Any]) -> Iterator[Problem]:
        yield from _check_models(question.get("models"), f"{path}.models")
        yield from _check_turns(question, path)
        yield from check_yes_no(question, path, "strength")
        if "system" in question:
            yield from _check_system(question["system"], f"{path}.system")

    def needs(self, question: Question) -> Needs:
        return Needs(opening=True)

    def is_blank(self, answer: Mapping[str, Any]) -> bool:
        return not answer.get("conversation")

    def answer(self, question: Question, answer: Mapping[str, Any], path: str, shown: Shown | None) -> dict[str, Any]:
        """The conversation's id. `turns` come with an answer that was given before; a submit writes them anew from the rows."""
        name = answer.get("conversation")
        if not isinstance(name, str) or not _CONVERSATION.fullmatch(name):
            raise ValueError(f"{path}.conversation: " + _("needs the id of the conversation, as cnv_…"))
        if answer.get("turns") is None:
            return {"conversation": name}
        return {"conversation": name, "turns": _read_turns(question, answer["turns"], f"{path}.turns")}

    def words(self, question: Question, answer: Mapping[str, Any]) -> str:
        turns = answer.get("turns")
        if turns is None:
            return str(answer.get("conversation", ""))
        if len(question["models"]) < 2:
            return _("Turns: %d") % len(turns)
        chosen = ", ".join(_chosen(turn) for turn in turns)
        return _("Turns: %(n)d; better each time: %(chosen)s") % {"n": len(turns), "chosen": chosen}


def _chosen(turn: Mapping[str, Any]) -> str:
    """A, or with its strength A+++, of the models in the question's order."""
    return letter(turn["choice"]) + "+" * (turn.get("strength") or 0)


def _check_models(models: Any, path: str) -> Iterator[Problem]:
    if not isinstance(models, list) or len(models) not in (1, 2):
        yield (
            path,
            _("needs a list of one or two models, each a name like assistant@champion or {model, temperature, …}"),
        )
        return
    wrong = [problem for place, model in enumerate(models) for problem in _check_model(model, f"{path}[{place}]")]
    yield from wrong
    if len(models) == 2 and not wrong:
        one, other = (_side(model) for model in models)
        if one == other and ("seed" in one.sampling or one.sampling.get("temperature") == 0):
            yield path, _("both sides are the same and would say the same; give one another seed or temperature")


def _check_model(model: Any, path: str) -> Iterator[Problem]:
    if isinstance(model, dict):
        yield from check_known(model, path, ("model", *SAMPLING))
        for name in set(SAMPLING) & set(model):
            yield from _check_number(model[name], name, f"{path}.{name}")
        path, model = f"{path}.model", model.get("model")
    if not isinstance(model, str) or not model.strip() or len(model) > LONGEST_NAME:
        yield path, _("needs a model's name: slug@alias, slug@number or the id of a version")
    else:
        yield from check_kept(model, path)


def _check_number(value: Any, name: str, path: str) -> Iterator[Problem]:
    low, high = SAMPLING[name]
    number = isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
    if not number or (name in WHOLE and not isinstance(value, int)):
        told = {"low": f"{low:g}", "high": f"{high:g}" if high < 1e5 else str(high)}
        whole = _("is a whole number from %(low)s to %(high)s") % told
        yield path, whole if name in WHOLE else _("is a number from %(low)s to %(high)s") % told


def _check_turns(question: Question, path: str) -> Iterator[Problem]:
    if "turns" not in question:
        return
    turns = question["turns"]
    if not isinstance(turns, dict):
        yield f"{path}.turns", _("is {min, max}, the fewest and the most turns")
        return
    yield from check_known(turns, f"{path}.turns", ("min", "max"))
    yield from check_range(turns, f"{path}.turns", 1, MOST_TURNS)


def _check_system(system: Any, path: str) -> Iterator[Problem]:
    if isinstance(system, str) and len(system) > LONGEST_SYSTEM:
        yield path, _("is longer than %d characters; shorten it") % LONGEST_SYSTEM
    elif isinstance(system, str) and system.strip():
        yield from check_kept(system, path)
    else:
        yield from check_words(system, path, _("needs the instructions, or leave it out"))


def _read_turns(question: Question, turns: Any, path: str) -> list[dict[str, Any]]:
    if not isinstance(turns, list) or len(turns) > MOST_TURNS:
        raise ValueError(f"{path}: " + _("is a list of at most %d turns") % MOST_TURNS)
    return [_read_turn(len(question["models"]), turn, f"{path}[{place}]") for place, turn in enumerate(turns)]


def _read_turn(sides: int, turn: Any, path: str) -> dict[str, Any]:
    known = {"user", "replies", "order", "choice", "strength"}
    if not isinstance(turn, dict) or set(turn) - known:
        raise ValueError(f"{path}: " + _("is {user, replies, order, choice, strength}"))
    replies, order, strength = turn.get("replies"), turn.get("order"), turn.get("strength")
    told = isinstance(replies, list) and all(isinstance(name, str) and _COMPLETION.fullmatch(name) for name in replies)
    if not told or len(replies) != sides:  # type: ignore[arg-type]
        raise ValueError(f"{path}.replies: " + _("is a list of %d ids of completions") % sides)
    named = isinstance(order, list) and all(is_whole(ordinal, 0, sides - 1) for ordinal in order)
    if not named or sorted(order) != list(range(sides)):  # type: ignore[type-var, arg-type]
        raise ValueError(f"{path}.order: " + _("names each of the %d replies once, from 0") % sides)
    if turn.get("choice") not in PLACES[:sides]:
        raise ValueError(f"{path}.choice: " + _("is one of %s") % ", ".join(PLACES[:sides]))
    if strength is not None and not is_whole(strength, 1, 3):
        raise ValueError(f"{path}.strength: " + _("is 1, 2, 3 or null"))
    return {
        "user": read_text(turn.get("user"), f"{path}.user"),
        "replies": replies,
        "order": order,
        "choice": turn["choice"],
        "strength": strength,
    }
