"""What a file is, told from its own bytes: kind, media type, pixels, length. Pure; reads the head, and the index of an MP4."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from django.utils.translation import gettext as _

HEAD = 64 * 1024
TYPES = {
    "image/png": "image",
    "image/jpeg": "image",
    "image/gif": "image",
    "image/webp": "image",
    "image/avif": "image",
    "audio/mpeg": "audio",
    "audio/ogg": "audio",
    "audio/wav": "audio",
    "audio/flac": "audio",
    "audio/mp4": "audio",
    "video/mp4": "video",
    "video/webm": "video",
    "text/vtt": "captions",
}
KNOWN = "PNG, JPEG, GIF, WebP, AVIF, MP3, Ogg, WAV, FLAC, M4A, MP4, WebM, WebVTT"
_AVIF = (b"avif", b"avis")
_M4A = (b"M4A ", b"M4B ")
_MP4 = (b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42", b"avc1", b"dash", b"M4V ", b"MSNV", b"f4v ")
MOST_BOXES = 2000


class NotTaken(ValueError):
    """Said to whoever sent the file: what is wrong, and in `hint` what to send instead."""

    def __init__(self, detail: str, hint: str) -> None:
        super().__init__(detail)
        self.hint = hint


@dataclass(frozen=True)
class Media:
    media_type: str
    pixels: tuple[int, int] | None = None
    seconds: float | None = None

    @property
    def kind(self) -> str:
        return TYPES[self.media_type]


def look_at(stream: BinaryIO) -> Media:
    """What the file is. Errors: NotTaken."""
    stream.seek(0)
    head = stream.read(HEAD)
    media_type = _sniff(head)
    try:
        return Media(media_type, _pixels(media_type, head), _seconds(media_type, head, stream))
    except (struct.error, IndexError, ValueError, ZeroDivisionError):
        return Media(media_type)  # the facts are a courtesy; a browser may still show it


def _sniff(head: bytes) -> str:
    for beginning, media_type in (
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"GIF87a", "image/gif"),
        (b"GIF89a", "image/gif"),
        (b"OggS", "audio/ogg"),
        (b"fLaC", "audio/flac"),
        (b"ID3", "audio/mpeg"),
        (b"WEBVTT", "text/vtt"),
        (b"\xef\xbb\xbfWEBVTT", "text/vtt"),
    ):
        if head.startswith(beginning):
            return media_type
    if head[:4] == b"RIFF" and head[8:12] in (b"WEBP", b"WAVE"):
        return "image/webp" if head[8:12] == b"WEBP" else "audio/wav"
    if head[:4] == b"\x1aE\xdf\xa3" and b"webm" in head[:64]:
        return "video/webm"
    if head[4:8] == b"ftyp":
        return _of_brand(head)
    if _is_mpeg_frame(head):
        return "audio/mpeg"
    raise _refusal(head)


def _of_brand(head: bytes) -> str:
    size = min(struct.unpack(">I", head[:4])[0], 256)
    major = head[8:12]
    brands = [major, *(head[at : at + 4] for at in range(16, size, 4))]
    if any(brand in _AVIF for brand in brands):
        return "image/avif"
    if major in _M4A:
        return "audio/mp4"
    if any(brand in _MP4 for brand in brands):
        return "video/mp4"
    raise _refusal(head)


def _is_mpeg_frame(head: bytes) -> bool:
    """The first four bytes of an MP3 frame: sync, layer III, and no reserved value."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return False
    return head[1] & 0x18 != 0x08 and head[2] & 0xF0 not in (0x00, 0xF0) and head[2] & 0x0C != 0x0C


def _refusal(head: bytes) -> NotTaken:
    if not head:
        return NotTaken(_("The file is empty."), _("Send one of %s.") % KNOWN)
    start = head[:4096].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if b"<svg" in start:
        return NotTaken(
            _(
                "SVG is not taken: it is a program as much as a picture, and can run or load what an annotator never sees."
            ),
            _("Export the picture as PNG or WebP."),
        )
    return NotTaken(_("The file is none of the kinds that are shown."), _("Send one of %s.") % KNOWN)


def _pixels(media_type: str, head: bytes) -> tuple[int, int] | None:
    if media_type == "image/png":
        return struct.unpack(">II", head[16:24])
    if media_type == "image/gif":
        return struct.unpack("<HH", head[6:10])
    if media_type == "image/webp":
        return _webp(head)
    if media_type == "image/jpeg":
        return _jpeg(head)
    if media_type == "image/avif":
        at = head.find(b"ispe")
        return struct.unpack(">II", head[at + 8 : at + 16]) if at > 0 else None
    return None


def _webp(head: bytes) -> tuple[int, int] | None:
    form = head[12:16]
    if form == b"VP8 ":
        across, down = struct.unpack("<HH", head[26:30])
        return across & 0x3FFF, down & 0x3FFF
    if form == b"VP8L":
        bits = struct.unpack("<I", head[21:25])[0]
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if form == b"VP8X":
        return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    return None


def _jpeg(head: bytes) -> tuple[int, int] | None:
    """The frame header, past what cameras write before it. Large previews may push it out of the head."""
    at = 2
    while at + 9 < len(head) and head[at] == 0xFF:
        marker = head[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            down, across = struct.unpack(">HH", head[at + 5 : at + 9])
            return across, down
        at += 2 + struct.unpack(">H", head[at + 2 : at + 4])[0]
    return None


def _seconds(media_type: str, head: bytes, stream: BinaryIO) -> float | None:
    if media_type == "audio/wav":
        at = head.find(b"fmt ")
        data = head.find(b"data")
        rate = struct.unpack("<I", head[at + 16 : at + 20])[0] if at > 0 else 0
        return struct.unpack("<I", head[data + 4 : data + 8])[0] / rate if data > 0 and rate else None
    if media_type == "audio/flac":
        packed = int.from_bytes(head[18:26], "big")
        rate, samples = packed >> 44, packed & (1 << 36) - 1
        return samples / rate if rate and samples else None
    if media_type in ("video/mp4", "audio/mp4"):
        return _mp4(stream)
    return None


def _mp4(stream: BinaryIO) -> float | None:
    """From the film's header, which may stand before or behind the film."""
    end = stream.seek(0, 2)
    for name, start, stop in _boxes(stream, 0, end):
        if name != b"moov":
            continue
        for inner, at, _stop in _boxes(stream, start, stop):
            if inner == b"mvhd":
                stream.seek(at)
                head = stream.read(32)
                form = ">IQ" if head[0] == 1 else ">II"
                scale, length = struct.unpack_from(form, head, 20 if head[0] == 1 else 12)
                return length / scale if scale else None
    return None


def _boxes(stream: BinaryIO, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, and where the inside begins and stops, of each box."""
    for _number in range(MOST_BOXES):
        if at + 8 > end:
            return
        stream.seek(at)
        size, name = struct.unpack(">I4s", stream.read(8))
        inside = at + 8
        if size == 1:
            size, inside = struct.unpack(">Q", stream.read(8))[0], at + 16
        stop = end if size == 0 else at + size
        if stop <= inside:
            return
        yield name, inside, min(stop, end)
        at = stop
