"""Keeps the product's processes up: one process group each, a log file each, one that dies is started again.

Knows neither Django nor what the programs do, so that `manage.py up` and the demo share it.
"""

import fcntl
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import psutil

Say = Callable[[str], None]
LOOK_SECONDS = 0.2
LONGEST_PAUSE = 30.0
STEADY_SECONDS = 30.0
"""A program that ran this long before it died has a fresh start: its pause is the shortest again."""
TERM_SECONDS = 10.0
SAME_START = 0.05


class CannotStart(Exception):
    """One sentence and a hint for the person at the terminal."""


@dataclass(frozen=True)
class Program:
    """`port`: the loopback port it will listen on, `setting`: the variable by which a person gives it another."""

    name: str
    argv: list[str]
    port: int | None = None
    setting: str = ""


@dataclass
class Running:
    program: Program
    process: "subprocess.Popen[bytes] | None" = None
    started: float = 0.0
    deaths: int = 0
    due: float = 0.0


def stop_on_signals(over: threading.Event) -> None:
    """Ctrl-C, TERM and a closed terminal (unless that is ignored, as under nohup) set `over`. Only in the main thread."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda *_: over.set())


def restart_pause(deaths: int) -> float:
    """Seconds before the next start after so many deaths in a row: 0.5, 1, 2, … at most half a minute."""
    return float(min(LONGEST_PAUSE, 0.5 * 2 ** max(0, min(deaths, 10) - 1)))


def check_ports(programs: list[Program]) -> None:
    """Errors: CannotStart, naming who listens there."""
    for program in programs:
        if program.port is not None and not port_is_free(program.port):
            raise CannotStart(
                f"Port {program.port} is in use{_by_whom(program.port)}. Stop it, or set {program.setting}."
            )


def port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _by_whom(port: int) -> str:
    try:
        for connection in psutil.net_connections(kind="tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
                return f" by pid {connection.pid} ({psutil.Process(connection.pid).name()})"
    except psutil.Error:  # other people's processes may not be looked at
        return ""
    return ""


@dataclass
class Keeper:
    """Start with `with keeper:`; `watch` returns when `over` is set. Only one keeper at a time works in a `var` folder."""

    programs: list[Program]
    var: Path
    environment: dict[str, str]
    say: Say = print
    over: threading.Event = field(default_factory=threading.Event)
    running: list[Running] = field(default_factory=list)
    _lock: IO[str] | None = None

    def __enter__(self) -> "Keeper":
        self._only_one()
        self._end_leftovers()
        check_ports(self.programs)
        (self.var / "logs").mkdir(parents=True, exist_ok=True)
        self.running = [Running(program) for program in self.programs]
        for each in self.running:
            self._start(each)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def watch(self) -> None:
        while not self.over.wait(LOOK_SECONDS):
            self.look()

    def look(self) -> None:
        """Bury what died, start again what is due."""
        now = time.monotonic()
        for each in self.running:
            if each.process is not None and each.process.poll() is not None:
                self._died(each, now)
            if each.process is None and now >= each.due:
                self._start(each)

    def stop(self) -> None:
        """TERM to every group at once, KILL to what is left after ten seconds."""
        self.over.set()
        groups = [each.process for each in self.running if each.process is not None]
        for process in groups:
            signal_group(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + TERM_SECONDS
        for process in groups:
            _wait(process, max(0.0, deadline - time.monotonic()))
            signal_group(process.pid, signal.SIGKILL)
            process.wait()
        self._note([])
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _start(self, each: Running) -> None:
        each.process = subprocess.Popen(
            each.program.argv,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        each.started = time.monotonic()
        log = (self.var / "logs" / f"{each.program.name}.log").open("ab", buffering=0)
        threading.Thread(target=_copy, args=(each.process, log), daemon=True).start()
        self._note(self.running)

    def _died(self, each: Running, now: float) -> None:
        assert each.process is not None
        code = each.process.returncode
        signal_group(each.process.pid, signal.SIGKILL)
        each.deaths = 1 if now - each.started > STEADY_SECONDS else each.deaths + 1
        each.process, each.due = None, now + restart_pause(each.deaths)
        self.say(f"{each.program.name} ended ({code}); starting it again. Its log: logs/{each.program.name}.log")

    def _only_one(self) -> None:
        self.var.mkdir(parents=True, exist_ok=True)
        self._lock = (self.var / "processes.lock").open("a+")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise CannotStart(f"Plumbline already runs in {self.var}. Stop it first (Ctrl-C where it runs).") from error

    def _note(self, running: list[Running]) -> None:
        """Who runs, with start times: what a killed keeper left behind is found by it."""
        stamps = []
        for each in running:
            try:
                if each.process is not None:
                    started = psutil.Process(each.process.pid).create_time()
                    stamps.append({"name": each.program.name, "pid": each.process.pid, "started": started})
            except psutil.Error:
                continue
        fresh = self.var / "processes.json.new"
        fresh.write_text(json.dumps(stamps))
        fresh.replace(self.var / "processes.json")

    def _end_leftovers(self) -> None:
        for pid in leftovers(self.var / "processes.json"):
            self.say(f"Ending process {pid}, left behind by a Plumbline that was killed.")
            end_group(pid)


def _copy(process: "subprocess.Popen[bytes]", log: IO[bytes]) -> None:
    """The program's lines into its log, until the last holder of the pipe is gone."""
    assert process.stdout is not None
    with log:
        for line in process.stdout:
            try:
                log.write(line)
            except OSError:  # a full disk must not stop the program by a full pipe
                continue


def leftovers(path: Path) -> Iterator[int]:
    """Pids of the noted processes that still run. A pid that came round again has another start time."""
    try:
        stamps: list[dict[str, Any]] = json.loads(path.read_text())
    except (OSError, ValueError):
        return
    for stamp in stamps:
        try:
            process = psutil.Process(stamp["pid"])
            if abs(process.create_time() - stamp["started"]) < SAME_START and process.status() != psutil.STATUS_ZOMBIE:
                yield process.pid
        except psutil.Error:
            continue


def end_group(pid: int) -> None:
    signal_group(pid, signal.SIGTERM)
    deadline = time.monotonic() + TERM_SECONDS
    while time.monotonic() < deadline and psutil.pid_exists(pid):
        time.sleep(0.05)
    signal_group(pid, signal.SIGKILL)


def signal_group(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return


def _wait(process: "subprocess.Popen[bytes]", seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return


def of_var(var: Path) -> list[psutil.Process]:
    """Every process whose environment names this var folder: programs, supervisors, launchers, ranks, model servers."""
    needle, mine = str(var), os.getpid()
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != mine and any(needle in value for value in process.environ().values()):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def end_runs(var: Path, patience: float = 8.0) -> int:
    """Supervisors first, then what they started: TERM, then KILL. Their rows stay: the next start goes on from checkpoints."""
    found = [process for process in of_var(var) if _is_of_a_run(process)]
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in found:
            try:
                process.send_signal(number)
            except psutil.Error:
                continue
        psutil.wait_procs(found, timeout=patience)
    return len(found)


def _is_of_a_run(process: psutil.Process) -> bool:
    try:
        return "supervise" in process.cmdline()[:4] or "PLUMBLINE_JOB" in process.environ()
    except psutil.Error:
        return False
