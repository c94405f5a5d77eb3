"""Reconciles servers with rows, over and over: the rows say what is wanted, this makes it so and writes down what it sees."""

import fcntl
import logging
import socket
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx
from django.conf import settings
from django.db import DatabaseError, close_old_connections
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from ground import clock
from models_registry.models import Deployment
from models_registry.services.deployments import MANAGED
from models_registry.serving import servers
from models_registry.serving.servers import CannotStart, Server

logger = logging.getLogger(__name__)
State = Deployment.State


class AnotherManager(Exception):
    """Somebody else holds this var/ folder's lock."""


@dataclass(frozen=True, kw_only=True)
class Rhythm:
    """Seconds, and counts of tries."""

    round: float = 0.5
    health: float = 5.0
    health_timeout: float = 5.0
    grace: float = 10.0
    outside: float = 15.0
    start_limit: float = 900.0
    missed_limit: int = 6
    tries: int = 3
    steady: float = 60.0
    longest_backoff: float = 30.0


class Manager:
    """Use as a context: entering takes the lock and ends orphans, leaving stops every server."""

    def __init__(self, rhythm: Rhythm | None = None) -> None:
        self.rhythm = rhythm or Rhythm()
        self.running: dict[int, Server] = {}
        self.failures: dict[int, int] = {}
        self.not_before: dict[int, float] = {}
        self.checks: dict[int, tuple[float, Future[str] | None]] = {}
        self.pool = ThreadPoolExecutor(max_workers=8, thread_name_prefix="health")

    def __enter__(self) -> "Manager":
        settings.SERVING.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.lock = (settings.SERVING / "manager.lock").open("w")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.lock.close()
            raise AnotherManager(_("Another manager of model servers runs here already.")) from error
        servers.end_orphans()
        self._forget_processes()
        return self

    def __exit__(self, *_error: object) -> None:
        for server in self.running.values():
            server.stop(self.rhythm.grace)
        self.running.clear()
        self.pool.shutdown(wait=False, cancel_futures=True)
        self._forget_processes()
        self.lock.close()

    def _forget_processes(self) -> None:
        """No process of ours runs: say so."""
        managed = Deployment.objects.filter(backend__in=MANAGED).exclude(process={})
        managed.filter(wanted=True).exclude(state=State.FAILED).update(state=State.STARTING, process={}, error="")
        managed.filter(wanted=True, state=State.FAILED).update(process={})
        managed.filter(wanted=False).update(state=State.STOPPED, process={})

    def serve(self, stop: threading.Event) -> None:
        """Rounds until `stop` is set. A database that is away for a while ends no server."""
        while not stop.is_set():
            try:
                self.round()
            except DatabaseError:
                logger.exception("The database cannot be reached; the servers stay as they are")
            finally:
                close_old_connections()
            stop.wait(self.rhythm.round)

    def round(self) -> None:
        wanted = {row.pk: row for row in self._wanted()}
        self._stop_unwanted(wanted)
        for pk, server in list(self.running.items()):
            self._look_after(wanted[pk], server)
        # Asked again: what failed a moment ago must not be started from an old look.
        for deployment in self._wanted():
            self._start_if_due(deployment)
        for deployment in Deployment.objects.filter(backend=Deployment.Backend.URL, wanted=True):
            self._check_outside(deployment)

    def _wanted(self) -> QuerySet[Deployment]:
        rows = Deployment.objects.filter(backend__in=MANAGED, wanted=True).exclude(state=State.FAILED)
        return rows.select_related("version__model").order_by("id")

    # Starting and stopping

    def _start_if_due(self, deployment: Deployment) -> None:
        if deployment.pk in self.running or time.monotonic() < self.not_before.get(deployment.pk, 0):
            return
        if len(self.running) >= settings.SERVE_MOST:
            message = _("%d servers run already; stop one of them to make room.") % settings.SERVE_MOST
            Deployment.objects.filter(pk=deployment.pk).exclude(error=message).update(error=message)
            return
        try:
            server = servers.start(deployment)
        except (CannotStart, OSError, ValueError) as error:
            self._give_up(deployment.pk, str(error))
            return
        logger.info("Starting %s as process %d", deployment, server.process.pid)
        self.running[deployment.pk] = server
        process = {
            "host": socket.gethostname(),
            "pid": server.process.pid,
            "port": server.port,
            "started_at": clock.now().isoformat(),
        }
        Deployment.objects.filter(pk=deployment.pk, wanted=True).update(
            state=State.STARTING, process=process, url=f"{server.url}/v1", remote_model=servers.MODEL, error=""
        )

    def _stop_unwanted(self, wanted: dict[int, Deployment]) -> None:
        for pk in [pk for pk in self.running if pk not in wanted]:
            self._drop(pk)
        gone = Deployment.objects.filter(backend__in=MANAGED, wanted=False)
        gone.exclude(state=State.STOPPED, process={}).update(state=State.STOPPED, process={})

    def _drop(self, pk: int) -> Server:
        server = self.running.pop(pk)
        self.checks.pop(pk, None)
        server.stop(self.rhythm.grace)
        return server

    # Health

    def _look_after(self, deployment: Deployment, server: Server) -> None:
        status = server.process.poll()
        if status is not None:
            self._died(deployment.pk, _("The server ended with status %d.") % status)
        elif server.ready_since is None:
            self._look_for_readiness(deployment, server)
        else:
            self._look_for_health(deployment, server)

    def _look_for_readiness(self, deployment: Deployment, server: Server) -> None:
        complaint = self._check(deployment.pk, self.rhythm.round, lambda: warm(server.url))
        if complaint == "":
            server.ready_since = time.monotonic()
            now = clock.now()
            # Whoever stopped it meanwhile has won: the row is no longer wanted, the next round ends the process.
            ours = Deployment.objects.filter(pk=deployment.pk, wanted=True, state=State.STARTING)
            ours.update(state=State.READY, ready_at=now, heartbeat_at=now, error="")
            logger.info("%s is ready", deployment)
        elif time.monotonic() - server.started > self.rhythm.start_limit:
            self._died(deployment.pk, _("The server did not become ready in time: %s") % (complaint or ""))

    def _look_for_health(self, deployment: Deployment, server: Server) -> None:
        complaint = self._check(
            deployment.pk, self.rhythm.health, lambda: healthy(server.url, self.rhythm.health_timeout)
        )
        if complaint is None:
            return
        server.missed = server.missed + 1 if complaint else 0
        if not complaint:
            Deployment.objects.filter(pk=deployment.pk, state=State.READY).update(heartbeat_at=clock.now())
        elif server.missed >= self.rhythm.missed_limit:
            self._died(deployment.pk, _("The server stopped answering: %s") % complaint)

    def _check(self, pk: int, every: float, work: Any) -> str | None:
        """Run `work` in a thread every so often. None: nothing new; empty: well; else the complaint."""
        at, running = self.checks.get(pk, (0.0, None))
        if running is not None:
            if not running.done():
                return None
            self.checks[pk] = (at, None)
            return running.result()
        if time.monotonic() - at >= every:
            self.checks[pk] = (time.monotonic(), self.pool.submit(work))
        return None

    def _died(self, pk: int, complaint: str) -> None:
        """Start again later, a few times; then fail, with the end of the log."""
        server = self._drop(pk)
        message = "\n".join(part for part in (complaint, server.last_lines()) if part)
        steady = server.ready_since is not None and time.monotonic() - server.ready_since > self.rhythm.steady
        failures = 1 if steady else self.failures.get(pk, 0) + 1
        self.failures[pk] = failures
        if failures >= self.rhythm.tries:
            self._give_up(pk, message)
            return
        logger.warning("Deployment %d: %s", pk, complaint)
        self.not_before[pk] = time.monotonic() + min(2.0**failures, self.rhythm.longest_backoff)
        Deployment.objects.filter(pk=pk, wanted=True).update(state=State.STARTING, process={}, error=message)

    def _give_up(self, pk: int, message: str) -> None:
        logger.error("Deployment %d failed: %s", pk, message)
        Deployment.objects.filter(pk=pk, wanted=True).update(state=State.FAILED, process={}, error=message)
        self.failures.pop(pk, None)
        self.not_before.pop(pk, None)

    # Addresses that others run

    def _check_outside(self, deployment: Deployment) -> None:
        complaint = self._check(deployment.pk, self.rhythm.outside, lambda: reachable(deployment))
        if complaint is None:
            return
        row = Deployment.objects.filter(pk=deployment.pk, wanted=True)
        now = clock.now()
        if complaint:
            row.update(state=State.FAILED, error=complaint)
            return
        row.exclude(state=State.READY).update(state=State.READY, ready_at=now, error="")
        row.update(heartbeat_at=now)


