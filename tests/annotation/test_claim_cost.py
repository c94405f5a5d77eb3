"""What a claim reads, by the database's own account."""

import re
from datetime import timedelta

import pytest
from django.db import connection

from annotation import dialect
from annotation.data import Answer
from benchmarks.queue.seed import seed_history, seed_project, seed_tasks
from ground import clock

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif("connection.vendor != 'postgresql'", reason="EXPLAIN of the PostgreSQL statement"),
]


def rows_read(plan: str) -> int:
    """Rows that index and table scans returned or threw away, over all their loops."""
    read = 0
    for line in plan.splitlines():
        scan = re.search(r"Scan.*actual rows=(\d+) loops=(\d+)", line)
        if scan and "CTE Scan" not in line:
            read += int(scan[1]) * int(scan[2])
        thrown = re.search(r"Rows Removed by (?:Filter|Join Filter|Index Recheck): (\d+)", line)
        read += int(thrown[1]) if thrown else 0
    return read


def analyse() -> None:
    with connection.cursor() as cursor:
        for table in ("task", "slot", "annotation", "mark", "lane"):
            cursor.execute(f"ANALYZE annotation_{table}")


@pytest.mark.parametrize("done", [0, 50_000])
def test_a_claim_reads_at_most_fifty_rows_however_much_its_annotator_did(done, monkeypatch):
    """60,000 tasks at overlap 3; the annotator answered 50,000 of them. Without marks the claim would look at all of those."""
    monkeypatch.setattr("benchmarks.queue.seed.settle", lambda: None)
    seeded = seed_project("costly", 1)
    seed_tasks(seeded, 60_000, overlap=3)
    [actor] = seeded.annotators
    if done:
        seed_history(seeded, actor, done)
    analyse()
    with connection.cursor() as cursor:
        values = dialect._claim_values(dialect.Asker(actor.pk, seeded.project.pk), clock.now(), timedelta(minutes=15))
        cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF, COSTS OFF) {dialect.CLAIM_SQL}", values)
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "Index Scan using slot_open" in plan, plan
    assert rows_read(plan) <= 50, plan


@pytest.mark.parametrize("sql", ["SUBMIT_SQL", "ANSWER_HANDED_SQL"])
def test_a_submit_finds_its_slot_by_key_while_statistics_are_young(sql, monkeypatch):
    """When they were gathered nobody had answered: the index of taken slots was empty, and looks cheaper than the key."""
    monkeypatch.setattr("benchmarks.queue.seed.settle", lambda: None)
    seeded = seed_project("young", 1)
    seed_tasks(seeded, 3000, overlap=1)
    analyse()
    [actor] = seeded.annotators
    seed_history(seeded, actor, 2000)
    asker = dialect.Asker(actor.pk, seeded.project.pk)
    claim = dialect.claim(asker, now=clock.now(), lease=timedelta(minutes=15))
    answer = Answer("ann_young", "k", {}, [], 1.0, clock.now())
    values = dialect._submit_values(asker, claim.slot_id, claim.token, answer)
    values |= dialect._claim_values(asker, clock.now(), timedelta(minutes=15))
    values |= {"access": actor.tokens.get().pk, "scope": '["annotate"]', "schema": seeded.schema.pk}
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF, COSTS OFF) {getattr(dialect, sql)}", values)
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert rows_read(plan) <= 50, plan


def test_the_hot_statements_are_short_enough_to_be_remembered_by_the_driver():
    """psycopg caches how it read a statement of at most 4,096 bytes; a longer one is read anew for every answer."""
    from psycopg._queries import MAX_CACHED_STATEMENT_LENGTH

    hot = (dialect.CLAIM_SQL, dialect.SUBMIT_SQL, dialect.SUBMIT_AND_CLAIM_SQL, dialect.ANSWER_HANDED_SQL)
    assert max(len(sql.encode()) for sql in hot) <= MAX_CACHED_STATEMENT_LENGTH
