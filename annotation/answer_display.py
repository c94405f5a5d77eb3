"""An answer shown where words are not enough: spans in their text, a correction as what changed, a ranking in order. Pure.

`display_of` gives what `annotation/answers/<kind>.html` reads, or None where the words of the kind say it all.
"""

import difflib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from annotation.questions import KINDS, Shown
from annotation.questions.base import POSITIONS, letter
from annotation.questions.correction import original
from annotation.showing import shown_turns

Question = Mapping[str, Any]
Answers = Mapping[str, Any]
JSON = dict[str, Any]
AROUND = 80
"""Code points of a long text shown before the first and behind the last span of a place."""
LONGEST_WHOLE = 1500
MOST_COMPARED = 4000
"""Words of which a word diff is made; longer texts stand one above the other."""
_WORDS = re.compile(r"\s+|[^\s]+")


def display_of(question: Question, answers: Answers, shown: Shown | None) -> JSON | None:
    """`shown`: what the task shows, its candidates in the order the answers speak of; without it only what needs nothing of it."""
    show = _DISPLAYS.get(question["kind"])
    if show is None or answers.get(question["name"]) is None:
        return None
    found = show(question, answers, shown or Shown())
    return None if found is None else {"template": f"annotation/answers/{question['kind']}.html", **found}


def _spans(question: Question, answers: Answers, shown: Shown) -> JSON | None:
    text, spans = shown.data.get(question["field"]), answers[question["name"]].get("spans", [])
    if not isinstance(text, str) or not spans:
        return None
    labels = {option["value"]: option["text"] for option in question["options"]}
    return {"pieces": list(_pieces(text, spans, labels))}


def _pieces(text: str, spans: Sequence[Mapping[str, Any]], labels: Mapping[str, str]) -> Iterator[JSON]:
    """The text cut where a span begins or ends. `opens`: labels of spans that begin with a piece; `left_out`: what lies before."""
    cuts = sorted(
        {0, len(text), *(edge for span in spans for edge in (span["start"], span["end"]) if edge <= len(text))}
    )
    whole = len(text) <= LONGEST_WHOLE
    for start, end in pairwise(cuts):
        over = [span for span in spans if span["start"] <= start < span["end"]]
        if over:
            opens = [
                {"label": labels.get(span["label"], span["label"]), "note": span.get("note", "")}
                for span in over
                if span["start"] == start
            ]
            yield {"text": text[start:end], "depth": min(len(over), 3), "opens": opens}
        elif whole or end - start <= 2 * AROUND:
            yield {"text": text[start:end], "depth": 0}
        else:
            if start:
                yield {"text": text[start : start + AROUND], "depth": 0}
            yield {"text": "…", "depth": 0}
            if end < len(text):
                yield {"text": text[end - AROUND : end], "depth": 0}


def _relations(question: Question, answers: Answers, shown: Shown) -> JSON | None:
    """Each relation with the words its spans mark."""
    relation = KINDS[question["kind"]]
    predicates = {option["value"]: option["text"] for option in question["options"]}
    resolved = relation.resolved(question, answers[question["name"]], answers)["relations"]
    rows = [
        {
            "subject": _marked(one["subject"], shown, answers),
            "predicate": predicates.get(one["predicate"], one["predicate"]),
            "object": _marked(one["object"], shown, answers),
        }
        for one in resolved
    ]
    return {"relations": rows} if rows else None


def _marked(place: Sequence[Any], shown: Shown, answers: Answers) -> str:
    """The text at a place: of the one field that is long enough and holds text, else its offsets."""
    start, end, label = place
    texts = [value for value in shown.data.values() if isinstance(value, str) and len(value) >= end]
    return f"{texts[0][start:end]} ({label})" if len(texts) == 1 else f"{start}–{end} ({label})"


def _correction(question: Question, answers: Answers, shown: Shown) -> JSON | None:
    text = answers[question["name"]].get("text")
    if text is None:
        return None
    before = original(question, shown)
    return {"parts": word_diff(before, text)} if before else {"parts": [{"kind": "same", "text": text}]}


def word_diff(before: str, after: str) -> list[JSON]:
    """What stayed, went and came, word by word with the space between them."""
    one, other = _WORDS.findall(before), _WORDS.findall(after)
    if len(one) + len(other) > MOST_COMPARED:
        return [{"kind": "gone", "text": before}, {"kind": "new", "text": after}]
    found: list[JSON] = []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
        if kind == "equal":
            found.append({"kind": "same", "text": "".join(one[a:b])})
            continue
        found.extend({"kind": "gone", "text": "".join(one[a:b])} for _ in range(b > a))
        found.extend({"kind": "new", "text": "".join(other[c:d])} for _ in range(d > c))
    return found


def _ranking(question: Question, answers: Answers, shown: Shown) -> JSON | None:
    answer = answers[question["name"]]
    ranks = answer.get("ranks", [])
    steps = [
        [letter(POSITIONS[place]) for place, rank in enumerate(ranks) if rank == step] for step in sorted(set(ranks))
    ]
    return {"steps": steps, "all_bad": answer.get("all_bad", False), **_rewrite(answer)}


def _pairwise(question: Question, answers: Answers, shown: Shown) -> JSON | None:
    found = _rewrite(answers[question["name"]])
    return found or None


def _rewrite(answer: Answers) -> JSON:
    rewrite = answer.get("rewrite")
    return (
        {"rewrite": {"of": letter(rewrite["of"]) if rewrite["of"] else "", "text": rewrite["text"]}} if rewrite else {}
    )


def _rating(question: Question, answers: Answers, shown: Shown) -> JSON | None:
    """A table of marks where several things were rated, or notes were written."""
    answer = answers[question["name"]]
    listed, notes = answer.get("ratings"), answer.get("notes")
    if isinstance(listed, Mapping) and not notes:
        return None
    several = isinstance(listed, list)
    marks, written = (listed, notes or []) if several else ([listed], [notes])
    rows = [
        {
            "name": letter(POSITIONS[place])
            if question.get("each") == "candidates"
            else str(place + 1)
            if several
            else "",
            "marks": [(one or {}).get(aspect["name"]) for aspect in question["aspects"]],
            "notes": list(((written[place : place + 1] or [None])[0] or {}).values()),
        }
        for place, one in enumerate(marks)
        if one
    ]
    return {
        "aspects": [aspect["text"] for aspect in question["aspects"]],
        "rows": rows,
        "scale": question.get("scale", 5),
    }


def _text(question: Question, answers: Answers, shown: Shown) -> JSON | None:
    return {"text": answers[question["name"]].get("text", "")}


def _demonstration(question: Question, answers: Answers, shown: Shown) -> JSON | None:
    return {"turns": shown_turns(answers[question["name"]].get("messages", []))}


_DISPLAYS: dict[str, Callable[[Question, Answers, Shown], JSON | None]] = {
    "pairwise": _pairwise,
    "ranking": _ranking,
    "rating": _rating,
    "spans": _spans,
    "relations": _relations,
    "text": _text,
    "demonstration": _demonstration,
    "correction": _correction,
}
