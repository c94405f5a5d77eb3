"""How much work a call is, told in works of another call in the same run, so that a slow machine changes nothing."""

import time
from collections.abc import Callable
from functools import cache

from ground.rendering import render_markdown

_SENTENCE = "A sentence with *some* stress, a [link](https://example.org) and `code` in it.\n\n"


def effort(act: Callable[[], object], *, repeat: int = 1) -> float:
    """Seconds of this thread's processor: the least of `repeat` calls."""
    seconds = []
    for _ in range(repeat):
        started = time.thread_time()
        act()
        seconds.append(time.thread_time() - started)
    return min(seconds)


@cache
def effort_of_prose() -> float:
    """What thirty thousand characters of ordinary prose cost: about 0.1 s. Each time another text, as texts are remembered."""
    texts = iter(f"{n} {_SENTENCE * 370}" for n in range(3))
    return effort(lambda: render_markdown(next(texts)), repeat=3)
