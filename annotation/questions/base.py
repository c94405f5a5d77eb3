"""What every kind of question has in common. Pure: knows no database."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from django.utils.translation import gettext as _

POSITIONS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth")
"""Candidates as the actor sees them, and stored ordinals, in the same words: first is ordinal 0."""
MOST_CANDIDATES = len(POSITIONS)
COMMON = ("name", "kind", "text", "help", "required", "when", "reason")
LONGEST_TEXT = 1_000_000
MAX_REASON = 10_000
MOST_FLAGS = 60
LONGEST_NAME, LONGEST_WORDS, LONGEST_VALUE = 80, 2_000, 80
TEXTS = ("text", "markdown", "code")
_UNKEPT = re.compile("[\x00\ud800-\udfff]")

Problem = tuple[str, str]
"""A path into a schema, and what is wrong there and how to mend it."""
Question = Mapping[str, Any]
Order = Sequence[int]


@dataclass(frozen=True)
class Shown:
    """What an answer is about, as its author saw it: candidates in the order shown."""

    data: Mapping[str, Any] = field(default_factory=dict)
    prompt: Sequence[Mapping[str, Any]] = ()
    candidates: Sequence[str] = ()


@dataclass(frozen=True)
class Needs:
    """What a task must bring: a prompt, and from `least` to `most` candidates. `opening`: a prompt is welcome, not needed."""

    prompt: bool = False
    least: int = 0
    most: int = 0
    opening: bool = False


class Kind:
    """A kind of question: methods, no state. Paths stand before every error, as in `answers.preference.choice: …`."""

    name: ClassVar[str]
    keys: ClassVar[tuple[str, ...]] = ()
    answers: ClassVar[tuple[str, ...]] = ()
    needs_shown: ClassVar[bool] = False
    is_comparable: ClassVar[bool] = True
    """Whether two answers can be held against each other at all; two texts that differ may both be right."""

    def check(self, question: Question, path: str, schema: Mapping[str, Any]) -> Iterator[Problem]:
        """What is wrong with a question, beside what is common. `schema` holds the whole: other questions, fields."""
        yield from ()

    def needs(self, question: Question) -> Needs:
        return Needs()

    def asks_about_shown(self, question: Question) -> bool:
        """Whether an answer to this question can be checked only with what was shown."""
        return self.needs_shown

    def is_blank(self, answer: Mapping[str, Any]) -> bool:
        """Whether an answer says nothing: to an optional question that is none."""
        return False

    def answer(self, question: Question, answer: Mapping[str, Any], path: str, shown: Shown | None) -> dict[str, Any]:
        """The answer in its canonical form, without reason and flags. Errors: ValueError with the path."""
        raise NotImplementedError

    def fits(self, question: Question, answer: Mapping[str, Any], said: Mapping[str, Any], path: str) -> None:
        """Refuse an answer that does not go with what was said to earlier questions. Errors: ValueError with the path."""

    def values(self, question: Question, answer: Mapping[str, Any]) -> set[str]:
        """What a `when` with `is` compares with."""
        return set()

    def possible(self, question: Question) -> set[str] | None:
        """The values a `when` may name; None where this kind has none."""
        return None

    def reorder(self, question: Question, answer: Mapping[str, Any], order: Order) -> dict[str, Any]:
        """From positions as shown to ordinals: `order[i]` is the ordinal that stood at position i."""
        return {**answer, **_turned_flags(answer, order)}

    def restore(self, question: Question, answer: Mapping[str, Any], order: Order) -> dict[str, Any]:
        """From ordinals to positions as shown."""
        return self.reorder(question, answer, inverse(order))

    def words(self, question: Question, answer: Mapping[str, Any]) -> str:
        raise NotImplementedError

    def resolved(self, question: Question, answer: Mapping[str, Any], answers: Mapping[str, Any]) -> Mapping[str, Any]:
        """The answer with what it names in its author's other answers put in: what people can be compared by."""
        return answer

    def named(self, question: Question, answer: dict[str, Any], answers: Mapping[str, Any]) -> dict[str, Any] | None:
        """`resolved`, back: what is put in, named as `answers` name it. None where they do not hold it."""
        return answer

    def likeness(self, question: Question, one: Mapping[str, Any], other: Mapping[str, Any]) -> float | None:
        """0 (nothing alike) to 1 (the same) of two resolved answers; None where these two cannot be compared."""
        return None

    def majority(self, question: Question, answers: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
        """What most of them said in their resolved answers, without reason and flags; None where there is no majority."""
        return None


def inverse(order: Order) -> list[int]:
    turned = [0] * len(order)
    for place, ordinal in enumerate(order):
        turned[ordinal] = place
    return turned


def turned_position(word: Any, order: Order) -> Any:
    """`first` as shown → the word of the ordinal that stood there; whatever is no position stays."""
    place = POSITIONS.index(word) if word in POSITIONS else MOST_CANDIDATES
    return POSITIONS[order[place]] if place < len(order) else word


def turned_list(items: Sequence[Any], order: Order) -> list[Any]:
    """One entry per candidate, from the order shown to ordinals."""
    if len(items) != len(order):
        return list(items)
    turned = [None] * len(order)
    for item, ordinal in zip(items, order, strict=True):
        turned[ordinal] = item
    return turned


def turned_rewrite(answer: Mapping[str, Any], order: Order) -> dict[str, Any]:
    rewrite = answer.get("rewrite")
    return {"rewrite": {**rewrite, "of": turned_position(rewrite["of"], order)}} if rewrite else {}


def _turned_flags(answer: Mapping[str, Any], order: Order) -> dict[str, Any]:
    """A flag that speaks of one candidate, `first:unsafe`, turns with it; any other stays."""
    if "flags" not in answer:
        return {}
    parts = [flag.partition(":") for flag in answer["flags"]]
    return {"flags": [f"{turned_position(side, order) if colon else side}{colon}{rest}" for side, colon, rest in parts]}


def letter(position: str) -> str:
    """How a candidate is called where people read: first → A."""
    return "ABCDEFGHI"[POSITIONS.index(position)] if position in POSITIONS else position


# Checks of questions: each yields what is wrong.


def check_words(value: Any, path: str, what: str) -> Iterator[Problem]:
    """`what` is the sentence that says what belongs here."""
    if not isinstance(value, str) or not value.strip():
        yield path, what
    elif len(value) > LONGEST_WORDS:
        yield path, _("is longer than %d characters; shorten it") % LONGEST_WORDS
    else:
        yield from check_kept(value, path)


def check_kept(value: str, path: str) -> Iterator[Problem]:
    if _UNKEPT.search(value):
        yield path, _("holds a NUL character or half a surrogate pair, which no database keeps; remove it")


def check_known(item: Mapping[str, Any], path: str, known: Iterable[str]) -> Iterator[Problem]:
    for name in sorted(str(key) for key in set(item) - set(known)):
        yield f"{path}.{short(name)}", _("unknown; known are %s") % ", ".join(known)


def check_yes_no(question: Question, path: str, *names: str) -> Iterator[Problem]:
    for name in names:
        if not isinstance(question.get(name, False), bool):
            yield f"{path}.{name}", _("is true or false")


def check_whole(value: Any, path: str, least: int, most: int) -> Iterator[Problem]:
    if not is_whole(value, least, most):
        yield path, _("is a whole number from %(least)d to %(most)d") % {"least": least, "most": most}


def check_range(holder: Mapping[str, Any], path: str, least: int, most: int) -> Iterator[Problem]:
    """`min` and `max`, each optional, the one not above the other."""
    wrong = [
        *(
            problem
            for name in ("min", "max")
            if name in holder
            for problem in check_whole(holder[name], f"{path}.{name}", least, most)
        )
    ]
    yield from wrong
    if not wrong and holder.get("min", least) > holder.get("max", most):
        yield f"{path}.min", _("is greater than max; swap them")


def check_options(
    question: Question, path: str, *, key: str = "options", least: int = 1, most: int = 200, known: tuple[str, ...] = ()
) -> Iterator[Problem]:
    """A flat list of `{value, text, hint?}`; `known` are further keys of an option that the caller checks."""
    options = question.get(key)
    if not isinstance(options, list) or not least <= len(options) <= most:
        yield (
            f"{path}.{key}",
            _("needs a list of %(least)d to %(most)d options, each {value, text}") % {"least": least, "most": most},
        )
        return
    seen: set[str] = set()
    for place, option in enumerate(options):
        yield from check_option(option, f"{path}.{key}[{place}]", seen, known)


def check_option(option: Any, path: str, seen: set[str], known: tuple[str, ...] = ()) -> Iterator[Problem]:
    if not isinstance(option, dict):
        yield path, _("needs an object with value and text")
        return
    yield from check_known(option, path, ("value", "text", "hint", *known))
    value = option.get("value")
    if not isinstance(value, str) or not value.strip() or len(value) > LONGEST_VALUE:
        yield f"{path}.value", _("needs 1 to %d characters that stand for the option in answers") % LONGEST_VALUE
    elif value in seen:
        yield f"{path}.value", _("%s is used twice; give each option its own") % repr(value)
    else:
        seen.add(value)
        yield from check_kept(value, f"{path}.value")
    yield from check_words(option.get("text"), f"{path}.text", _("needs the words the annotator reads"))
    if "hint" in option:
        yield from check_words(option["hint"], f"{path}.hint", _("needs words, or leave it out"))


def check_named_list(
    question: Question, path: str, key: str, *, most: int, known: tuple[str, ...] = ()
) -> Iterator[Problem]:
    """A list of `{name, text}`, names of their own each."""
    items = question.get(key)
    if not isinstance(items, list) or not 1 <= len(items) <= most:
        yield f"{path}.{key}", _("needs a list of 1 to %d, each {name, text}") % most
        return
    seen: set[str] = set()
    for place, item in enumerate(items):
        yield from check_named(item, f"{path}.{key}[{place}]", seen, ("name", "text", *known))


def check_named(item: Any, path: str, seen: set[str], known: Iterable[str]) -> Iterator[Problem]:
    if not isinstance(item, dict):
        yield path, _("needs an object")
        return
    name = item.get("name")
    if not isinstance(name, str) or not name.isidentifier() or len(name) > LONGEST_NAME:
        yield f"{path}.name", _("needs a name of letters, digits and underscores, at most %d") % LONGEST_NAME
    elif name in seen:
        yield f"{path}.name", _("%s is used twice; give each its own name") % repr(name)
    else:
        seen.add(name)
    yield from check_words(item.get("text"), f"{path}.text", _("needs the words the annotator reads"))
    yield from check_known(item, path, known)


def check_candidate_flags(question: Question, path: str) -> Iterator[Problem]:
    if "candidate_flags" in question:
        yield from check_options(question, path, key="candidate_flags", least=0, most=20)


def check_length_rules(question: Question, path: str) -> Iterator[Problem]:
    """min, max, unit, enforce, placeholder of a text."""
    yield from check_range(question, path, 0, LONGEST_TEXT)
    if question.get("unit", "words") not in ("words", "characters"):
        yield f"{path}.unit", _("is words or characters")
    yield from check_yes_no(question, path, "enforce")
    if question.get("enforce") is True and "min" not in question and "max" not in question:
        yield f"{path}.enforce", _("needs a min or a max to hold people to")
    if "placeholder" in question:
        yield from check_words(question["placeholder"], f"{path}.placeholder", _("needs words, or leave it out"))


def field_of(schema: Mapping[str, Any], name: Any) -> Mapping[str, Any] | None:
    fields = schema.get("fields") or []
    return next((item for item in fields if isinstance(item, dict) and item.get("name") == name), None)


def check_text_field(schema: Mapping[str, Any], name: Any, path: str) -> Iterator[Problem]:
    """The name of a field that holds text."""
    known = [str(item.get("name")) for item in schema.get("fields") or [] if _is_text(item)]
    if name not in known:
        yield (
            path,
            _("needs the name of a text, markdown or code field; there are: %s") % (", ".join(known) or _("none")),
        )


def _is_text(item: Any) -> bool:
    return isinstance(item, dict) and item.get("kind", "text") in TEXTS


# Checks of answers: each raises what is wrong.


def is_whole(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def refuse_unknown(answer: Mapping[str, Any], path: str, known: Sequence[str]) -> None:
    for name in answer:
        if name not in known:
            raise ValueError(f"{path}.{short(str(name))}: " + _("unknown; known are %s") % ", ".join(known))


def short(name: str) -> str:
    return name[:60].encode("utf-8", "replace").decode()


def read_text(value: Any, path: str, longest: int = LONGEST_TEXT) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{path}: " + _("is text of at most %d characters") % longest)
    if len(value) > longest:
        told = {"longest": longest, "now": len(value)}
        raise ValueError(f"{path}: " + _("is text of at most %(longest)d characters; this has %(now)d") % told)
    if _UNKEPT.search(value):
        what = _("a NUL character") if "\x00" in value else _("half a surrogate pair")
        raise ValueError(f"{path}: " + _("holds %s, which no database keeps; remove it") % what)
    return value


def read_written(value: Any, path: str) -> str:
    """Text that says something."""
    text = read_text(value, path)
    if not text.strip():
        raise ValueError(f"{path}: " + _("is required; write something"))
    return text


def check_length(question: Question, text: str, path: str) -> None:
    """Hold to min and max where the question enforces them; else they only guide."""
    if not question.get("enforce"):
        return
    words = question.get("unit", "words") == "words"
    count = len(text.split()) if words else len(text)
    least, most = question.get("min", 0), question.get("max", LONGEST_TEXT)
    if not least <= count <= most:
        told = {"least": least, "most": most, "now": count}
        if words:
            raise ValueError(f"{path}: " + _("needs %(least)d to %(most)d words; it has %(now)d") % told)
        raise ValueError(f"{path}: " + _("needs %(least)d to %(most)d characters; it has %(now)d") % told)


def read_common(question: Question, answer: Mapping[str, Any], path: str) -> dict[str, Any]:
    """The reason and the flags, which every answer may have."""
    reason, flags = answer.get("reason") or "", answer.get("flags") or []
    if reason:
        read_text(reason, f"{path}.reason", MAX_REASON)
    if question.get("reason") == "required" and not reason.strip():
        raise ValueError(f"{path}.reason: " + _("is required; say why"))
    if flags and (
        not isinstance(flags, list)
        or len(flags) > MOST_FLAGS
        or not all(isinstance(flag, str) and len(flag) <= 60 and not _UNKEPT.search(flag) for flag in flags)
    ):
        raise ValueError(f"{path}.flags: " + _("is a list of at most %d short texts") % MOST_FLAGS)
    return {"reason": reason, "flags": flags}


def read_rewrite(question: Question, answer: Mapping[str, Any], path: str, count: int) -> dict[str, Any]:
    """`{rewrite: {of, text}}`, or nothing where nothing was written. `count`: candidates there are."""
    rewrite = answer.get("rewrite")
    if rewrite is None:
        return {}
    here = f"{path}.rewrite"
    if not question.get("rewrite"):
        raise ValueError(f"{here}: " + _("this question does not ask for a better one; leave it out"))
    if not isinstance(rewrite, dict):
        raise ValueError(f"{here}: " + _("is {of, text}"))
    refuse_unknown(rewrite, here, ("of", "text"))
    of, text = rewrite.get("of") or "", read_text(rewrite.get("text", ""), f"{here}.text")
    if of != "" and of not in POSITIONS[:count]:
        raise ValueError(f"{here}.of: " + _("is empty or one of %s") % ", ".join(POSITIONS[:count]))
    return {"rewrite": {"of": of, "text": text}} if text.strip() else {}


def require_shown(shown: Shown | None, path: str) -> Shown:
    if shown is None:
        raise TypeError(f"{path}: this kind is checked against what was shown")
    return shown


def most_common(values: Iterable[Any], of: int) -> list[Any]:
    """The values that more than half of `of` gave, in the order first met."""
    counts: dict[Any, int] = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    return [value for value, count in counts.items() if count * 2 > of]


def jaccard(one: set[Any], other: set[Any]) -> float:
    """Size of the intersection over size of the union (Jaccard 1912); two empty sets are alike."""
    return len(one & other) / len(one | other) if one | other else 1.0
