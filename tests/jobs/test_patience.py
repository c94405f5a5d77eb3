"""How long a run may be silent, from what it did so far."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobs.patience import Patience

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def line(kind: str, second: float = 0, **data: Any) -> dict[str, Any]:
    return {"kind": kind, "at": (BEGAN + timedelta(seconds=second)).isoformat(), "data": data}


def after(*rows: dict[str, Any]) -> Patience:
    patience = Patience(flat=600, floor=120)
    for row in rows:
        patience.heed(row)
    return patience


def steps(*seconds: float) -> list[dict[str, Any]]:
    """Metrics of steps that took so long each, after the first."""
    ends = [sum(seconds[:number]) for number in range(len(seconds) + 1)]
    return [line("metric", end, step=number, loss=1.0) for number, end in enumerate(ends, 1)]


def test_quick_steps_are_given_the_floor() -> None:
    assert after(*steps(1, 2, 1)).seconds == 120


def test_slow_steps_are_given_ten_of_the_longest() -> None:
    """10 × 200 s: more than the flat limit, which would end such a run for nothing."""
    assert after(*steps(100, 200, 90)).seconds == 2000


def test_two_steps_are_no_measure_yet() -> None:
    assert after(*steps(1, 1)).seconds == 600


@pytest.mark.parametrize(
    "row",
    [line("phase", 9, name="exporting"), line("heartbeat", 9, doing="saving"), line("heartbeat", 9, pending=True)],
)
def test_what_announces_itself_is_given_the_flat_limit_and_measures_nothing(row: dict[str, Any]) -> None:
    patience = after(*steps(1, 1, 1), row)
    assert patience.seconds == 600
    patience.heed(line("checkpoint", 300, step=4))
    assert patience.seconds == 120, "a rank may be stopped right after a checkpoint"
    patience.heed(line("metric", 400, step=5, loss=1.0))
    assert (patience.seconds, patience.longest) == (120, 1)


def test_texts_and_second_metrics_of_a_step_are_parts_of_it() -> None:
    rows = [line("sample", 3.5, step=4), line("metric", 3.6, step=4, eval_loss=1.0), line("metric", 5, step=5)]
    patience = after(*steps(1, 1, 1), *rows)
    assert (patience.longest, patience.steps) == (2, 4)


def test_a_pause_of_the_machine_counts_for_no_more_than_was_allowed() -> None:
    """Eight hours asleep, then 10 × 120 s."""
    assert after(*steps(1, 1, 1, 8 * 3600)).seconds == 1200


def test_a_heartbeat_alone_is_no_progress() -> None:
    patience = Patience(flat=600, floor=120)
    assert not patience.heed(line("heartbeat", peak_rss_mb=3.0))
    assert all(
        patience.heed(row) for row in (line("heartbeat", doing="saving"), line("sample"), line("metric", step=1))
    )


def test_a_shorter_flat_limit_is_the_shorter_floor() -> None:
    patience = Patience(flat=5, floor=120)
    for row in steps(0.1, 0.1, 0.1):
        patience.heed(row)
    assert patience.seconds == 5


def test_lines_without_a_moment_measure_nothing() -> None:
    assert after(*[{**row, "at": None} for row in steps(1, 1, 1, 1)]).seconds == 600
