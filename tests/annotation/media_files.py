"""Small files of every kind, made here."""

import io
import struct
import wave
import zlib


def png(across: int = 40, down: int = 30, grey: int = 128) -> bytes:
    def chunk(name: bytes, inside: bytes) -> bytes:
        return struct.pack(">I", len(inside)) + name + inside + struct.pack(">I", zlib.crc32(name + inside))

    head = struct.pack(">IIBBBBB", across, down, 8, 0, 0, 0, 0)
    rows = b"".join(b"\0" + bytes([grey]) * across for _row in range(down))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def wav(seconds: float = 2.0, rate: int = 8000) -> bytes:
    made = io.BytesIO()
    with wave.open(made, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(1)
        out.setframerate(rate)
        out.writeframes(b"\x80" * int(seconds * rate))
    return made.getvalue()


def box(name: bytes, inside: bytes) -> bytes:
    return struct.pack(">I", 8 + len(inside)) + name + inside


def mp4(brand: bytes = b"isom", seconds: int = 7) -> bytes:
    head = box(b"mvhd", struct.pack(">IIIII", 0, 0, 0, 600, 600 * seconds) + bytes(80))
    return box(b"ftyp", brand + bytes(4) + brand) + box(b"mdat", bytes(100)) + box(b"moov", head)


JPEG = (
    b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00\xff\xc0\x00\x11\x08\x00\x14\x00\x1e\x03"
    + bytes(20)
)
GIF = b"GIF89a" + struct.pack("<HH", 5, 6) + bytes(20)
WEBP = b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0" + bytes(4) + b"\x63\0\0\x31\0\0" + bytes(10)
AVIF = box(b"ftyp", b"avif" + bytes(4) + b"avifmif1") + box(b"meta", box(b"ispe", struct.pack(">III", 0, 64, 48)))
MP3 = b"\xff\xfb\x90\x64" + bytes(400)
FLAC = b"fLaC\0\0\0\x22" + bytes(10) + ((44100 << 44) | (7 << 36) | 88200).to_bytes(8, "big") + bytes(20)
OGG = b"OggS" + bytes(60)
WEBM = b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\xf7\x81\x01B\xf2\x81\x04B\xf3\x81\x08B\x82\x84webm" + bytes(60)
VTT = b"WEBVTT\n\n00:00.000 --> 00:01.000\nHello\n"
