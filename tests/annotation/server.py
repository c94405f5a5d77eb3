"""The PostgreSQL server under test, seen from outside Django."""

import psycopg
from django.db import connection


def from_outside() -> psycopg.Connection:
    """A connection of its own to the test's database."""
    wanted = ("host", "port", "dbname", "user", "password")
    given = {name: value for name, value in connection.get_connection_params().items() if name in wanted}
    return psycopg.connect(**given, autocommit=True)


def end_connection() -> None:
    """What a restart of the server does to the connection of this thread."""
    connection.ensure_connection()
    with from_outside() as other:
        other.execute("SELECT pg_terminate_backend(%s)", [connection.connection.info.backend_pid])


def connections() -> int:
    """To the test's database, besides the one that asks."""
    with from_outside() as other:
        asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        return other.execute(asked).fetchone()[0]
