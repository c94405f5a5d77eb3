"""`make bench-page`: the labeling page in Chromium, cold and from one task to the next. A table, then one JSON object."""

import argparse
import json
import os
import sys
import tempfile

from benchmarks.queue import machine

COLD_RUNS = 7
LIMITS = {"cold_kb": 100, "tti_ms": 300, "next_kb": 10, "next_requests": 5, "next_ms_p95": 100}


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--tasks", type=int, default=100_000, help="pairwise tasks in the project")
    asked.add_argument("--answers", type=int, default=100, help="tasks answered by keyboard")
    options = asked.parse_args()
    url = machine.server_url()
    if not url.startswith("postgres"):
        sys.exit("bench-page measures on PostgreSQL: set DATABASE_URL=postgres://user@host:5432/postgres")
    with machine.own_database(url, "plumbline_bench_page") as own, tempfile.TemporaryDirectory() as var:
        os.environ.update(
            DATABASE_URL=own, DJANGO_SETTINGS_MODULE="config.settings", PLUMBLINE_LOG="WARNING", PLUMBLINE_VAR=var
        )
        print_all(measure(options.tasks, options.answers), options.tasks)


def measure(tasks: int, answers: int) -> dict[str, float]:
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)
    from django.urls import reverse

    from benchmarks.page.seed import EMAIL, PASSWORD, seed

    project = seed(tasks)
    with machine.web("config.wsgi:application") as (port, _server):
        return read(f"http://127.0.0.1:{port}", EMAIL, PASSWORD, reverse("label", args=[project.slug]), answers)


def read(url: str, email: str, password: str, path: str, answers: int) -> dict[str, float]:
    from playwright.sync_api import sync_playwright

    from benchmarks.page import reader

    with sync_playwright() as playwright:
        browser = reader.chromium(playwright)
        state = reader.signed_in(browser, url, email, password)
        cold = []
        for _ in range(COLD_RUNS):
            page, wire, run = reader.open_cold(browser, url, state, path)
            cold.append(run)
            page.context.close()
        page, wire, _run = reader.open_cold(browser, url, state, path)
        steps = reader.answer_many(page, wire, answers)
        browser.close()
    took = sorted(step.milliseconds for step in steps)
    return {
        "cold_kb": round(max(run.kilobytes for run in cold), 1),
        "cold_requests": max(run.requests for run in cold),
        "tti_ms": round(middle([run.usable_ms for run in cold])),
        "next_kb": round(max(step.kilobytes for step in steps), 1),
        "next_requests": max(step.requests for step in steps),
        "next_ms_p50": round(middle(took), 1),
        "next_ms_p95": round(took[int(0.95 * (len(took) - 1))], 1),
    }


def middle(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def print_all(found: dict[str, float], tasks: int) -> None:
    for name, value in found.items():
        limit = LIMITS.get(name)
        print(f"{name:<16}{value:>10}{f'   at most {limit}' if limit else ''}")
    print(json.dumps({**found, "tasks": tasks}))


if __name__ == "__main__":
    main()
