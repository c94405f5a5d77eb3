"""`events.jsonl`: what a run says while it works. Only rank 0 writes; rows are appended, never changed."""

from __future__ import annotations

import json
import math
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from training.engine.files import drop_torn_tail, json_line

KINDS = ("phase", "metric", "sample", "warning", "heartbeat", "checkpoint")
HEARTBEAT_SECONDS = 2.0


class EventLog:
    """Append-only log, safe from several threads. After a resume the sequence goes on where it was.

    A reader that draws curves drops `metric` rows whose step exceeds the `step` of a later
    `phase` row named `resumed`: those steps are run again.
    """

    def __init__(self, path: Path | None) -> None:
        """With `path` None (ranks other than 0) every call does nothing."""
        self._lock = threading.Lock()
        self._stream: TextIO | None = None
        self._next = 1
        if path is not None:
            drop_torn_tail(path)
            self._next = _last_sequence(path) + 1
            self._stream = path.open("a", encoding="utf-8", buffering=1)

    def emit(self, kind: str, /, **data: Any) -> None:
        with self._lock:
            if self._stream is None:
                return
            at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            self._stream.write(json_line({"seq": self._next, "at": at, "kind": kind, "data": finite(data)}))
            self._next += 1

    def phase(self, name: str, /, **data: Any) -> None:
        self.emit("phase", name=name, **data)

    def doing(self, name: str) -> None:
        """Before anything between two steps that may take longer than a step: it is no silence. Nobody keeps this line."""
        self.emit("heartbeat", doing=name)

    def close(self) -> None:
        with self._lock:
            if self._stream is not None:
                self._stream.close()
                self._stream = None

    @contextmanager
    def heartbeat(self) -> Iterator[None]:
        """Emit a heartbeat every two seconds from a thread until the block ends."""
        done = threading.Event()
        thread = threading.Thread(target=self._beat, args=(done,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join(timeout=HEARTBEAT_SECONDS)

    def _beat(self, done: threading.Event) -> None:
        while True:
            with suppress(OSError):  # a full disk is the run's to report; the beat goes on when there is room again
                self.emit("heartbeat", peak_rss_mb=peak_rss_mb())
            if done.wait(HEARTBEAT_SECONDS):
                return


def peak_rss_mb() -> float:
    """Highest resident memory of this process so far, in MiB (Linux counts in KiB)."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def finite(value: Any) -> Any:
    """JSON has no NaN or infinity: such numbers become null, at any depth."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def _last_sequence(path: Path) -> int:
    if not path.exists():
        return 0
    last = ""
    with path.open(encoding="utf-8") as stream:
        for line in stream:
            last = line
    return int(json.loads(last)["seq"]) if last else 0
