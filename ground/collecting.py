"""When Python's cyclic garbage collector looks, and at what."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

SELDOM = (100_000, 50, 100)


def settle() -> None:
    """What is here by now stays for good: the collector looks at it no more, and copies none of its pages into forked processes."""
    gc.collect()
    gc.freeze()


@contextmanager
def seldom_collected() -> Iterator[None]:
    """For work that makes objects by the hundred thousand and no cycles of them: looking for some takes a third of its time."""
    before = gc.get_threshold()
    gc.set_threshold(*SELDOM)
    try:
        yield
    finally:
        gc.set_threshold(*before)
