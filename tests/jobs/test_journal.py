"""events.jsonl becomes rows once, whatever the file went through."""

import json
from pathlib import Path
from typing import Any

import pytest

from jobs.journal import Journal
from jobs.models import Job, JobEvent
from jobs.selectors import events_of, metric_series

pytestmark = [pytest.mark.store, pytest.mark.django_db]


def line(seq: int, kind: str = "metric", **data: Any) -> str:
    return json.dumps({"seq": seq, "at": "2026-01-01T00:00:00Z", "kind": kind, "data": data}) + "\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


@pytest.fixture
def journal(make_job: Any, path: Path) -> Journal:
    return Journal(make_job(), path)


def read(journal: Journal) -> None:
    journal.store(*journal.lines())


def stored(job: Job) -> list[tuple[int, int | None]]:
    return [(event.seq, event.step) for event in events_of(job)]


def test_lines_become_rows_as_they_come(journal: Journal, path: Path) -> None:
    path.write_text(line(1, step=1))
    read(journal)
    with path.open("a") as stream:
        stream.write(line(2, step=2))
    read(journal)
    assert stored(journal.job) == [(1, 1), (2, 2)]


def test_a_torn_last_line_waits_for_its_rest(journal: Journal, path: Path) -> None:
    whole = line(2, step=2)
    path.write_text(line(1, step=1) + whole[:20])
    read(journal)
    assert stored(journal.job) == [(1, 1)]
    path.write_text(line(1, step=1) + whole)
    read(journal)
    assert stored(journal.job) == [(1, 1), (2, 2)]


def test_a_second_reader_stores_nothing_twice(journal: Journal, path: Path) -> None:
    path.write_text(line(1, step=1) + line(2, step=2))
    read(journal)
    read(Journal(journal.job, path))
    assert JobEvent.objects.count() == 2


def test_a_number_used_again_after_a_resume_names_the_later_line(journal: Journal, path: Path) -> None:
    """The machine crashed and the file lost line 2; the resumed run wrote another line 2."""
    path.write_text(line(1, step=1) + line(2, step=2, loss=0.9))
    read(journal)
    path.write_text(line(1, step=1) + line(2, "phase", name="resumed", step=0) + line(3, step=1))
    read(Journal(journal.job, path))
    assert [(event.seq, event.kind) for event in events_of(journal.job)] == [(1, "metric"), (2, "phase"), (3, "metric")]


def test_a_line_that_is_no_event_is_passed_over(journal: Journal, path: Path) -> None:
    path.write_text(line(1, step=1) + '{"seq": 2, "ki\n[]\n{"seq": "x", "kind": "metric"}\n' + line(3, step=3))
    read(journal)
    assert stored(journal.job) == [(1, 1), (3, 3)]


def test_text_that_a_database_refuses_is_cleaned(journal: Journal, path: Path) -> None:
    path.write_text(line(1, "sample", text="a\x00b\ud800"))
    read(journal)
    assert events_of(journal.job).get().data["text"] == "ab?"


def test_heartbeats_are_no_rows_but_show_in_progress(journal: Journal, path: Path) -> None:
    path.write_text(line(1, "phase", name="training", step=0, steps=9) + line(2, "heartbeat", peak_rss_mb=512.5))
    read(journal)
    assert stored(journal.job) == [(1, 0)]
    assert journal.progress == {"phase": "training", "step": 0, "steps": 9, "peak_rss_mb": 512.5}


def test_a_curve_leaves_out_steps_that_were_run_again(journal: Journal, path: Path) -> None:
    """Steps 1 to 3, back to 1, then 2 and 3 anew: the first account of 2 and 3 is dropped."""
    first = [line(step, step=step, loss=1.0 * step) for step in (1, 2, 3)]
    again = [line(step + 3, step=step, loss=10.0 * step) for step in (2, 3)]
    path.write_text("".join([*first, line(4, "phase", name="resumed", step=1), *again]))
    read(journal)
    assert metric_series(journal.job, ["loss"]) == {"loss": [(1, 1.0), (2, 20.0), (3, 30.0)]}


def test_a_metric_that_is_missing_or_null_leaves_a_gap(journal: Journal, path: Path) -> None:
    path.write_text(line(1, step=1, loss=1.0) + line(2, step=2, loss=None) + line(3, step=3, other=1.0))
    read(journal)
    assert metric_series(journal.job, ["loss", "other"]) == {"loss": [(1, 1.0)], "other": [(3, 1.0)]}
