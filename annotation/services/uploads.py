"""Uploads kept: whole or not at all, and once for the same bytes."""

import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts.models import Actor, Project
from accounts.services import MANAGERS, record_event, require_role
from annotation.errors import NoRoom, TooLarge
from annotation.media import NotTaken, look_at
from annotation.models import Upload
from ground.errors import Invalid
from ground.formats import size as in_words
from models_registry.texts import shown


def keep_upload(*, actor: Actor, blocks: Iterable[bytes], name: str = "") -> tuple[Upload, bool]:
    """Keep a file; it is on disk before this returns. Whether it is new: the same bytes are the same upload. Managers only.

    Errors: Invalid for what is no picture, sound or film, TooLarge, NoRoom.
    """
    require_role(actor, *MANAGERS)
    with _file_without_a_name(folder_of(actor.project)) as stream:
        digest = _write(stream, blocks)
        try:
            media = look_at(stream)
        except NotTaken as error:
            raise Invalid(str(error), hint=error.hint) from error
        size = stream.seek(0, os.SEEK_END)
        _check_size(size, settings.UPLOAD_MOST_BYTES[media.kind])
        known = Upload.objects.filter(project=actor.project, sha256=digest).first()
        if known is None or not path_of(known).exists():
            _give_name(stream, _path(actor.project, digest))
    if known is not None:
        return known, False
    row = Upload(
        project=actor.project,
        actor=actor,
        kind=media.kind,
        media_type=media.media_type,
        sha256=digest,
        bytes=size,
        name=_clean(name),
        seconds=media.seconds,
    )
    if media.pixels:
        row.pixels_across, row.pixels_down = (min(side, 2**31 - 1) for side in media.pixels)
    try:
        with transaction.atomic():
            row.save(force_insert=True)
            data = {"bytes": size, "type": media.media_type, "sha256": digest}
            record_event(project=row.project, actor=actor, verb="upload.kept", object_id=row.public_id, data=data)
    except IntegrityError:  # somebody sent the same bytes at the same time
        return Upload.objects.get(project=actor.project, sha256=digest), False
    return row, True


def folder_of(project: Project) -> Path:
    return Path(settings.UPLOADS) / str(project.pk)


def path_of(upload: Upload) -> Path:
    """Where its bytes lie."""
    return _path(upload.project, upload.sha256)


def _path(project: Project, digest: str) -> Path:
    return folder_of(project) / digest[:2] / digest


def _write(stream: BinaryIO, blocks: Iterable[bytes]) -> str:
    """The sha256 of what was written. What is larger than any kind may be is not written to its end."""
    digest, size, most = hashlib.sha256(), 0, max(settings.UPLOAD_MOST_BYTES.values())
    try:
        for block in blocks:
            size += len(block)
            _check_size(size, most)
            digest.update(block)
            stream.write(block)
        stream.flush()
        os.fsync(stream.fileno())
    except OSError as error:
        raise NoRoom(_("There is no room for this file."), hint=_("Free space where var/uploads lies.")) from error
    return digest.hexdigest()


def _check_size(size: int, most: int) -> None:
    if size > most:
        raise TooLarge(
            _("The file is larger than the %(most)s that this server takes of its kind.") % {"most": in_words(most)},
            hint=_(
                "Make it smaller, or have the limit raised: PLUMBLINE_UPLOAD_IMAGE_BYTES, …_AUDIO_BYTES, …_VIDEO_BYTES."
            ),
        )


@contextmanager
def _file_without_a_name(folder: Path) -> Iterator[BinaryIO]:
    """A file that is in no folder until it is given a name: a process that is killed leaves nothing behind."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o600)
        part = None
    except (AttributeError, OSError):  # not Linux, or a shared disk that cannot
        _sweep_parts(folder)
        part = folder / f".{os.urandom(8).hex()}.part"
        descriptor = os.open(part, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    with os.fdopen(descriptor, "w+b") as stream:
        try:
            yield stream
        finally:
            if part is not None:
                part.unlink(missing_ok=True)


def _sweep_parts(folder: Path) -> None:
    """Remove what a process that was killed left behind, a day later."""
    for part in folder.glob(".*.part"):
        with suppress(FileNotFoundError):
            if time.time() - part.stat().st_mtime > 86_400:
                part.unlink()


def _give_name(stream: BinaryIO, path: Path) -> None:
    """The whole file appears under its name at once; a file of that name has the same bytes and stays."""
    path.parent.mkdir(exist_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        # With a folder given, the link is followed to the file itself, which has no other name.
        os.link(f"/proc/self/fd/{stream.fileno()}", path.name, dst_dir_fd=folder)
    except FileExistsError:
        pass
    except OSError:  # no /proc, or a disk without links
        _copy(stream, path)
    finally:
        os.fsync(folder)
        os.close(folder)


def _copy(stream: BinaryIO, path: Path) -> None:
    beside = path.with_name(f".{path.name}.{os.urandom(4).hex()}.part")
    stream.seek(0)
    with beside.open("wb") as copy:
        while block := stream.read(1024 * 1024):
            copy.write(block)
        copy.flush()
        os.fsync(copy.fileno())
    beside.rename(path)


def _clean(name: str) -> str:
    """A file's own name, without the folder it came from and without what no database keeps."""
    return shown(name.replace("\x00", "").replace("\\", "/").rpartition("/")[2].strip()[:200])


def check_length(length: str | None) -> None:
    """Refuse a body that is too long by its own account before any of it is read. Errors: TooLarge."""
    if length and length.isascii() and length.isdigit():
        _check_size(int(length[:18]) - 65_536, max(settings.UPLOAD_MOST_BYTES.values()))
