"""The files of imports: what was sent, and the list of its wrong lines. Nothing else knows where they lie."""

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from django.conf import settings
from django.utils.translation import gettext as _

from annotation.errors import NoRoom
from annotation.lines import Wrong
from annotation.models import TaskImport
from ground import clock
from ground.errors import Invalid


def path_of(public_id: str) -> Path:
    """Where an import's file lies while it is needed."""
    return Path(settings.IMPORTS) / f"{public_id}.jsonl"


def report_of(public_id: str) -> Path:
    """Where its errors are listed, one JSON line each."""
    return Path(settings.IMPORTS) / f"{public_id}.errors.jsonl"


def keep(path: Path, blocks: Iterable[bytes]) -> int:
    """Write the file beside, then rename it; its size. What a client that went away left half-sent is removed."""
    part = path.with_suffix(".part")
    size = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as stream:
            for block in blocks:
                size += len(block)
                if size > settings.IMPORT_MOST_BYTES:
                    raise Invalid(_("The file is larger than this server takes."), hint=_("Split it."))
                _write_block(stream, block)
            stream.flush()
            os.fsync(stream.fileno())
        if size == 0:
            raise Invalid(_("The file is empty."), hint=_("Send one JSON object a line, with a Content-Length."))
        part.rename(path)
    finally:
        part.unlink(missing_ok=True)
    return size


def _write_block(stream: BinaryIO, block: bytes) -> None:
    try:
        stream.write(block)
    except OSError as error:
        raise NoRoom(_("There is no room for this file."), hint=_("Free space where var/imports lies.")) from error


class Report:
    """The list of wrong lines. A line in it counts once the chunk it belongs to is committed; a later one is cut off."""

    def __init__(self, row: TaskImport) -> None:
        self.path = report_of(row.public_id)
        self.stream = self.path.open("r+b" if self.path.exists() else "w+b")
        for _line in range(row.wrong):
            self.stream.readline()
        self.end = self.stream.tell()

    def __enter__(self) -> "Report":
        return self

    def __exit__(self, *error: object) -> None:
        self.stream.close()

    def put(self, wrong: Sequence[Wrong]) -> None:
        """On disk before the commit that counts them."""
        self.stream.seek(self.end)
        self.stream.truncate()
        if wrong:
            self.stream.writelines(line.as_line().encode() for line in wrong)
            self.stream.flush()
            os.fsync(self.stream.fileno())

    def settle(self) -> None:
        self.end = self.stream.tell()


def sweep_files() -> int:
    """Remove files of imports that stopped long ago: nobody went on with them."""
    old = TaskImport.objects.filter(finished_at__lt=clock.now() - settings.UNDO_WINDOW)
    removed = 0
    with suppress(FileNotFoundError):
        names = {path.stem for path in Path(settings.IMPORTS).glob("imp_*.jsonl") if not path.stem.endswith(".errors")}
        for public_id in old.filter(public_id__in=list(names)[:500]).values_list("public_id", flat=True):
            path_of(public_id).unlink(missing_ok=True)
            removed += 1
    return removed
