"""Long lists of keys, a few hundred at a time: no statement takes them all."""

from collections.abc import Iterator, Sequence
from typing import Any

CHUNK = 500


def chunks(keys: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (keys[start : start + CHUNK] for start in range(0, len(keys), CHUNK))
