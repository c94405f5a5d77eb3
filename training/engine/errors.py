"""Errors of a run, each with a hint that a person can follow.

Standard library only: Django reads these classes too.
"""

from __future__ import annotations

import errno

PEER_LOST_EXIT = 75  # EX_TEMPFAIL: another rank died; the run can be resumed, so no result is written


class EngineError(Exception):
    """A run cannot go on. `code` is stable, `hint` says what to do next."""

    def __init__(self, code: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint


class PeerLost(EngineError):
    """Another rank went away: not this run's own failure, so the supervisor resumes it."""

    def __init__(self, message: str) -> None:
        super().__init__("peer_lost", message, "Another process of this run ended. Resume the run.")


class Cancelled(Exception):
    """Raised between two units of work after `control/stop` appeared; `checkpoint` names where to resume."""

    def __init__(self, checkpoint: str | None = None) -> None:
        super().__init__("stopped on request")
        self.checkpoint = checkpoint


_PEER_SIGNS = (
    "connection reset by peer",
    "connection closed by peer",
    "gloo",
    "nccl",
    "broken pipe",
)
_MEMORY_SIGNS = ("can't allocate memory", "out of memory", "cannot allocate memory")
_DISK_SIGNS = ("no space left on device", "os error 28", "error 28")


def as_engine_error(error: BaseException) -> EngineError:
    """Name the failure by what a person has to do about it."""
    if isinstance(error, EngineError):
        return error
    text = str(error).lower()
    if isinstance(error, MemoryError) or any(sign in text for sign in _MEMORY_SIGNS):
        return EngineError(
            "out_of_memory",
            _first_line(error),
            "Lower batch_size, max_length or world_size.",
        )
    if getattr(error, "errno", None) == errno.ENOSPC or any(sign in text for sign in _DISK_SIGNS):
        return EngineError(
            "disk_full",
            _first_line(error),
            "Free space where the run directories live, then resume.",
        )
    if isinstance(error, FileNotFoundError):
        return EngineError("missing_file", _first_line(error), "Restore the file, then resume the run.")
    if isinstance(error, RuntimeError) and any(sign in text for sign in _PEER_SIGNS):
        return PeerLost(_first_line(error))
    return EngineError(
        "unexpected",
        _first_line(error),
        "The traceback is in the run's log. Report it with the run id.",
    )


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:400]}" if lines else type(error).__name__
