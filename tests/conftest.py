"""The cast and the ground that every test stands on."""

import fnmatch
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real human-feedback data; the tests that read it skip where it is missing."""
    folder = Path(os.environ.get("PLUMBLINE_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("shared data is missing; set PLUMBLINE_SHARED_DATA")
    return folder


@dataclass
class Cast:
    """Alice owns, Mona manages, Carol reviews, Bob annotates; Mallory is outside."""

    project: Any
    alice: Any
    mona: Any
    carol: Any
    bob: Any
    mallory: Any


@pytest.fixture(autouse=True)
def forget_schemas() -> None:
    """Keys come back when a test is rolled back; what a process knows of an immutable row must not outlive it."""
    from django.apps import apps

    if apps.ready:
        from annotation import handed
        from annotation.models import Schema
        from annotation.services import gold, sensitive

        Schema.known.cache_clear()
        gold._mixing.clear()
        sensitive._any.clear()
        handed.forget_all()


@pytest.fixture
def cast(db: None) -> Cast:
    from tests.factories import make_cast

    return make_cast()


@pytest.fixture
def project(cast: Cast) -> Any:
    return cast.project


@pytest.fixture
def api(cast: Cast) -> Callable[..., APIClient]:
    """`api(actor)`: a client that carries a token of that actor with every scope; `api(actor, "read")` only some."""
    from accounts.models import Scope
    from accounts.services import issue_token

    def client_for(actor: Any, *scopes: str) -> APIClient:
        _token, secret = issue_token(actor=actor, subject=actor, name="test", scopes=scopes or Scope.values)
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
        return client

    return client_for


@pytest.fixture
def stopped_clock() -> Iterator[Any]:
    from ground import clock

    with clock.stopped() as moved:
        yield moved


@pytest.fixture(scope="session", autouse=True)
def quick_flush() -> None:
    """Empty the tables after a test that commits by deleting its few rows. TRUNCATE of every table costs PostgreSQL seconds.

    Foreign keys are deferred, so the order of the tables does not matter.
    """
    from django.db.backends.postgresql.operations import DatabaseOperations

    def deletes(operations: Any, style: Any, tables: list[str], **_: Any) -> list[str]:
        names = [operations.quote_name(table) for table in tables]
        # A request that comes late, as a closing page's, waits for the end instead of writing between two of the deletions.
        return [
            f"LOCK TABLE {', '.join(names)} IN SHARE ROW EXCLUSIVE MODE",
            *(f"DELETE FROM {name}" for name in names),
        ]

    DatabaseOperations.sql_flush = deletes  # type: ignore[method-assign]


def pytest_terminal_summary(terminalreporter: Any, exitstatus: int, config: pytest.Config) -> None:
    """In CI every skip is printed with its reason, and one that tests/allowed_skips.txt does not list is a failure."""
    if os.environ.get("PLUMBLINE_STRICT_SKIPS") != "1" or hasattr(config, "workerinput"):
        return
    unlisted = [line for line in _skips(terminalreporter) if not _is_allowed(line)]
    for line in unlisted:
        terminalreporter.write_line(f"SKIP NOT ALLOWED: {line}", red=True)
    if unlisted:
        terminalreporter.write_line("Run it, or list it in tests/allowed_skips.txt with its reason.")
        config.stash[UNLISTED] = True


UNLISTED = pytest.StashKey[bool]()


def _skips(reporter: Any) -> list[str]:
    return [f"{report.nodeid}: {report.longrepr[2]}" for report in reporter.stats.get("skipped", [])]


def _is_allowed(line: str) -> bool:
    rules = (ROOT / "tests" / "allowed_skips.txt").read_text().splitlines()
    return any(fnmatch.fnmatch(line, rule.strip()) for rule in rules if rule.strip() and not rule.startswith("#"))


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    if config.stash.get(UNLISTED, False):
        os._exit(1)
