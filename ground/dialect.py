"""What PostgreSQL and SQLite say differently, for migrations and services. The hot statements are in annotation/dialect.py."""

from collections.abc import Sequence
from typing import Any

from django.db import connection
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation


def is_postgresql() -> bool:
    return connection.vendor == "postgresql"


def trust_connection() -> None:
    """Spare this request the question whether its connection still stands: a round trip of its own.

    For a statement that comes first and may be tried again. When it fails, `drop_broken_connection`.
    """
    connection.health_check_done = True  # type: ignore[attr-defined]  # the stubs lack it


def drop_broken_connection() -> None:
    """After an OperationalError outside a transaction: the next statement has a connection that works."""
    connection.close_if_unusable_or_obsolete()


class RunDialectSQL(Operation):
    """A migration step written once for each database. Statements are separate strings; an empty list means nothing to do."""

    reversible = True

    def __init__(
        self,
        *,
        postgresql: Sequence[str],
        sqlite: Sequence[str],
        undo_postgresql: Sequence[str] = (),
        undo_sqlite: Sequence[str] = (),
    ) -> None:
        self.postgresql = list(postgresql)
        self.sqlite = list(sqlite)
        self.undo_postgresql = list(undo_postgresql)
        self.undo_sqlite = list(undo_sqlite)

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Django's model state knows nothing of triggers and sequences."""

    def database_forwards(self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, *states: Any) -> None:
        self._run(schema_editor, self.postgresql, self.sqlite)

    def database_backwards(self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, *states: Any) -> None:
        self._run(schema_editor, self.undo_postgresql, self.undo_sqlite)

    def describe(self) -> str:
        return "SQL in the database's own dialect"

    @staticmethod
    def _run(editor: BaseDatabaseSchemaEditor, postgresql: list[str], sqlite: list[str]) -> None:
        with editor.connection.cursor() as cursor:
            for statement in {"postgresql": postgresql, "sqlite": sqlite}[editor.connection.vendor]:
                cursor.execute(statement)


def immutable(table: str) -> RunDialectSQL:
    """A trigger that refuses UPDATE: a name, once given, never means something else."""
    function, trigger = f"{table}_refuse_update", f"{table}_is_immutable"
    complaint = f"{table} is immutable: write a new row instead"
    return RunDialectSQL(
        postgresql=[
            f"CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{complaint}' USING ERRCODE = 'integrity_constraint_violation'; END $$",
            f"CREATE TRIGGER {trigger} BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION {function}()",
        ],
        sqlite=[
            f"CREATE TRIGGER {trigger} BEFORE UPDATE ON {table} BEGIN SELECT RAISE(ABORT, '{complaint}'); END",
        ],
        undo_postgresql=[f"DROP TRIGGER {trigger} ON {table}", f"DROP FUNCTION {function}()"],
        undo_sqlite=[f"DROP TRIGGER {trigger}"],
    )
