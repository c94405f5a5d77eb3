"""Addresses from the environment, read strictly: one clear sentence instead of a traceback."""

import ipaddress
import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

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


def origin(url: str) -> str:
    """`scheme://host:port` of a web address. Errors: ImproperlyConfigured for anything else."""
    parts = _web_parts(url, "PLUMBLINE_GATEWAY_PUBLIC_URL")
    if parts.scheme not in ("http", "https") or not parts.hostname or any(sign in parts.netloc for sign in " ;,@'\""):
        raise ImproperlyConfigured(f"PLUMBLINE_GATEWAY_PUBLIC_URL is {url!r}. Write it as https://gateway.example.org.")
    return f"{parts.scheme}://{parts.netloc}"


def tracking_server(url: str) -> str:
    """The address of MLflow without a slash at its end, empty as it came. Errors: ImproperlyConfigured."""
    parts = _web_parts(url, "PLUMBLINE_MLFLOW_URL")
    if parts.username is not None or parts.password is not None:
        raise ImproperlyConfigured(
            "PLUMBLINE_MLFLOW_URL carries a password, which pages would show. Give user:password as PLUMBLINE_MLFLOW_TOKEN."
        )
    fits = parts.scheme in ("http", "https") and parts.hostname and not parts.query and not parts.fragment
    if url and not (fits and len(url) <= 500 and url.isprintable() and " " not in url):
        raise ImproperlyConfigured(f"PLUMBLINE_MLFLOW_URL is {url!r}. Write it as https://mlflow.example.org.")
    return url.rstrip("/")


def _web_parts(url: str, name: str) -> SplitResult:
    """The parts of a setting's address, its host and port known to be readable. Errors: ImproperlyConfigured."""
    try:
        parts = urlsplit(url)
        _host, _port = parts.hostname, parts.port
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} is no web address: {error}.") from error
    return parts


def networks(texts: list[str]) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """`10.0.0.0/8` and single addresses. Errors: ImproperlyConfigured."""
    try:
        return [ipaddress.ip_network(text.strip()) for text in texts]
    except ValueError as error:
        raise ImproperlyConfigured(
            f"PLUMBLINE_WEBHOOK_NETWORKS: {error}. Write networks as 10.0.0.0/8, with commas between."
        ) from error


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
