"""Processes under measurement: a database of its own, web servers, and what they cost."""

import getpass
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg

ROOT = Path(__file__).resolve().parents[2]
TICKS = os.sysconf("SC_CLK_TCK")


def server_url() -> str:
    """The PostgreSQL server to measure on: DATABASE_URL, else the local one under one's own name."""
    return os.environ.get("DATABASE_URL") or f"postgres://{getpass.getuser()}@127.0.0.1:5432/postgres"


def database_of(url: str) -> str:
    return urlsplit(url).path.lstrip("/")


@contextmanager
def own_database(url: str, name: str) -> Iterator[str]:
    """A fresh database on the server of `url`, dropped at the end. Yields its URL."""
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        server.execute(f'CREATE DATABASE "{name}"')
    try:
        yield urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
    finally:
        with psycopg.connect(url, autocommit=True) as server:
            server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def web(application: str, *, workers: int = 2, threads: int = 8, **environment: str) -> Iterator[tuple[int, int]]:
    """The product's web server (the command of jobs/programs.py) with an application. Yields its port and process id."""
    port = free_port()
    command = [
        *(sys.executable, "-m", "gunicorn", application, "--chdir", str(ROOT), "--bind", f"127.0.0.1:{port}"),
        *("--worker-class", "gthread", "--preload", "--workers", str(workers), "--threads", str(threads)),
        *("--timeout", "60", "--log-level", "warning"),
    ]
    server = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}, start_new_session=True)
    try:
        wait_for(port, server)
        yield port, server.pid
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=20)


def wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    """Until somebody listens. Errors: RuntimeError when the process ended or a minute passed."""
    for _ in range(600):
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        if server.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError(f"nothing listens on port {port}")


def ask(
    port: int, token: str, method: str, path: str, body: Any = None, kind: str = "application/json"
) -> dict[str, Any]:
    """One request of the API; a body is a file or bytes. Errors: RuntimeError with the server's words."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": kind}
    if hasattr(body, "fileno"):
        headers["Content-Length"] = str(os.fstat(body.fileno()).st_size)
    connection.request(method, path, body=body, headers=headers)
    answer = connection.getresponse()
    said = json.loads(answer.read())
    connection.close()
    if answer.status >= 300:
        raise RuntimeError(f"{method} {path}: {answer.status} {said}")
    return dict(said)


def cpu_seconds(pids: list[int]) -> dict[int, float]:
    """User and system time of living processes, each."""
    return {pid: _cpu_of(pid) for pid in pids}


def cpu_since(before: dict[int, float], pids: list[int]) -> float:
    """What processes spent since then. One that ended meanwhile, as a connection that grew old, tells nothing more."""
    return sum(max(0.0, spent - before.get(pid, 0.0)) for pid, spent in cpu_seconds(pids).items())


def _cpu_of(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS


def children_of(parent: int) -> list[int]:
    """The process and all below it."""
    parents = dict(_processes())
    found = [parent]
    for pid in found:
        found += [child for child, ppid in parents.items() if ppid == pid]
    return found


def backends_of(url: str) -> list[int]:
    """Processes of the database server that serve the database of `url`; others may serve somebody else."""
    with psycopg.connect(url) as server:
        asked = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        return [pid for (pid,) in server.execute(asked)]


def _processes() -> Iterator[tuple[int, int]]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(FileNotFoundError, ProcessLookupError):
                yield int(folder.name), int((folder / "stat").read_text().rpartition(")")[2].split()[1])


def pss_mb(pids: list[int]) -> float:
    """Proportional set size: shared pages are counted once over the processes that share them."""
    total = 0
    for pid in pids:
        with suppress(FileNotFoundError, ProcessLookupError):
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def peak_rss_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM:"))) / 1024
