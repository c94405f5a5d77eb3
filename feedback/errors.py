"""What can go wrong between an application and its feedback."""

from ground.errors import DomainError


class TooLarge(DomainError):
    """The body is longer than one request may be."""

    code = "too_large"
    status = 413
