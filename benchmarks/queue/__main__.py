"""`make bench-queue`: driver, floor and product in one run on PostgreSQL. A table, then one JSON object as the last line."""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks.queue import machine
from benchmarks.queue.client import Connection, Measured, measure
from benchmarks.queue.workers import annotate, insert

if TYPE_CHECKING:
    from benchmarks.queue.seed import Seeded

SIZES = {"10k": 10_000, "100k": 100_000, "1m": 1_000_000}
CROWDS = (1, 8, 32)
PARTS = ("annotate", "manage", "bulk")
OVERLAP = 3
HISTORY = 50_000
MOST_EXPORTED = 300_000
"""Making more annotated tasks takes longer than exporting them tells."""


@dataclass
class Row:
    what: str
    annotators: int
    measured: Measured
    web_ms: float
    database_ms: float

    @property
    def cpu_ms(self) -> float:
        return self.web_ms + self.database_ms

    def line(self) -> str:
        run = self.measured
        return (
            f"{self.what:<28}{self.annotators:>5}{run.per_second:>10.0f}{run.percentile(0.5):>9.1f}"
            f"{run.percentile(0.95):>9.1f}{self.web_ms:>9.2f}{self.database_ms:>9.2f}"
        )


HEAD = f"{'':<28}{'who':>5}{'per s':>10}{'p50 ms':>9}{'p95 ms':>9}{'web CPU':>9}{'db CPU':>9}"


def run(what: str, port: int, server: int, workers: list[AsyncIterator[None]], seconds: float) -> Row:
    """Warm up a moment, measure, and say what web and database spent on each request."""
    asyncio.set_event_loop(loop := asyncio.new_event_loop())
    loop.run_until_complete(measure(workers, seconds=min(1.0, seconds / 3)))
    sides = (partial(machine.children_of, server), partial(machine.backends_of, os.environ["DATABASE_URL"]))
    before = [machine.cpu_seconds(side()) for side in sides]
    measured = loop.run_until_complete(measure(workers, seconds=seconds))
    spent = [machine.cpu_since(was, side()) for side, was in zip(sides, before, strict=True)]
    row = Row(what, len(workers), measured, *(1000 * seconds / len(measured.milliseconds) for seconds in spent))
    print(row.line(), flush=True)
    return row


@dataclass
class Annotated:
    """What was measured at one size: by crowd the floor and the product in turn, and one annotator with a long history."""

    pairs: dict[int, list[tuple[Row, Row]]]
    veteran: Row

    def floor(self, crowd: int) -> list[Row]:
        return [below for below, _row in self.pairs[crowd]]

    def product(self, crowd: int) -> list[Row]:
        return [row for _below, row in self.pairs[crowd]]

    def share_of_floor(self, crowd: int) -> float:
        """The median of the ratios of neighbours: what a machine does changes between the first run and the last."""
        return middle([row.measured.per_second / below.measured.per_second for below, row in self.pairs[crowd]])


