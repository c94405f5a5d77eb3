"""What a page of the browser reads, and what an import keeps others waiting for, on PostgreSQL."""

import threading
import time

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from annotation import browsing
from annotation.browsing import Browser, check_query
from annotation.models import Slot, Task
from annotation.services import importing, slots
from jobs.models import Job
from tests.annotation.test_browsing import make  # noqa: F401 - a fixture
from tests.annotation.test_import import folder, line, report, run, start  # noqa: F401 - fixtures

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif("connection.vendor != 'postgresql'", reason="EXPLAIN and locks of PostgreSQL"),
]


def rows_read(plan):
    """Rows the plan's scans read, loops counted, those they filtered away included."""
    own = 0
    if "Scan" in plan["Node Type"]:
        own = (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"]
    return own + sum(rows_read(inner) for inner in plan.get("Plans", ()))


@pytest.mark.parametrize("sort", ["-id", "-priority", "score"])
def test_a_page_reads_a_bounded_number_of_rows(cast, make, monkeypatch, sort):  # noqa: F811
    """3,000 tasks, a page of 20 in windows of 100: 21 rows and their neighbours unfiltered, a few windows filtered."""
    tasks = make(3000)
    Task.objects.filter(pk__in=[task.pk for task in tasks[::2]]).update(priority=7)
    for place, task in enumerate(tasks):
        task.score = place % 7
    Task.objects.bulk_update(tasks, ["score"])
    monkeypatch.setattr(browsing, "WINDOW", 100)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE annotation_task")
    for query, most in [({}, 130), ({"all": [{"field": "metadata.x", "op": "exists", "value": False}]}, 900)]:
        browser = Browser(cast.project, check_query(query), sort)
        cursor_in_the_middle = browser._cursor(tasks[1500])
        with CaptureQueriesContext(connection) as made:
            browser.page(after=cursor_in_the_middle, size=20)
        total = 0
        for statement in made.captured_queries:
            with connection.cursor() as cursor:
                cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + statement["sql"])
                total += rows_read(cursor.fetchone()[0][0]["Plan"])
        assert total <= most, (query, total)


@pytest.mark.django_db(transaction=True)
def test_an_import_holds_no_lock_a_claim_waits_for(cast, start, monkeypatch):  # noqa: F811
    """While a chunk's transaction is open, Bob claims and answers in a connection of his own, which waits half a second at most."""
    run(start([line("first")]))
    before, answered = importing._advance, []

    def at_work():
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '500ms'")
        claimed = slots.take_next(actor=cast.bob)
        slot = Slot.objects.select_related("task").get(pk=claimed.slot_id)
        said = {"labels": {"labels": ["sport"]}}
        slots.submit_answer(actor=cast.bob, slot=slot, token=claimed.token, key="k", answers=said, seconds=1)
        answered.append(slot.task.external_id)
        connection.close()

    def advance(*args, **options):
        thread = threading.Thread(target=at_work)
        thread.start()
        thread.join(timeout=10)
        return before(*args, **options)

    monkeypatch.setattr(importing, "_advance", advance)
    row = run(start([line("second")]))
    assert (row.job.state, answered) == ("succeeded", ["first"])


@pytest.mark.django_db(transaction=True)
def test_chunks_written_side_by_side_are_committed_in_order(cast, start, monkeypatch):  # noqa: F811
    """100 lines in chunks of 4. Every 7th is wrong: 15. Lines 18, 38, 58 repeat the name before; 78 does too, but 77 was wrong, and

    98 is wrong itself. So 100 - 15 - 3 = 82 tasks are made and 3 lines known.
    """
    monkeypatch.setattr(importing, "MOST_LINES", 4)
    names = [f"t{n - 1 if n % 20 == 18 else n}" for n in range(100)]
    lines = [b"{" if n % 7 == 0 else line(names[n], priority=(1, 5, 9)[n % 3]) for n in range(100)]
    seen, before = [], importing._advance

    def advance(row, chunk, **counts):
        seen.append(chunk.start)
        return before(row, chunk, **counts)

    monkeypatch.setattr(importing, "_advance", advance)
    row = run(start(lines))
    assert (row.job.state, row.made, row.known, row.wrong, row.line) == ("succeeded", 82, 3, 15, 100)
    assert (Task.objects.count(), Slot.objects.count()) == (82, 82)
    assert seen == sorted(seen)
    assert len(seen) == 25
    assert [entry["line"] for entry in report(row)] == list(range(1, 101, 7))


@pytest.mark.django_db(transaction=True)
def test_a_chunk_that_breaks_takes_the_one_beside_it_along(cast, start, monkeypatch):  # noqa: F811
    monkeypatch.setattr(importing, "MOST_LINES", 4)
    row = start([line(f"t{n}") for n in range(40)])
    before, calls = importing._advance, []

    def advance(*args, **counts):
        calls.append(args)
        if len(calls) == 4:
            raise RuntimeError("power cut")
        return before(*args, **counts)

    with monkeypatch.context() as patched:
        patched.setattr(importing, "_advance", advance)
        run(row)
    assert (row.job.state, row.made, row.line, Task.objects.count()) == ("queued", 12, 12, 12)
    Job.objects.update(not_before=row.created_at)
    run(row)
    assert (row.job.state, row.made, row.known, Task.objects.count()) == ("succeeded", 40, 0, 40)


@pytest.mark.django_db(transaction=True)
def test_a_chunk_that_waits_too_long_gives_way_and_is_written_again(cast, start, monkeypatch):  # noqa: F811
    """Every other chunk is slow; the one beside it rolls back, waits, and starts anew."""
    monkeypatch.setattr(importing, "MOST_LINES", 4)
    monkeypatch.setattr(importing, "GIVE_WAY_SECONDS", 0.02)
    before, starts = importing._write, []

    def write(row, chunk):
        starts.append(chunk.start)
        if chunk.number % 8 == 0:
            time.sleep(0.2)
        return before(row, chunk)

    monkeypatch.setattr(importing, "_write", write)
    row = run(start([line(f"t{n}") for n in range(32)]))
    assert (row.job.state, row.made, row.known, Task.objects.count()) == ("succeeded", 32, 0, 32)
    assert len(starts) > len(set(starts)) == 8
