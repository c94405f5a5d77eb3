"""The bytes of an upload over HTTP: parts for seeking, a tag for caching, headers that let them be only what they are."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.http import FileResponse, HttpResponse, HttpResponseBase, HttpResponseNotModified, StreamingHttpResponse
from django.utils.http import content_disposition_header, parse_etags
from django.utils.translation import gettext as _

from annotation.models import Upload
from annotation.services.uploads import path_of
from ground.errors import Gone

BLOCK = 256 * 1024
MOST_AT_ONCE = 8 * 1024 * 1024
"""Bytes. A part that was asked for without an end is answered as far as this: a player asks on, and no thread waits for it."""

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


def answer_with(request: Any, upload: Upload) -> HttpResponseBase:
    """The file, or the one part of it that was asked for. Errors: Gone when the row is there and the bytes are not."""
    path = path_of(upload)
    if not path.exists():
        raise Gone(_("The bytes of this upload are gone."), hint=_("Send the same file again: it gets the same id."))
    tag = f'"{upload.sha256}"'
    if tag in parse_etags(request.META.get("HTTP_IF_NONE_MATCH", "")):
        return _dressed(HttpResponseNotModified(), upload, tag)
    asked = request.META.get("HTTP_RANGE", "")
    if asked and request.META.get("HTTP_IF_RANGE", tag) == tag and (found := _RANGE.fullmatch(asked.strip())):
        return _dressed(_part(path, upload, *found.groups()), upload, tag)
    whole = FileResponse(path.open("rb"), content_type=upload.media_type)
    whole["Content-Length"] = upload.bytes
    return _dressed(whole, upload, tag)


def _part(path: Path, upload: Upload, first: str, last: str) -> HttpResponseBase:
    """206 with the bytes from `first` to `last`, or the last so many; 416 when there are none such."""
    size = upload.bytes
    if first:
        start, end = int(first), min(int(last) if last else size - 1, size - 1)
    else:
        start, end = max(size - int(last or 0), 0), size - 1
    if start > end or start >= size:
        refused = HttpResponse(status=416)
        refused["Content-Range"] = f"bytes */{size}"
        return refused
    end = min(end, start + MOST_AT_ONCE - 1)
    part = StreamingHttpResponse(_blocks(path, start, end - start + 1), status=206, content_type=upload.media_type)
    part["Content-Range"] = f"bytes {start}-{end}/{size}"
    part["Content-Length"] = str(end - start + 1)
    return part


def _blocks(path: Path, start: int, left: int) -> Iterator[bytes]:
    with path.open("rb") as stream:
        stream.seek(start)
        while left and (block := stream.read(min(BLOCK, left))):
            left -= len(block)
            yield block


def _dressed(response: HttpResponseBase, upload: Upload, tag: str) -> HttpResponseBase:
    """A file that pretends to be a page finds no origin, no script, and no other site that may embed it."""
    response["ETag"] = tag
    response["Accept-Ranges"] = "bytes"
    response["Cache-Control"] = "private, max-age=3600"
    response["Content-Disposition"] = content_disposition_header(False, upload.name or upload.public_id) or "inline"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response["Cross-Origin-Resource-Policy"] = "same-origin"
    response["X-Content-Type-Options"] = "nosniff"
    return response
