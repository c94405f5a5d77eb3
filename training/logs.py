"""What a run's processes printed, line by line: its end, a search over all of it, a stretch from some line on.

A log may be large, grow while it is read, and hold any bytes: every look is bounded. A process remembers how far it looked, so that
a page that asks every few seconds reads what is new.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from django.utils.translation import gettext as _

from ground.errors import NotFound
from training.models import Run

FIRST = "launcher.log"
EVENTS = "events.jsonl"
BLOCK = 1 << 18
LONGEST_LINE = 2000
"""Characters shown; a search sees all of it."""
MOST_READ = 100_000
"""Of a longer line, around what was wanted."""
LONGEST_WANTED = 200
KEPT = 300
REMEMBERED = 16
SECONDS = 5.0
"""One look; what it did not reach the next one does."""
CHECKED = 64
COLOURS = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\))")
# Controls as their pictures; what turns the order of a text around, or hides in it, as a replacement character.
HARMLESS = {code: 0x2400 + code for code in range(32) if code not in (9, 10)} | {127: 0x2421}
HARMLESS |= dict.fromkeys([*range(0x80, 0xA0), 0x061C, 0x200B, 0x200E, 0x200F, *range(0x202A, 0x202F)], 0xFFFD)
HARMLESS |= dict.fromkeys([0x2028, 0x2029, *range(0x2060, 0x2070), 0xFEFF, *range(0xE0000, 0xE0080)], 0xFFFD)


@dataclass(frozen=True)
class Line:
    """`number` counts from 1 at the beginning of the file."""

    number: int
    text: str


@dataclass
class Look:
    """`offset` ends the last whole line that was looked at, which is line `lines`; `found` counts lines with what was wanted."""

    offset: int = 0
    lines: int = 0
    found: int = 0
    size: int = 0
    kept: deque[Line] = field(default_factory=lambda: deque(maxlen=KEPT))
    mark: bytes = b""
    """The last bytes before `offset`: other ones there mean that the file was written anew."""

    @property
    def complete(self) -> bool:
        return self.offset >= self.size

    @property
    def share(self) -> float:
        return self.offset / self.size if self.size else 1.0


_looks: OrderedDict[tuple[str, int, str], Look] = OrderedDict()
_lock = threading.Lock()


def files_of(run: Run) -> list[str]:
    """Logs and events by name, what the launcher printed first."""
    folder = Path(run.folder)
    try:
        entries = [entry for entry in os.scandir(folder) if entry.is_file(follow_symlinks=False)]
    except OSError:
        return []
    names = {entry.name for entry in entries if entry.name.endswith(".log") or entry.name == EVENTS}
    return sorted(names, key=lambda name: (name != FIRST, name == EVENTS, name))[:50]


def path_of(run: Run, name: str) -> Path:
    """Only of a file that `files_of` lists. Errors: NotFound, naming those."""
    known = files_of(run)
    if name not in known:
        raise NotFound(
            _("This run has no log %s.") % name[:80], hint=_("It has: %s.") % (", ".join(known) or _("none yet"))
        )
    return Path(run.folder) / name


def look(path: Path, wanted: str = "") -> Look:
    """The last lines, or the last ones with `wanted` in them (case aside). What an earlier look read is not read again."""
    wanted = wanted[:LONGEST_WANTED].lower()
    try:
        with path.open("rb") as stream:
            stat = os.fstat(stream.fileno())
            key = (str(path), stat.st_ino, wanted)
            before = _remembered(key)
            stream.seek(max(0, before.offset - CHECKED))
            same = before.offset <= stat.st_size and stream.read(min(CHECKED, before.offset)) == before.mark
            now = replace(before, kept=deque(before.kept, maxlen=KEPT)) if same else Look()
            now.size = stat.st_size
            _go_on(stream, now, wanted)
            _remember(key, now)
            return _with_last_line(stream, now, wanted)
    except OSError:
        return Look()


def _remembered(key: tuple[str, int, str]) -> Look:
    with _lock:
        return _looks.get(key, Look())


def _remember(key: tuple[str, int, str], now: Look) -> None:
    with _lock:
        _looks[key] = now
        _looks.move_to_end(key)
        while len(_looks) > REMEMBERED:
            _looks.popitem(last=False)


def _go_on(stream: BinaryIO, now: Look, wanted: str) -> None:
    until = time.monotonic() + SECONDS
    for number, block, end in _blocks(stream, now.offset, now.size, now.lines):
        _take(now, number, block, wanted)
        now.offset, now.lines = end, number + block.count(b"\n")
        if time.monotonic() > until:
            break
    stream.seek(max(0, now.offset - CHECKED))
    now.mark = stream.read(min(CHECKED, now.offset))


def _blocks(stream: BinaryIO, offset: int, size: int, lines: int) -> Iterator[tuple[int, bytes, int]]:
    """Whole lines, with the number of lines before them and where they end; a line longer than a block comes in pieces."""
    while offset < size:
        stream.seek(offset)
        block = stream.read(min(BLOCK, size - offset))
        whole = block.rfind(b"\n") + 1
        if not whole and len(block) < BLOCK:
            return
        block = block[:whole] if whole else block
        offset += len(block)
        yield lines, block, offset
        lines += block.count(b"\n")


def _take(now: Look, before: int, block: bytes, wanted: str) -> None:
    """Blocks without what is wanted are passed over whole; without a wish only the end can be shown."""
    if not wanted and now.size - now.offset > 2 * BLOCK:
        now.found += block.count(b"\n")
        return
    for line in _lines(block, before, wanted):
        now.found += not (now.kept and now.kept[-1].number == line.number)
        _keep(now, line)


def _keep(now: Look, line: Line) -> None:
    """Of a line that came in pieces the last one with what was wanted."""
    if now.kept and now.kept[-1].number == line.number:
        now.kept.pop()
    now.kept.append(line)


def _with_last_line(stream: BinaryIO, now: Look, wanted: str) -> Look:
    """A line that has no end yet is shown, and looked at again once it has."""
    rest = now.size - now.offset
    if not 0 < rest < BLOCK:
        return now
    stream.seek(now.offset)
    line = stream.read(rest).decode("utf-8", "replace")
    if "\n" in line:  # the look stopped at its bound
        return now
    shown_now = replace(now, kept=deque(now.kept, maxlen=KEPT), offset=now.size)
    if wanted in line.lower():
        shown_now.found += 1
        _keep(shown_now, Line(now.lines + 1, shown(line, wanted)))
    return shown_now


def stretch(path: Path, after: int, limit: int, wanted: str = "") -> tuple[list[Line], bool]:
    """The first `limit` whole lines after line `after`, and whether there may be more. Errors: OSError."""
    wanted = wanted[:LONGEST_WANTED].lower()
    until, found = time.monotonic() + SECONDS, list[Line]()
    with path.open("rb") as stream:
        for before, block, _end in _blocks(stream, 0, path.stat().st_size, 0):
            for line in _lines(block, before, wanted) if before + block.count(b"\n") > after else ():
                if line.number > after and not (found and found[-1].number == line.number):
                    found.append(line)
            if len(found) > limit or time.monotonic() > until:
                return found[:limit], True
    return found[:limit], len(found) > limit


def _lines(block: bytes, before: int, wanted: str) -> Iterator[Line]:
    text = block.decode("utf-8", "replace")
    if wanted and wanted not in text.lower():
        return
    for number, line in enumerate(text.removesuffix("\n").split("\n"), before + 1):
        if wanted in line.lower():
            yield Line(number, shown(line, wanted))


def shown(line: str, wanted: str = "") -> str:
    """One line as it can be read: without colours, as a terminal leaves it after carriage returns, no byte of it at work."""
    if len(line) > MOST_READ:
        start = max(0, line.lower().find(wanted) - LONGEST_LINE) if wanted else 0
        line = line[start : start + MOST_READ]
    drawn = [part for part in COLOURS.sub("", line).split("\r") if part]
    holding = [part for part in drawn if wanted in part.lower()] if wanted else drawn
    text = (holding or drawn or [""])[-1].translate(HARMLESS)
    if len(text) <= LONGEST_LINE:
        return text
    place = max(0, text.lower().find(wanted) - LONGEST_LINE // 2) if wanted else 0
    return ("…" if place else "") + text[place : place + LONGEST_LINE] + "…"


def whole(path: Path) -> tuple[Iterator[bytes], int]:
    """The file as it is now, in blocks, and its length: what is printed later is not in it."""
    stream = path.open("rb")
    size = os.fstat(stream.fileno()).st_size

    def blocks() -> Iterator[bytes]:
        left = size
        with stream:
            while left > 0 and (block := stream.read(min(BLOCK, left))):
                left -= len(block)
                yield block

    return blocks(), size
