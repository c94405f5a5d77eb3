"""What somebody has read of the guidelines, and what changed since."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from accounts.models import Actor
from annotation.models import Guideline, GuidelineRead
from annotation.selectors.queue import current_guideline

_PIECES = re.compile(r"[\u3040-\u9fff]\s*|[^\s\u3040-\u9fff]+\s*|\s+")
_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$")
LONGEST = 12_000
"""Pieces beyond which only the sections that changed are named."""


@dataclass(frozen=True)
class Piece:
    """A run of text: `kind` is same, gone or come."""

    kind: str
    text: str


@dataclass(frozen=True)
class Changes:
    since: int
    sections: list[str]
    pieces: list[Piece]


def reading_of(actor: Actor) -> tuple[Guideline | None, Changes | None]:
    """The guidelines in force, and what changed since the actor last read them; None when nothing did, or nothing was read."""
    current = current_guideline(actor.project)
    if current is None:
        return None, None
    read = GuidelineRead.objects.filter(actor=actor).select_related("guideline").order_by("-guideline__version").first()
    if read is None or read.guideline.version >= current.version:
        return current, None
    return current, changes_between(read.guideline, current)


def is_unread(actor: Actor, guideline: Guideline | None) -> bool:
    return guideline is not None and not GuidelineRead.objects.filter(actor=actor, guideline=guideline).exists()


def changes_between(old: Guideline, new: Guideline) -> Changes:
    return Changes(old.version, changed_sections(old.body, new.body), word_diff(old.body, new.body))


def changed_sections(old: str, new: str) -> list[str]:
    """Headings of the sections that are new or say something else now; those that went come last."""
    before, after = _sections(old), _sections(new)
    changed = [title for title, text in after.items() if before.get(title) != text]
    return [title for title in (*changed, *(title for title in before if title not in after)) if title]


def _sections(body: str) -> dict[str, str]:
    found: dict[str, str] = {"": ""}
    title = ""
    for line in body.splitlines():
        heading = _HEADING.match(line)
        if heading:
            title = heading.group(1)
        found[title] = f"{found.get(title, '')}{line.strip()}\n"
    return found


def word_diff(old: str, new: str) -> list[Piece]:
    """What was taken out and put in, word by word, with a little of what stands around it. Empty for a text too long to compare."""
    one, other = _PIECES.findall(old), _PIECES.findall(new)
    if len(one) + len(other) > LONGEST:
        return []
    return _shortened(_steps(one, other))


def _steps(one: Sequence[str], other: Sequence[str]) -> list[Piece]:
    found = []
    for step, a, b, c, d in SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
        if step == "equal":
            found.append(Piece("same", "".join(one[a:b])))
            continue
        found += [
            Piece(kind, "".join(pieces))
            for kind, pieces in (("gone", one[a:b]), ("come", other[c:d]))
            if "".join(pieces).strip()
        ]
    return found


def _shortened(pieces: list[Piece], around: int = 60) -> list[Piece]:
    """Long stretches that stayed are cut to what stands next to a change."""
    found = []
    for place, piece in enumerate(pieces):
        text, first, last = piece.text, place == 0, place == len(pieces) - 1
        if piece.kind == "same" and len(text) > 2 * around + 20:
            head, tail = "" if first else text[:around], "" if last else text[-around:]
            text = f"{head} … {tail}"
        found.append(Piece(piece.kind, text))
    return found
