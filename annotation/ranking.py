"""From a value to a place in a lane: numbers that sort as the values do. Pure."""

import hashlib
import struct
import unicodedata
from datetime import UTC, datetime
from typing import Any

LAST = 2**32 - 1

# Dates: each second of 2000 to 2068 has a number of its own; before and after them a number stands for a minute or four.
_FIRST = datetime(1, 1, 1, tzinfo=UTC).timestamp()
_FINE = datetime(2000, 1, 1, tzinfo=UTC).timestamp()
_FINE_SECONDS = 2**31
_QUARTER = 2**30
_END = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()

_LETTERS = 40
_FIRST_LETTERS = 6


def rank_of(value: Any) -> int:
    """0 to 2**32 - 2, greater values greater: numbers by their float32 bits (seven digits), ISO dates by their second,
    other texts by their first six letters.

    What is none of these (None, a list) ranks last whatever the direction: see `place`.
    """
    if isinstance(value, bool):
        value = int(value)
    if isinstance(value, int | float):
        return _of_number(value)
    if isinstance(value, str):
        moment = _as_date(value)
        return _of_text(value) if moment is None else _of_date(moment)
    return LAST


def _of_number(value: float) -> int:
    """IEEE 754 bits sort like the numbers once negative ones are turned round."""
    if value != value:
        return LAST
    try:
        [bits] = struct.unpack(">I", struct.pack(">f", value))
    except (OverflowError, struct.error):
        bits = 0x7F800000 if value > 0 else 0xFF800000
    return bits ^ 0xFFFFFFFF if bits & 0x80000000 else bits | 0x80000000


def _as_date(value: str) -> float | None:
    """Seconds since 1970 of an ISO date; without a time zone it is taken as UTC, on every server alike."""
    try:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _of_date(seconds: float) -> int:
    if seconds < _FINE:
        return int((max(seconds, _FIRST) - _FIRST) / (_FINE - _FIRST) * (_QUARTER - 1))
    if seconds < _FINE + _FINE_SECONDS:
        return _QUARTER + int(seconds - _FINE)
    late = (min(seconds, _END) - _FINE - _FINE_SECONDS) / (_END - _FINE - _FINE_SECONDS)
    return _QUARTER + _FINE_SECONDS + int(late * (_QUARTER - 2))


def _of_text(value: str) -> int:
    """Case and accents aside. A text that begins in another script comes after Latin ones, by its first letter."""
    plain = unicodedata.normalize("NFKD", value[:64]).casefold()
    letters = [letter for letter in plain if not unicodedata.combining(letter)]
    if letters and letters[0] > "\x7f":
        return _LETTERS**_FIRST_LETTERS - _LETTERS ** (_FIRST_LETTERS - 1) + ord(letters[0]) * 128
    codes = [_code(letter) for letter in letters[:_FIRST_LETTERS]]
    rank = 0
    for code in codes + [0] * (_FIRST_LETTERS - len(codes)):
        rank = rank * _LETTERS + code
    return rank


def _code(letter: str) -> int:
    """1 what sorts before digits, 2 to 11 digits, 12 what lies between, 13 to 38 letters, 39 the rest; 0 is the end."""
    if "0" <= letter <= "9":
        return 2 + ord(letter) - ord("0")
    if "a" <= letter <= "z":
        return 13 + ord(letter) - ord("a")
    return 1 if letter < "0" else 12 if letter < "a" else 39


def place(value: Any, *, descending: bool, opening: int) -> int:
    """A sequence number (0 to 2**63 - 1) that sorts by value, and among equal values by arrival; no value comes last."""
    rank = rank_of(value)
    if descending and rank != LAST:
        rank = LAST - 1 - rank
    return (rank << 31) | (opening & 0x7FFFFFFF)


def opening_of(seq: int) -> int:
    """The arrival that `place` and `shuffled` keep in their lower half."""
    return seq & 0x7FFFFFFF


def shuffled(opening: int) -> int:
    """A sequence number that sorts at random, the same for the same opening."""
    drawn = hashlib.blake2b(opening.to_bytes(8, "big"), digest_size=4, key=b"queue order").digest()
    return (int.from_bytes(drawn, "big") << 31) | (opening & 0x7FFFFFFF)
