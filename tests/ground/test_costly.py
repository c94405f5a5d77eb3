"""What is cheap to count is counted each time; what is not, seldom, and it is said when."""

import pytest
from django.core.cache import cache

from ground import clock, costly


@pytest.fixture(autouse=True)
def nothing_known():
    cache.clear()
    yield
    cache.clear()


def test_a_cheap_count_is_always_fresh():
    asked = iter(range(9))
    assert [costly.counted("cheap", lambda: next(asked))[1] for _ in range(3)] == [0, 1, 2]


def test_a_costly_count_is_kept_for_twenty_times_what_it_took(monkeypatch, settings, stopped_clock):
    settings.CHEAP_COUNT_SECONDS = 0.1
    asked, kept = iter(range(9)), []
    took = iter([10.0, 13.0, 20.0, 420.0])  # before and after: 3 seconds, then 400
    monkeypatch.setattr(costly.time, "perf_counter", lambda: next(took))
    monkeypatch.setattr(costly.cache, "set", lambda key, value, seconds: kept.append((key, value, seconds)))
    assert costly.counted("dear", lambda: next(asked)) == (clock.now(), 0)
    assert costly.counted("dear", lambda: next(asked)) == (clock.now(), 1)
    assert [(key, seconds) for key, _value, seconds in kept] == [("dear", 60.0), ("dear", 300)]


def test_what_is_kept_tells_when_it_was_counted(monkeypatch, settings, stopped_clock):
    settings.CHEAP_COUNT_SECONDS = -1
    monkeypatch.setattr(costly, "SHARE", 1e-9)
    then = clock.now()
    asked = iter(range(9))
    costly.counted("dear", lambda: next(asked))
    stopped_clock.advance(seconds=30)
    assert costly.counted("dear", lambda: next(asked)) == (then, 0)