def healthy(url: str, timeout: float = 5.0) -> str:
    try:
        answer = httpx.get(f"{url}/health", timeout=timeout, trust_env=False)
    except httpx.HTTPError as error:
        return type(error).__name__
    return "" if answer.status_code == 200 else _("status %d") % answer.status_code


def warm(url: str) -> str:
    """Healthy, and one token said: the first request of a server is its slowest, so nobody waits for it."""
    complaint = healthy(url)
    if complaint:
        return complaint
    body = {"model": servers.MODEL, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 1}
    try:
        answer = httpx.post(f"{url}/v1/chat/completions", json=body, timeout=300, trust_env=False)
    except httpx.HTTPError as error:
        return type(error).__name__
    return "" if answer.status_code == 200 else answer.text[:500]


def reachable(deployment: Deployment) -> str:
    """Whether an outside address lists its models, or at least answers that it keeps no list."""
    headers = {"Authorization": f"Bearer {deployment.api_key}"} if deployment.api_key else {}
    try:
        answer = httpx.get(f"{deployment.url}/models", timeout=5, headers=headers)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return _("It cannot be reached: %s.") % type(error).__name__
    if answer.status_code in (401, 403):
        return _("It refuses the key.")
    return "" if answer.status_code in (200, 404, 405) else _("It answers with status %d.") % answer.status_code
