"""Periodic duties: done once when due, and one that fails holds up no other."""

from typing import Any

import pytest

from jobs import ticks

pytestmark = [pytest.mark.store, pytest.mark.django_db]


@pytest.fixture
def duties(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Only the duties that the test registers."""
    monkeypatch.setattr(ticks, "_duties", {})
    return ticks.register_beat


def test_a_duty_is_done_once_until_it_is_due_again(duties: Any, stopped_clock: Any) -> None:
    done: list[str] = []
    duties("count", 60, lambda: done.append("x"))
    assert ticks.run_due() == ["count"]
    stopped_clock.advance(seconds=59)
    assert ticks.run_due() == []
    stopped_clock.advance(seconds=2)
    assert ticks.run_due() == ["count"]
    assert len(done) == 2


def test_a_failing_duty_holds_up_no_other(duties: Any) -> None:
    done: list[str] = []
    duties("broken", 1, lambda: 1 / 0)
    duties("sound", 1, lambda: done.append("x"))
    assert ticks.run_due() == ["sound"]
    assert done == ["x"]


def test_every_floors_duties_are_registered() -> None:
    assert {"jobs.nudge", "jobs.reap", "jobs.devices", "accounts.seal"} <= set(ticks._duties)
