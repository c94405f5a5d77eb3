"""What a manager waits for: pages of the data browser, pages that count, a change to many tasks."""

import json
import time
from typing import Any
from urllib.parse import urlencode

from benchmarks.queue import machine
from benchmarks.queue.bulk import worker
from benchmarks.queue.seed import Seeded

LOOKS = 5
EDIT_SECONDS = 30.0
DEEP = 40
"""Pages of 200 turned before one is timed."""
QUESTIONS: dict[str, dict[str, str]] = {
    "newest first": {},
    "by priority": {"sort": "-priority"},
    "a filter that all pass": {"filter": '[{"field": "metadata.language", "op": "eq", "value": "en"}]'},
    "a filter that one passes": {"filter": '[{"field": "external_id", "op": "eq", "value": "t77"}]'},
    "words that one has": {"search": "kettle 4242"},
    "words that all have": {"search": "kettle"},
    "with its count": {"count": "true", "filter": '[{"field": "done", "op": "gt", "value": 0}]'},
}
PAGES = ("", "loop/", "data/", "queue/", "queue/queues/", "schemas/", "tasks/", "label/")


def searchable_per_s(count: int) -> float:
    """How many tasks a second the tick makes searchable while it does nothing else."""
    from annotation.searching import index_words

    began = time.perf_counter()
    done = 0
    while now := index_words():
        done += now
    if done < count:
        raise RuntimeError(f"{done} of {count} tasks were made searchable")
    return done / (time.perf_counter() - began)


def browse(seeded: Seeded, port: int) -> dict[str, float]:
    """Milliseconds, medians of five, of the browser's requests by API; then of a page deep inside, and of the live view."""
    slug = seeded.project.slug
    path = f"/api/v1/projects/{slug}/tasks"
    found = {name: _timed(port, seeded, f"{path}?{urlencode(asked)}") for name, asked in QUESTIONS.items()}
    after = ""
    for _ in range(DEEP):
        after = machine.ask(port, seeded.manager_token, "GET", f"{path}?{urlencode({'limit': 200, 'after': after})}")[
            "next"
        ]
    found["deep inside"] = _timed(port, seeded, f"{path}?{urlencode({'after': after})}")
    found["live view"] = _timed(port, seeded, f"/api/v1/projects/{slug}/queue:live")
    return found


def pages(seeded: Seeded) -> dict[str, tuple[float, float]]:
    """Milliseconds of a manager's pages, in this process: the first time, and the median of five after it."""
    from django.conf import settings
    from django.test import Client

    settings.ALLOWED_HOSTS = ["*"]
    client = Client()
    client.force_login(seeded.project.memberships.get(role="owner").actor.user)
    found = {}
    for page in PAGES:
        took = [_seconds(client, f"/p/{seeded.project.slug}/{page}") for _ in range(LOOKS + 1)]
        found[page or "overview"] = (1000 * took[0], 1000 * _middle(took[1:]))
    return found


def edited_per_s(seeded: Seeded, port: int) -> float:
    """Tasks a second that a change of priority reaches; it is stopped after half a minute."""
    root = f"/api/v1/projects/{seeded.project.slug}/bulk-edits"
    asked = {"kind": "priority", "value": 7, "query": {"schema_version": 1, "all": [], "search": ""}}
    with worker():
        began = time.perf_counter()
        row = machine.ask(port, seeded.manager_token, "POST", root, json.dumps(asked))
        while row["finished_at"] is None and time.perf_counter() - began < EDIT_SECONDS:
            time.sleep(0.2)
            row = machine.ask(port, seeded.manager_token, "GET", f"{root}/{row['id']}")
        seconds = time.perf_counter() - began
        if row["finished_at"] is None:
            machine.ask(port, seeded.manager_token, "POST", f"{root}/{row['id']}:cancel")
    if not row["changed"]:
        raise RuntimeError(f"nothing was changed: {row}")
    return float(row["changed"] / seconds)


def _timed(port: int, seeded: Seeded, path: str) -> float:
    took = []
    for _ in range(LOOKS):
        began = time.perf_counter()
        machine.ask(port, seeded.manager_token, "GET", path)
        took.append(1000 * (time.perf_counter() - began))
    return _middle(took)


def _seconds(client: Any, path: str) -> float:
    began = time.perf_counter()
    answer = client.get(path)
    if answer.status_code != 200:
        raise RuntimeError(f"{path}: {answer.status_code}")
    return time.perf_counter() - began


def _middle(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]
