"""A small tracking server with MLflow's rules: its names, limits, states and words, over real HTTP."""

from __future__ import annotations

import json
import posixpath
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

KEY = re.compile(r"[A-Za-z0-9_\-. :/]{1,250}")
TAG_FILTER = re.compile(r"tags\.`([^`]+)` = '([^']*)'")
LIMITS = {"metrics": 1000, "params": 100, "tags": 100}
LONGEST = {"params": 6000, "tags": 5000}
STATUSES = ("RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED")


class Refusal(Exception):
    def __init__(self, status: int, code: str, words: str) -> None:
        super().__init__(words)
        self.status, self.code = status, code


def invalid(words: str) -> Refusal:
    return Refusal(400, "INVALID_PARAMETER_VALUE", words)


@dataclass
class Tracking:
    port: int = 0
    experiments: dict[str, str] = field(default_factory=dict)
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    troubles: list[int] = field(default_factory=list)
    """Statuses of the next answers, whatever was asked."""
    lose: str = ""
    """The path whose next answer is lost after the work was done."""
    pause: float = 0.0
    blind: bool = False
    """The next look for an experiment misses one that is there."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def run(self) -> dict[str, Any]:
        [only] = self.runs.values()
        return only

    def values(self, key: str) -> list[tuple[int, float]]:
        return [(one["step"], one["value"]) for one in self.run["metrics"] if one["key"] == key]

    def answer(self, path: str, given: dict[str, Any]) -> dict[str, Any]:
        return getattr(self, path.replace("/", "_").replace("-", "_"))(**given)

    def experiments_get_by_name(self, experiment_name: str) -> dict[str, Any]:
        blind, self.blind = self.blind, False
        if blind or experiment_name not in self.experiments:
            raise Refusal(404, "RESOURCE_DOES_NOT_EXIST", "No such experiment.")
        return {"experiment": {"experiment_id": self.experiments[experiment_name], "name": experiment_name}}

    def experiments_create(self, name: str) -> dict[str, Any]:
        if name in self.experiments:
            raise Refusal(400, "RESOURCE_ALREADY_EXISTS", "It is there already.")
        self.experiments[name] = str(len(self.experiments) + 1)
        return {"experiment_id": self.experiments[name]}

    def runs_search(self, experiment_ids: list[str], filter: str, run_view_type: str, **_: Any) -> dict[str, Any]:
        matched = TAG_FILTER.fullmatch(filter)
        if matched is None:
            raise invalid(f"Invalid filter {filter}")
        key, value = matched.groups()
        found = [run for run in self.runs.values() if run["tags"].get(key) == value]
        found = [run for run in found if run["experiment_id"] in experiment_ids]
        found = [run for run in found if run_view_type == "ALL" or not run["deleted"]]
        params = [{"key": name, "value": text} for run in found for name, text in run["params"].items()]
        return {"runs": [{"info": {"run_id": run["id"]}, "data": {"params": params}} for run in found]}

    def runs_create(self, experiment_id: str, run_name: str, start_time: int, tags: list[Any]) -> dict[str, Any]:
        if experiment_id not in self.experiments.values():
            raise Refusal(404, "RESOURCE_DOES_NOT_EXIST", "No such experiment.")
        name = f"{len(self.runs):032x}"
        self.runs[name] = {
            "id": name, "experiment_id": experiment_id, "name": run_name, "start": start_time, "status": "RUNNING",
            "deleted": False, "end": None, "tags": {tag["key"]: tag["value"] for tag in tags}, "params": {}, "metrics": [],
        }  # fmt: skip
        return {"run": {"info": {"run_id": name}}}

    def _named(self, name: str) -> dict[str, Any]:
        if name not in self.runs:
            raise Refusal(404, "RESOURCE_DOES_NOT_EXIST", f"Run with id={name} not found")
        if self.runs[name]["deleted"]:
            raise invalid(f"The run {name} must be in the 'active' state. Current state is deleted.")
        return self.runs[name]

    def runs_log_batch(self, run_id: str, **what: list[dict[str, Any]]) -> dict[str, Any]:
        run = self._named(run_id)
        if sum(map(len, what.values())) > 1000:
            raise invalid("A batch may hold at most 1000 items.")
        for kind, rows in what.items():
            check(kind, rows)
        for param in what.get("params", []):
            if run["params"].setdefault(param["key"], param["value"]) != param["value"]:
                raise invalid(f"Changing param values is not allowed: {param['key']}")
        run["tags"] |= {tag["key"]: tag["value"] for tag in what.get("tags", [])}
        run["metrics"] += what.get("metrics", [])
        return {}

    def runs_update(self, run_id: str, status: str, end_time: int | None = None) -> dict[str, Any]:
        if status not in STATUSES:
            raise invalid(f"Invalid status {status}")
        self._named(run_id).update(status=status, end=end_time)
        return {"run_info": {"run_id": run_id}}


def check(kind: str, rows: list[dict[str, Any]]) -> None:
    if len(rows) > LIMITS[kind]:
        raise invalid(f"A batch may hold at most {LIMITS[kind]} {kind}.")
    if kind != "metrics" and len({row["key"] for row in rows}) < len(rows):
        raise invalid("Duplicate keys")
    for row in rows:
        key = row["key"]
        plain = posixpath.normpath(key)
        if not KEY.fullmatch(key) or plain != key or plain.startswith(("..", "/")) or plain == ".":
            raise invalid(f"Invalid name {key}")
        if kind in LONGEST and not (isinstance(row["value"], str) and len(row["value"]) <= LONGEST[kind]):
            raise invalid(f"{key} is too long")
        if kind == "metrics" and (type(row["value"]) not in (int, float) or type(row["step"]) is not int):
            raise invalid(f"{key} is no number")


@contextmanager
def tracking() -> Iterator[Tracking]:
    kept = Tracking()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.serve(dict(parse_qsl(urlsplit(self.path).query)))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.serve(json.loads(body) if len(body) <= 1_000_000 else None)

        def serve(self, given: dict[str, Any] | None) -> None:
            path = urlsplit(self.path).path.removeprefix("/api/2.0/mlflow/")
            kept.asked.append(path)
            kept.headers = {name.lower(): value for name, value in self.headers.items()}
            time.sleep(kept.pause)
            if kept.troubles:
                return self.say(
                    kept.troubles.pop(0), {"error_code": "INTERNAL_ERROR", "message": "Something is wrong."}
                )
            try:
                if given is None:
                    raise invalid("Requests may have 1 MB.")
                answer = kept.answer(path, given)
            except Refusal as refusal:
                return self.say(refusal.status, {"error_code": refusal.code, "message": str(refusal)})
            if kept.lose == path:
                kept.lose = ""
                return None
            return self.say(200, answer)

        def say(self, status: int, content: Any) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kept.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield kept
    finally:
        server.shutdown()
        server.server_close()
