"""Errors of a run, each with a hint that a person can follow.

Standard library only: Django reads these classes too.
"""

from __future__ import annotations

import errno

PEER_LOST_EXIT = 75  # EX_TEMPFAIL: another rank died; the run can be resumed, so no result is written


class EngineError(Exception):
    """A run cannot go on. `code` is stable, `hint` says what to do next, `retry` that another attempt will do better."""

    def __init__(self, code: str, message: str, hint: str, *, retry: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.retry = retry


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
            f"There was not enough memory ({_first_line(error)}).",
            "Start it again with a lower max_length, with LoRA (lora_r), activation_checkpointing or a higher zero_stage, or on a"
            " larger machine. Going on meets the same limit.",
        )
    if getattr(error, "errno", None) == errno.ENOSPC or any(sign in text for sign in _DISK_SIGNS):
        return disk_full(error)
    if isinstance(error, FileNotFoundError):
        return EngineError("missing_file", _first_line(error), "Restore the file, then resume the run.")
    if isinstance(error, RuntimeError) and any(sign in text for sign in _PEER_SIGNS):
        return PeerLost(_first_line(error))
    return EngineError(
        "unexpected",
        _first_line(error),
        "The traceback is in the run's log. Report it with the run id.",
    )


def disk_full(error: BaseException) -> EngineError:
    hint = "Free space on the disk that holds the run directories, then let it go on: it does so from its newest checkpoint."
    return EngineError("disk_full", f"The disk is full ({_first_line(error)}).", hint)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:400]}" if lines else type(error).__name__
