"""What can go wrong with a job, and who must act."""

from jobs.data import Failure


class JobError(Exception):
    """Raised by a kind's `prepare`, `run` or `finish`: ends the attempt with these words instead of a traceback's."""

    def __init__(self, code: str, message: str, *, hint: str = "", retryable: bool = False) -> None:
        super().__init__(message)
        self.failure = Failure(code, message, hint, retryable)


class LeaseLost(Exception):
    """Another process holds the job now. Whoever sees this stops at once and touches nothing more."""


class UnknownKind(LookupError):
    """No floor registered this kind in this process."""
