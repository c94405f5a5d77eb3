"""What a module imports, so that a page can ask for all of it at once and not level by level."""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path, PurePosixPath

from django.conf import settings
from django.contrib.staticfiles import finders

# `import { a } from "./b.mjs"`, `import "./b.mjs"` and `export { a } from "./b.mjs"`; never import("./b.mjs"), which is for later.
_IMPORT = re.compile(r"""^(?:import|export)\b[^;"'()]*["'](\.{1,2}/[^"']+\.mjs)["']""", re.MULTILINE)


def reached_from(names: Iterable[str]) -> list[str]:
    """Static names of every module that these import, also through others, without these themselves; in the order found."""
    found = dict.fromkeys(names)
    first = set(found)
    waiting = list(found)
    while waiting:
        for name in imported_by(waiting.pop(0)):
            if name not in found:
                found[name] = None
                waiting.append(name)
    return [name for name in found if name not in first]


def imported_by(name: str) -> tuple[str, ...]:
    """Static names of the modules this one imports itself, in their order."""
    return tuple(_read(name)) if settings.DEBUG else _remembered(name)


@lru_cache(maxsize=256)
def _remembered(name: str) -> tuple[str, ...]:
    return tuple(_read(name))


def _read(name: str) -> Iterator[str]:
    for target in _IMPORT.findall(source_of(name)):
        yield joined(PurePosixPath(name).parent, target)


def source_of(name: str) -> str:
    """The text of a module as it lies in the tree; empty where there is none."""
    path = finders.find(name)
    return Path(path).read_text(encoding="utf-8") if isinstance(path, str) else ""


def joined(folder: PurePosixPath, target: str) -> str:
    """The static name that a relative path means inside a folder."""
    parts = list(folder.parts)
    for part in PurePosixPath(target).parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)