def product(name: str, seeded: "Seeded", size: int, options: argparse.Namespace) -> Annotated:
    """The floor and the annotate loop of 1, 8 and 32 people in turn; then of one who did 50,000 of the project's tasks already."""
    from benchmarks.queue.seed import seed_history, seed_tasks, seed_up_to

    pairs: dict[int, list[tuple[Row, Row]]] = {crowd: [] for crowd in CROWDS}
    with (
        machine.web("benchmarks.queue.floor_wsgi:application") as (floor_port, floor),
        machine.web("config.wsgi:application") as (port, server),
    ):
        for crowd in CROWDS:
            for _ in range(options.repeat):
                seed_up_to(seeded, size, OVERLAP)
                inserting = [insert(Connection("127.0.0.1", floor_port)) for _ in range(crowd)]
                below = run("floor: one INSERT", floor_port, floor, inserting, options.seconds)
                annotators = _annotators(port, seeded, crowd)
                pairs[crowd].append((below, run(f"annotate, {name} tasks", port, server, annotators, options.seconds)))
        done = min(HISTORY, size // 2)
        seed_tasks(seeded, done, OVERLAP)
        seed_history(seeded, seeded.annotators[-1], done)
        old = [annotate(Connection("127.0.0.1", port, seeded.tokens[-1]), seeded.project.slug)]
        return Annotated(pairs, run(f"the same, {done} done already", port, server, old, options.seconds))


def make_floor() -> None:
    """The table that the floor writes to."""
    from django.db import connection

    from benchmarks.queue.floor import TABLE

    with connection.cursor() as cursor:
        cursor.execute(TABLE)


def _annotators(port: int, seeded: "Seeded", crowd: int) -> list[AsyncIterator[None]]:
    return [annotate(Connection("127.0.0.1", port, token), seeded.project.slug) for token in seeded.tokens[:crowd]]


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--seconds", type=float, default=6.0, help="length of each run")
    asked.add_argument("--repeat", type=int, default=3, help="runs of each kind; medians are reported")
    asked.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    asked.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    asked.add_argument("--bulk", type=int, default=0, help="records imported (default: the largest size)")
    options = asked.parse_args()
    url = machine.server_url()
    if not url.startswith("postgres"):
        sys.exit("bench-queue measures PostgreSQL: set DATABASE_URL=postgres://user@host:5432/postgres")
    with machine.own_database(url, f"{machine.database_of(url)}_bench") as own:
        os.environ.update(DATABASE_URL=own, DJANGO_SETTINGS_MODULE="config.settings", PLUMBLINE_LOG="WARNING")
        with tempfile.TemporaryDirectory() as var:
            os.environ["PLUMBLINE_VAR"] = var
            measure_all(options)


def measure_all(options: argparse.Namespace) -> None:
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    from benchmarks.queue.seed import seed_project, seed_tasks

    found: dict[str, Any] = {}
    if "annotate" in options.parts:
        print(HEAD)
        make_floor()
    measured: dict[str, Annotated] = {}
    for name in options.sizes if {"annotate", "manage"} & set(options.parts) else ():
        seeded = seed_project(f"bench-{name}", max(CROWDS) + 1)
        seed_tasks(seeded, SIZES[name], OVERLAP)
        if "annotate" in options.parts:
            measured[name] = product(name, seeded, SIZES[name], options)
        if "manage" in options.parts:
            found.setdefault("manage", {})[name] = manage(name, seeded, SIZES[name])
    if measured:
        found |= in_figures(measured)
    if "bulk" in options.parts:
        found |= measure_bulk(options.bulk or SIZES[options.sizes[-1]])
    print(json.dumps({**found, "annotators": max(CROWDS)}))


def in_figures(measured: dict[str, Annotated]) -> dict[str, Any]:
    """Of the largest crowd at the largest size; p95 and the share of the floor at every size."""
    most, largest = max(CROWDS), list(measured.values())[-1]
    return {
        "annotations_per_s": round(middle([row.measured.per_second for row in largest.product(most)])),
        "floor_requests_per_s": round(middle([row.measured.per_second for row in largest.floor(most)])),
        "share_of_floor": {
            name: {crowd: round(one.share_of_floor(crowd), 2) for crowd in CROWDS} for name, one in measured.items()
        },
        "cpu_ms_per_annotation": round(middle([row.cpu_ms for row in largest.product(most)]), 2),
        "p95_ms": {
            name: round(middle([row.measured.percentile(0.95) for row in one.product(most)]), 1)
            for name, one in measured.items()
        },
        "veteran_p95_ms": round(largest.veteran.measured.percentile(0.95), 1),
    }


def manage(name: str, seeded: "Seeded", size: int) -> dict[str, Any]:
    """What a manager of so many tasks waits for."""
    from benchmarks.queue import managing

    searchable = managing.searchable_per_s(size)
    print(f"{name} tasks made searchable: {searchable:.0f} per s", flush=True)
    with machine.web("config.wsgi:application") as (port, _server):
        browsed = managing.browse(seeded, port)
        for what, milliseconds in browsed.items():
            print(f"{name} tasks, {what:<28}{milliseconds:>9.1f} ms", flush=True)
        shown = managing.pages(seeded)
        for what, (first, later) in shown.items():
            print(f"{name} tasks, page {what:<23}{first:>9.1f} ms, then {later:.1f}", flush=True)
        edited = managing.edited_per_s(seeded, port)
        print(f"{name} tasks, change of priority: {edited:.0f} per s", flush=True)
    return {
        "searchable_per_s": round(searchable),
        "slowest_look_ms": round(max(browsed.values()), 1),
        "slowest_page_ms": round(max(later for _first, later in shown.values()), 1),
        "slowest_first_page_ms": round(max(first for first, _later in shown.values()), 1),
        "edited_per_s": round(edited),
    }


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
