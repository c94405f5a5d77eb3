"""Jobs of kinds that only tests have, and processes to run them."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def fake_kinds() -> None:
    from tests.jobs.fakes import register_fakes

    register_fakes()


@pytest.fixture
def make_job(cast: Any) -> Callable[..., Any]:
    """`make_job(steps=3)`: a queued fake run of Mona's."""
    from jobs.services import submit

    def make(kind: str = "fake-run", key: str = "", **spec: Any) -> Any:
        content = {"schema_version": 1, "steps": 3, **spec}
        return submit(actor=cast.mona, project=cast.project, kind=kind, spec=content, key=key)

    return make


@pytest.fixture
def fleet(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    from tests.jobs.processes import Fleet, process_environment

    for name, value in process_environment().items():  # what this process spawns itself inherits it
        monkeypatch.setenv(name, value)
    started = Fleet()
    yield started
    started.end()
