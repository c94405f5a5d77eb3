"""The one clock. Tests move it; nothing else asks the operating system for the date."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

_read: Callable[[], datetime] = lambda: datetime.now(UTC)  # noqa: E731


def now() -> datetime:
    """The present moment, aware, in UTC."""
    return _read()


class StoppedClock:
    """Stands still until moved."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def advance(self, **duration: float) -> None:
        self.at += timedelta(**duration)


@contextmanager
def stopped(at: datetime | None = None) -> Iterator[StoppedClock]:
    global _read
    before, clock = _read, StoppedClock(at or datetime.now(UTC))
    _read = clock
    try:
        yield clock
    finally:
        _read = before
