"""Model fields that every floor uses."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db import models

from ground.ids import new_public_id


class PublicIdField(models.CharField):
    """A prefixed UUIDv7, made once, unique, shown in URLs and the API."""

    def __init__(self, *, prefix: str = "", **options: Any) -> None:
        self.prefix = prefix
        options = {"max_length": 40, "unique": True, "editable": False, **options}
        if prefix:
            options["default"] = functools.partial(new_public_id, prefix)
        super().__init__(**options)


class VersionedJSONField(models.JSONField):
    """A JSON object that carries `schema_version`; `check` is a pure validator that raises ValueError with the path."""

    def __init__(self, *, check: Callable[[dict[str, Any]], object] | None = None, **options: Any) -> None:
        self.check_value = check
        super().__init__(**options)

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        value = super().pre_save(model_instance, add)
        self.validate_content(value)
        return value

    def validate_content(self, value: Any) -> None:
        if not isinstance(value, dict) or not isinstance(value.get("schema_version"), int):
            raise ValidationError(f"{self.name}: needs an object with an integer schema_version")
        if self.check_value is not None:
            try:
                self.check_value(value)
            except ValueError as error:
                raise ValidationError(f"{self.name}: {error}") from error


def _keyring() -> MultiFernet:
    keys: Sequence[str] = settings.PLUMBLINE_FIELD_KEYS
    if not keys:
        raise ImproperlyConfigured("PLUMBLINE_FIELD_KEYS is empty. Give one or more Fernet keys, newest first.")
    return MultiFernet([Fernet(key) for key in keys])


class EncryptedTextField(models.TextField):
    """Text that rests encrypted (Fernet). The first key writes, every key reads: rotate by putting a new one in front."""

    def get_prep_value(self, value: Any) -> Any:
        value = super().get_prep_value(value)
        return value if value in (None, "") else _keyring().encrypt(value.encode()).decode()

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        if value in (None, ""):
            return value
        try:
            return _keyring().decrypt(value.encode()).decode()
        except InvalidToken as error:
            raise ImproperlyConfigured(
                f"{self.model.__name__}.{self.name} was encrypted with a key that PLUMBLINE_FIELD_KEYS no longer lists."
            ) from error
