"""Public identifiers: a noun's prefix and a UUIDv7, so that ids sort by time and say what they name."""

import os
import time
import uuid


def uuid7() -> uuid.UUID:
    """A time-ordered UUID (RFC 9562, section 5.7): 48 bits of Unix milliseconds, then 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    random_bits = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds & (1 << 48) - 1) << 80
    value |= 0x7 << 76 | (random_bits >> 68 & 0xFFF) << 64
    value |= 0b10 << 62 | random_bits & (1 << 62) - 1
    return uuid.UUID(int=value)


def new_public_id(prefix: str) -> str:
    return f"{prefix}_{uuid7().hex}"


def new_public_ids(prefix: str, count: int) -> list[str]:
    """`count` ids at once, in rising order: the 12 bits behind the version count up (RFC 9562, section 6.2, method 1)."""
    beginning = f"{prefix}_{time.time_ns() // 1_000_000 & (1 << 48) - 1:012x}7"
    noise = os.urandom(8 * count).hex()
    return [
        f"{beginning}{place & 0xFFF:03x}{'89ab'[int(noise[16 * place], 16) & 3]}{noise[16 * place + 1 : 16 * place + 16]}"
        for place in range(count)
    ]
