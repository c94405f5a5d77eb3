"""`make bench-queue`: driver, floor and product in one run on PostgreSQL. A table, then one JSON object as the last line."""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass

from benchmarks.queue import machine
from benchmarks.queue.client import Connection, Measured, measure
from benchmarks.queue.workers import annotate, insert

SIZES = {"10k": 10_000, "100k": 100_000, "1m": 1_000_000}
CROWDS = (1, 8, 32)
OVERLAP = 3
HISTORY = 50_000
MOST_EXPORTED = 300_000
"""Making more annotated tasks takes longer than exporting them tells."""


@dataclass
class Row:
    what: str
    annotators: int
    measured: Measured
    cpu_ms: float

    def line(self) -> str:
        run = self.measured
        return (
            f"{self.what:<28}{self.annotators:>5}{run.per_second:>10.0f}{run.percentile(0.5):>9.1f}"
            f"{run.percentile(0.95):>9.1f}{self.cpu_ms:>9.2f}"
        )


HEAD = f"{'':<28}{'who':>5}{'per s':>10}{'p50 ms':>9}{'p95 ms':>9}{'CPU ms':>9}"


def run(what: str, port: int, server: int, workers: list[AsyncIterator[None]], seconds: float) -> Row:
    """Warm up a moment, measure, and say what web and database spent on each request."""
    asyncio.set_event_loop(loop := asyncio.new_event_loop())
    loop.run_until_complete(measure(workers, seconds=min(1.0, seconds / 3)))
    processes = machine.children_of(server) + machine.postgres_processes()
    before = machine.cpu_seconds(processes)
    measured = loop.run_until_complete(measure(workers, seconds=seconds))
    spent = machine.cpu_seconds(processes) - before
    row = Row(what, len(workers), measured, 1000 * spent / len(measured.milliseconds))
    print(row.line(), flush=True)
    return row


def floor(seconds: float, repeat: int) -> dict[int, list[Row]]:
    from django.db import connection

    from benchmarks.queue.floor import TABLE

    with connection.cursor() as cursor:
        cursor.execute(TABLE)
    with machine.web("benchmarks.queue.floor_wsgi:application") as (port, server):
        return {
            crowd: [
                run(
                    "floor: one INSERT",
                    port,
                    server,
                    [insert(Connection("127.0.0.1", port)) for _ in range(crowd)],
                    seconds,
                )
                for _ in range(repeat)
            ]
            for crowd in CROWDS
        }


def product(name: str, size: int, seconds: float, repeat: int) -> tuple[dict[int, list[Row]], Row]:
    """The annotate loop of 1, 8 and 32 people, and of one who did 50,000 of the project's tasks already."""
    from benchmarks.queue.seed import seed_history, seed_project, seed_tasks

    seeded = seed_project(f"bench-{name}", max(CROWDS) + 1)
    seed_tasks(seeded, size, OVERLAP)
    with machine.web("config.wsgi:application") as (port, server):
        rows = {
            crowd: [
                run(f"annotate, {name} tasks", port, server, _annotators(port, seeded, crowd), seconds)
                for _ in range(repeat)
            ]
            for crowd in CROWDS
        }
        done = min(HISTORY, size // 2)
        seed_history(seeded, seeded.annotators[-1], done)
        old = [annotate(Connection("127.0.0.1", port, seeded.tokens[-1]), seeded.project.slug)]
        return rows, run(f"the same, {done} done already", port, server, old, seconds)


def _annotators(port: int, seeded: "Seeded", crowd: int) -> list[AsyncIterator[None]]:  # type: ignore[name-defined]  # noqa: F821
    return [annotate(Connection("127.0.0.1", port, token), seeded.project.slug) for token in seeded.tokens[:crowd]]


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--seconds", type=float, default=6.0, help="length of each run")
    asked.add_argument("--repeat", type=int, default=3, help="runs of each kind; medians are reported")
    asked.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    asked.add_argument("--bulk", type=int, default=0, help="records imported (default: the largest size)")
    options = asked.parse_args()
    url = machine.server_url()
    if not url.startswith("postgres"):
        sys.exit("bench-queue measures PostgreSQL: set DATABASE_URL=postgres://user@host:5432/postgres")
    with machine.own_database(url, "plumbline_bench") as own:
        os.environ.update(DATABASE_URL=own, DJANGO_SETTINGS_MODULE="config.settings", PLUMBLINE_LOG="WARNING")
        with tempfile.TemporaryDirectory() as var:
            os.environ["PLUMBLINE_VAR"] = var
            measure_all(options)


def measure_all(options: argparse.Namespace) -> None:
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    print(HEAD)
    under = floor(options.seconds, options.repeat)
    measured = {name: product(name, SIZES[name], options.seconds, options.repeat) for name in options.sizes}
    found = {name: rows for name, (rows, _old) in measured.items()}
    old = measured[options.sizes[-1]][1]
    bulk = measure_bulk(options.bulk or SIZES[options.sizes[-1]])
    most = max(CROWDS)
    largest = found[options.sizes[-1]][most]
    print(
        json.dumps(
            {
                "annotations_per_s": round(middle([row.measured.per_second for row in largest])),
                "floor_requests_per_s": round(middle([row.measured.per_second for row in under[most]])),
                "cpu_ms_per_annotation": round(middle([row.cpu_ms for row in largest]), 2),
                "p95_ms": {
                    name: round(middle([row.measured.percentile(0.95) for row in rows[most]]), 1)
                    for name, rows in found.items()
                },
                "veteran_p95_ms": round(old.measured.percentile(0.95), 1),
                **bulk,
                "annotators": most,
            }
        )
    )


def measure_bulk(count: int) -> dict[str, float]:
    """Import at overlap 1 (at overlap 3 in the table), export of annotated tasks, memory at rest."""
    from benchmarks.queue import bulk

    idle, imported = bulk.idle_pss_mb(), count
    print(f"web and worker at rest: {idle:.0f} MB PSS", flush=True)
    once = bulk.import_per_s(count, 1)
    print(f"import of {count} records, overlap 1: {once:.0f} per s", flush=True)
    thrice = bulk.import_per_s(count, OVERLAP)
    print(f"import of {count} records, overlap {OVERLAP}: {thrice:.0f} per s", flush=True)
    exported, peak = bulk.export(count := min(count, MOST_EXPORTED))
    print(f"export of {count} annotated tasks: {exported:.0f} per s, web process {peak:.0f} MB at most", flush=True)
    return {
        "imported": imported,
        "import_per_s": round(once),
        "import_per_s_overlap_3": round(thrice),
        "export_per_s": round(exported),
        "export_peak_rss_mb": round(peak),
        "idle_pss_mb": round(idle),
    }


def middle(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


if __name__ == "__main__":
    main()
