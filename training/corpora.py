"""Raw text that somebody put on the server for pre-training: a folder for each corpus, below the project's own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from accounts.models import Project
from jobs.errors import JobError

PREFIX = "corpus:"
ENDINGS = (".txt", ".jsonl")


def corpora_of(project: Project) -> list[str]:
    """Names of the folders that hold a .txt or .jsonl file."""
    root = Path(settings.CORPORA) / project.slug
    return sorted(path.name for path in root.iterdir() if files_of(path)) if root.is_dir() else []


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix in ENDINGS)


def documents(project: Project, name: str) -> Iterator[dict[str, Any]]:
    """`{"id", "text"}`: a .txt file is one text, a .jsonl file has one in `text` of each line. Errors: JobError, for good."""
    root = Path(settings.CORPORA) / project.slug / name
    files = files_of(root) if name in corpora_of(project) else []
    if not files:
        raise JobError("missing_corpus", _("There is no corpus %s here.") % name, hint=_("Put its files in %s.") % root)
    for path in files:
        place = path.relative_to(root).as_posix()
        if path.suffix == ".txt":
            yield {"id": place, "text": _read(path)}
        else:
            yield from _lines(path, place)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise _bad(path, _("is not UTF-8")) from error


def _lines(path: Path, place: str) -> Iterator[dict[str, Any]]:
    with path.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            if not line.strip():
                continue
            try:
                text = json.loads(line)["text"]
            except (ValueError, KeyError, TypeError):
                text = None
            if not isinstance(text, str):
                raise _bad(path, _("line %d is no object with a text") % number)
            yield {"id": f"{place}:{number}", "text": text}


def _bad(path: Path, problem: str) -> JobError:
    message = f"{path.name}: {problem}."
    return JobError("bad_corpus", message, hint=_("Correct %s, then start the run again.") % path)
