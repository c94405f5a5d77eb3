"""The most memory that all processes of the demo held at one time."""

import os
import threading
from pathlib import Path

import psutil

from jobs.keeper import of_var

EVERY_SECONDS = 2.0


class MemoryWatch:
    """Samples in a thread. Proportional set size where the system knows it: shared pages count once, not per process."""

    def __init__(self, var: Path, over: threading.Event) -> None:
        self.var, self.over, self.peak = var, over, 0
        threading.Thread(target=self._run, daemon=True).start()

    @property
    def peak_mb(self) -> int:
        return round(self.peak / 1024**2)

    def _run(self) -> None:
        while not self.over.wait(EVERY_SECONDS):
            self.peak = max(
                self.peak, sum(_bytes(process) for process in [psutil.Process(os.getpid()), *of_var(self.var)])
            )


def _bytes(process: psutil.Process) -> int:
    try:
        full = process.memory_full_info()
        return int(getattr(full, "pss", full.rss))
    except (psutil.Error, OSError):
        return 0
