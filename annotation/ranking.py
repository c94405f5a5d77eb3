"""From a value to a place in a lane: numbers that sort as the values do. Pure."""

import hashlib
import struct
from datetime import datetime
from typing import Any

LAST = 2**32 - 1


def rank_of(value: Any) -> int:
    """0 to 2**32 - 2, greater values greater: numbers by their float32 bits, dates by their time, texts by their first letters.

    What is none of these (None, a list) ranks last whatever the direction: see `place`.
    """
    if isinstance(value, bool):
        value = int(value)
    if isinstance(value, (int, float)):
        return _of_number(float(value))
    if isinstance(value, str):
        return _of_text(value)
    return LAST


def _of_number(value: float) -> int:
    """IEEE 754 bits sort like the numbers once negative ones are turned round."""
    if value != value:
        return LAST
    try:
        [bits] = struct.unpack(">I", struct.pack(">f", value))
    except OverflowError:
        bits = 0x7F800000 if value > 0 else 0xFF800000
    return bits ^ 0xFFFFFFFF if bits & 0x80000000 else bits | 0x80000000


def _of_text(value: str) -> int:
    try:
        return _of_number(datetime.fromisoformat(value).timestamp())
    except ValueError:
        return min(int.from_bytes(value.casefold().encode("utf-8", "replace")[:4].ljust(4, b"\0"), "big"), LAST - 1)


def place(value: Any, *, descending: bool, opening: int) -> int:
    """A sequence number (0 to 2**63 - 1) that sorts by value, and among equal values by arrival; no value comes last."""
    rank = rank_of(value)
    if descending and rank != LAST:
        rank = LAST - 1 - rank
    return (rank << 31) | (opening & 0x7FFFFFFF)


def shuffled(opening: int) -> int:
    """A sequence number that sorts at random, the same for the same opening."""
    drawn = hashlib.blake2b(opening.to_bytes(8, "big"), digest_size=4, key=b"queue order").digest()
    return (int.from_bytes(drawn, "big") << 31) | (opening & 0x7FFFFFFF)
