"""Addresses from the environment, read strictly: one clear sentence instead of a traceback."""

import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

# Before 3.51.3 several processes writing in WAL mode can, rarely, corrupt the file (the WAL-reset race).
SQLITE_WAL_IS_SAFE = sqlite3.sqlite_version_info >= (3, 51, 3)

# By default kombu tries for ever to reach a broker: a web request that nudges a worker would hang while it is down.
BRIEF_RETRIES = {"max_retries": 1, "interval_start": 0, "interval_step": 0.1, "interval_max": 0.1}


def database(url: str) -> dict[str, Any]:
    """Django's settings for `sqlite:////path` or `postgres://user:password@host:port/name`."""
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return _sqlite(Path(unquote(parts.path[1:] if parts.path.startswith("//") else parts.path)))
    if parts.scheme in ("postgres", "postgresql"):
        return _postgresql(url)
    raise ImproperlyConfigured(
        f"DATABASE_URL starts with {parts.scheme or 'nothing'!r}. Use postgres://user:password@host:5432/name or sqlite:////path."
    )


def _sqlite(path: Path) -> dict[str, Any]:
    journal = "WAL" if SQLITE_WAL_IS_SAFE else "TRUNCATE"
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(path),
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": f"PRAGMA journal_mode={journal}; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
        },
        # A file, not memory: the tests use threads and processes.
        "TEST": {"NAME": str(path.with_name("test-" + path.name))},
    }


def _postgresql(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    name = unquote(parts.path.lstrip("/"))
    try:
        port = parts.port
    except ValueError as error:
        raise ImproperlyConfigured(f"DATABASE_URL has a port that is no number: {error}.") from error
    if not name:
        raise ImproperlyConfigured(
            "DATABASE_URL names no database. Write it as postgres://user:password@host:5432/name."
        )
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(parts.hostname or ""),
        "PORT": str(port or ""),
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        # Bound on the server and prepared after the second use: half the database's CPU on the queue's hot statement.
        "OPTIONS": {"server_side_binding": True, "prepare_threshold": 2, "connect_timeout": 5},
    }


def broker_transport_options(url: str, folder: Path) -> dict[str, Any]:
    """Options of the Celery transport. The file broker needs folders of its own and a quicker look than its default second."""
    scheme = urlsplit(url).scheme
    if scheme == "filesystem":
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return {
            "data_folder_in": str(folder),
            "data_folder_out": str(folder),
            "control_folder": str(folder / "control"),
            "polling_interval": 0.1,
        }
    if scheme in ("redis", "rediss"):
        return {**BRIEF_RETRIES, "socket_connect_timeout": 3}
    if scheme in ("amqp", "amqps", "memory"):
        return dict(BRIEF_RETRIES)
    raise ImproperlyConfigured(f"BROKER_URL starts with {scheme!r}. Use redis://, amqp:// or filesystem://.")
