"""Domain errors. Each says what happened, where, and how to mend it; the edges turn them into problem+json or a page."""

from typing import Any


class DomainError(Exception):
    """Base of every error a client can cause. `code` is stable; `status` is the HTTP status at the edge."""

    code = "invalid"
    status = 400

    def __init__(self, detail: str, *, hint: str = "", **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.hint = hint
        self.extra = extra

    @property
    def told(self) -> str:
        """What happened and how to mend it, for a person."""
        return f"{self.detail} {self.hint}".strip()


class Invalid(DomainError):
    code = "invalid"
    status = 422


class NotFound(DomainError):
    code = "not_found"
    status = 404


class Forbidden(DomainError):
    code = "forbidden"
    status = 403


class Conflict(DomainError):
    code = "conflict"
    status = 409


class Gone(DomainError):
    code = "gone"
    status = 410
