"""When a loss has run away. Pure; standard library only."""

from __future__ import annotations

from collections import deque

WINDOW = 20
"""Steps whose mean is looked at, so that one bad batch ends nothing."""
FACTOR = 3.0
MARGIN = 1.0
"""In the loss's own unit (nats for most): losses near zero wander by large factors without meaning anything."""


class Divergence:
    """Fed with every loss in order; `found` once the mean of the last 20 is three times the lowest mean of 20 before it, at least
    1 above that, and worse than the first 20: worse than where training began.
    """

    def __init__(self) -> None:
        self.recent: deque[float] = deque(maxlen=WINDOW)
        self.first = self.lowest = self.mean = float("nan")
        self.found = False

    def add(self, loss: float) -> bool:
        self.recent.append(loss)
        if len(self.recent) < WINDOW:
            return False
        self.mean = sum(self.recent) / WINDOW
        if self.first != self.first:  # the first whole window
            self.first = self.lowest = self.mean
        self.lowest = min(self.lowest, self.mean)
        worse = max(self.first, FACTOR * self.lowest, self.lowest + MARGIN)
        self.found = self.found or self.mean > worse
        return self.found
