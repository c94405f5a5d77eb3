"""URL parts."""


class PublicId:
    """A prefixed public id, so that `{id}:action` splits where it should."""

    regex = "[a-z]{3}_[0-9a-f]{1,40}(?:_[0-9]{1,2})?"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value
