"""Rows read by SQL of our own, as model instances: for the few reads that every request of the hot path makes.

Building a query with the ORM costs several times what running it does; these are built once.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Generic, TypeVar

from django.db import connection, models

M = TypeVar("M", bound=models.Model)
Convert = Callable[[Any, Any, Any], Any]


class Shape(Generic[M]):
    """Some columns of a table under an alias, and how to make a model instance of them. Other fields are deferred."""

    def __init__(self, model: type[M], alias: str, *names: str) -> None:
        self.model, self.alias = model, alias
        chosen = [field for field in model._meta.concrete_fields if not names or field.attname in names]
        missing = set(names) - {field.attname for field in chosen}
        if missing:
            raise ValueError(f"{model.__name__} has no column {sorted(missing)[0]}")
        self.fields = chosen

    @property
    def columns(self) -> str:
        return ", ".join(f'{self.alias}."{field.column}"' for field in self.fields)

    @cached_property
    def _names(self) -> list[str]:
        return [field.attname for field in self.fields]

    @cached_property
    def _converted(self) -> list[tuple[int, Any, list[Convert]]]:
        """Which columns the database hands over in another form than Python's: dates in SQLite, JSON everywhere."""
        found = []
        for place, field in enumerate(self.fields):
            column = field.get_col(self.alias)
            converters = [*connection.ops.get_db_converters(column), *column.get_db_converters(connection)]
            if converters:
                found.append((place, column, converters))
        return found

    def read(self, row: Sequence[Any], start: int = 0) -> M | None:
        """The instance in `row` from column `start` on; None where an outer join found nothing."""
        values = list(row[start : start + len(self.fields)])
        if values[0] is None:
            return None
        for place, column, converters in self._converted:
            for convert in converters:
                values[place] = convert(values[place], column, connection)
        return self.model.from_db("default", self._names, values)


def first(sql: str, values: Sequence[Any]) -> Sequence[Any] | None:
    """The first row of a query, or None."""
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        row: Sequence[Any] | None = cursor.fetchone()
        return row
