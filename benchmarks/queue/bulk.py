"""Import, export and what the processes weigh when nothing happens."""

import http.client
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.queue import machine
from benchmarks.queue.seed import OPTIONS, Seeded, seed_history, seed_project, seed_tasks

PATIENCE = 900


@contextmanager
def worker() -> Iterator[int]:
    """The product's worker on its embedded broker. Yields its process id."""
    process = subprocess.Popen([sys.executable, "manage.py", "worker"], cwd=machine.ROOT)
    try:
        time.sleep(6)
        yield process.pid
    finally:
        process.terminate()
        process.wait(timeout=30)


def idle_pss_mb() -> float:
    """Web and worker, preloaded, before the first request."""
    with machine.web("config.wsgi:application") as (_port, web), worker() as work:
        return machine.pss_mb(machine.children_of(web) + machine.children_of(work))


def import_per_s(count: int, overlap: int) -> float:
    """Records a second, from the first byte sent until the job is done; every index of the product is in place."""
    seeded = seed_project(f"bench-import-{overlap}", 0)
    token = seeded.manager_token
    with tempfile.TemporaryDirectory() as folder, machine.web("config.wsgi:application") as (port, _web), worker():
        path = Path(folder) / "tasks.jsonl"
        with path.open("w") as stream:
            stream.writelines(_lines(count))
        began = time.perf_counter()
        with path.open("rb") as lines:
            row = machine.ask(port, token, "POST", _import_url(seeded, overlap), lines, "application/x-ndjson")
        while row["finished_at"] is None:
            if time.perf_counter() - began > PATIENCE:
                raise RuntimeError(f"the import is not done after {PATIENCE} s: {row}")
            time.sleep(0.2)
            row = machine.ask(port, token, "GET", f"/api/v1/projects/{seeded.project.slug}/imports/{row['id']}")
        seconds = time.perf_counter() - began
    if row["made"] != count:
        raise RuntimeError(f"{count} lines made {row['made']} tasks")
    return count / seconds


def _lines(count: int) -> Iterator[str]:
    for number in range(count):
        text = f"The kettle number {number} was slow to boil, but it whistles so that you hear it in the garden."
        row = {"external_id": f"k{number}", "data": {"text": text}, "metadata": {"language": "en", "shop": number % 50}}
        yield json.dumps(row) + "\n"


def _import_url(seeded: Seeded, overlap: int) -> str:
    options = "&".join(f"options={option}" for option in OPTIONS)
    return f"/api/v1/projects/{seeded.project.slug}/imports?template=labels&overlap={overlap}&{options}"


def export(count: int) -> tuple[float, float]:
    """Annotated tasks a second, streamed by HTTP, and the peak memory (MB) of the web process that wrote them."""
    seeded = seed_project("bench-export", 1)
    seed_tasks(seeded, count, 1)
    seed_history(seeded, seeded.annotators[0], count)
    with machine.web("config.wsgi:application", workers=1, threads=1) as (port, web):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        began = time.perf_counter()
        connection.request(
            "GET",
            f"/api/v1/projects/{seeded.project.slug}/export.jsonl",
            headers={"Authorization": f"Bearer {seeded.manager_token}"},
        )
        answer = connection.getresponse()
        lines = 0
        while piece := answer.read(1 << 20):
            lines += piece.count(b"\n")
        seconds = time.perf_counter() - began
        peak = max(machine.peak_rss_mb(pid) for pid in machine.children_of(web)[1:])
    if lines != count:
        raise RuntimeError(f"{count} tasks were exported as {lines} lines")
    return lines / seconds, peak
