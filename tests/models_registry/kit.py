"""A real OpenAI-compatible server that says what the test asks for, and a real gateway process in front of it."""

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
from django.db import connection

ROOT = Path(__file__).resolve().parent.parent.parent


def until(true: Callable[[], Any], seconds: float = 30.0) -> Any:
    """What `true` gives once it is true. Fails after `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = true()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("it never came true")


class FakeBackend(ThreadingHTTPServer):
    """Answers by the last message: `error 500`, `garbage`, `die`, `wait`, `nul`, `slow 40` (words, 20 a second, each with the
    model's name); anything else is echoed in three parts. A model called `broken` answers nothing but 500."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.release = threading.Event()
        self.waiting = 0
        self.models_status = 200
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: FakeBackend
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: Any) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        self._json(self.server.models_status, {"object": "list", "data": []})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append(body)
        self.server.keys.append(self.headers.get("Authorization"))
        said = body["messages"][-1]["content"]
        if body["model"] == "broken":
            self._json(500, {"error": "broken"})
        elif said.startswith("error "):
            self._json(int(said.split()[1]), {"error": "as asked"})
        elif said == "garbage":
            self._json(200, {"choices": "none"})
        elif body["stream"] and said.startswith("slow "):
            self._slowly(body["model"], int(said.split()[1]))
        elif body["stream"]:
            self._stream(said)
        else:
            self._wait(said)
            text = "a\x00b \ud83d" if said == "nul" else f"Echo: {said} ({body.get('seed', '-')})"
            choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            self._json(200, {"choices": [choice], "usage": {"prompt_tokens": 7, "completion_tokens": 5}})

    def _wait(self, said: str) -> None:
        if said == "wait":
            self.server.waiting += 1
            self.server.release.wait(30)

    def _slowly(self, model: str, count: int) -> None:
        self._begin()
        for n in range(count):
            self._chunk({"delta": {"content": f"{model}-{n} "}, "finish_reason": None})
            time.sleep(0.05)
        self._chunk({"delta": {}, "finish_reason": "stop"})

    def _begin(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()

    def _stream(self, said: str) -> None:
        self._begin()
        for part in ("Echo: ", said, " indeed"):
            self._chunk({"delta": {"content": part}, "finish_reason": None})
            if part == said and said == "die":
                return
            if part == said:
                self._wait(said)
        self._chunk({"delta": {}, "finish_reason": "length"}, {"prompt_tokens": 7, "completion_tokens": 3})
        self.wfile.write(b"data: [DONE]\n\n")

    def _chunk(self, choice: dict[str, Any], usage: Any = None) -> None:
        self.wfile.write(
            b"data: " + json.dumps({"choices": [{"index": 0, **choice}], "usage": usage}).encode() + b"\n\n"
        )
        self.wfile.flush()

    def _json(self, status: int, data: Any) -> None:
        body = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def database_url() -> str:
    """The test database's own address, for processes that the test starts."""
    found = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{found['NAME']}"
    user = found["USER"] + (f":{found['PASSWORD']}" if found["PASSWORD"] else "")
    return f"postgres://{user}@{found['HOST']}:{found['PORT'] or 5432}/{found['NAME']}"


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "DATABASE_URL": database_url(), "DJANGO_SETTINGS_MODULE": "config.settings", **more}


@contextmanager
def command(*argv: str, **more: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "manage.py", *argv],
        cwd=ROOT,
        env=environment(**more),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def gateway(**more: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The address of a live gateway, and its process."""
    with command("gateway", "--port", "0", **more) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        found = re.search(r"http://[\d.:]+", first)
        assert found, first + process.stdout.read()
        threading.Thread(target=process.stdout.read, daemon=True).start()
        until(lambda: _answers(found[0]), 60)
        yield found[0], process


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/healthz", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False
