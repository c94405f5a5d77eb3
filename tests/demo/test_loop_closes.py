"""The whole circle with a random model: real web, gateway, worker, tick, supervisor, launcher and model server."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from jobs.keeper import of_var

ROOT = Path(__file__).resolve().parent.parent.parent
PATIENCE = 900


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def environment(tmp_path):
    """The product's own settings, never the tests'; a database of its own, since the demo migrates it."""
    kept = {
        name: value for name, value in os.environ.items() if name not in ("DJANGO_SETTINGS_MODULE", "PLUMBLINE_VAR")
    }
    ports = {"PLUMBLINE_PORT": str(free_port()), "PLUMBLINE_GATEWAY_PORT": str(free_port())}
    url = kept.pop("DATABASE_URL", "")
    if not url.startswith("postgres"):
        yield kept | ports
        return
    import psycopg
    from psycopg import sql

    name = f"plumbline_loop_{os.getpid()}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield kept | ports | {"DATABASE_URL": f"{url.rpartition('/')[0]}/{name}"}
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def run_demo(var: Path, environment: dict[str, str], while_it_runs=lambda line: None) -> str:
    """Everything it said. `while_it_runs` is called with every line, as soon as it is said."""
    command = [sys.executable, "-m", "demo", "--tiny", "--unattended", "--var", str(var)]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    alarm = threading.Timer(PATIENCE, process.terminate)
    alarm.start()
    said = []
    try:
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)
            while_it_runs(line.strip())
        process.wait(60)
    finally:
        alarm.cancel()
        process.kill()
    return "".join(said)


def report_of(var: Path, said: str) -> dict:
    assert (var / "report.json").exists(), said
    found = json.loads((var / "report.json").read_text())
    assert found["closed"], said
    return found


class Killer:
    """Kills each kind of process once, at a moment when it has something to lose.

    The demo looks at a run now and then, so of a run's first phases it may say any one alone. Of the reward model it may say
    nothing: that trains while a killed run pauses, and can be done before it is waited for.
    """

    def __init__(self, var: Path) -> None:
        self.var, self.killed = var, []
        self.moments = {
            "· generate": lambda: self.program("worker"),
            "· judge …": lambda: self.program("web"),
            "· freeze": lambda: self.program("tick"),
            r"sft: (starting|loading|training)": lambda: self.of_run("rank", "training.engine", "--local_rank=1"),
            r"dpo: (starting|loading|training)": lambda: self.of_run("launcher", "deepspeed.launcher.launch"),
            r"evaluate: (starting|loading|generating)": lambda: self.of_run("supervisor", "supervise"),
            "· deploy": lambda: self.program("models"),
            "· ask": lambda: self.program("gateway"),
        }

    def __call__(self, line: str) -> None:
        for moment in [moment for moment in self.moments if re.match(moment, line)]:
            self.moments.pop(moment)()

    def program(self, name: str) -> None:
        stamps = json.loads((self.var / "processes.json").read_text())
        self._kill(name, [stamp["pid"] for stamp in stamps if stamp["name"] == name])

    def of_run(self, name: str, *words: str) -> None:
        self._kill(
            name, [each.pid for each in of_var(self.var) if all(word in " ".join(each.cmdline()) for word in words)]
        )

    def _kill(self, name: str, pids: list[int]) -> None:
        assert pids, f"no {name} was running"
        os.kill(pids[0], signal.SIGKILL)
        self.killed.append(name)


@pytest.mark.launcher
@pytest.mark.timeout(2 * PATIENCE + 120)
def test_the_loop_closes_though_every_process_is_killed_once_and_a_second_start_does_nothing_twice(
    tmp_path, environment
):
    var = tmp_path / "var"
    killer = Killer(var)
    first = report_of(var, run_demo(var, environment, killer))
    assert set(killer.killed) == {"worker", "web", "tick", "rank", "supervisor", "launcher", "models", "gateway"}
    methods = [run["method"] for run in first["runs"]]
    assert sorted(methods) == ["dpo", "evaluate", "generate", "generate", "generate", "import", "reward", "sft"]
    launched = {
        run["method"]: (run["state"], run["launcher"], run["world_size"], run["zero_stage"]) for run in first["runs"]
    }
    assert {launched[method] for method in ("sft", "reward", "dpo")} == {("succeeded", "deepspeed", 2, 2)}
    assert {run["state"] for run in first["runs"]} == {"succeeded"}
    assert first["win_rate"]["n"] > 0
    assert set(first) == {"closed", "runs", "win_rate", "reward_accuracy", "phases", "seconds", "peak_rss_mb"}
    again = report_of(var, run_demo(var, environment))
    assert (again["runs"], again["win_rate"]) == (first["runs"], first["win_rate"])
