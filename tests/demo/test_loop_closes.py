"""The whole circle with a random model: real web, gateway, worker, tick, supervisor, launcher and model server."""

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

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


@pytest.mark.launcher
@pytest.mark.timeout(2 * PATIENCE + 120)
def test_the_loop_closes_with_the_tiny_model_and_a_second_start_does_nothing_twice(tmp_path, environment):
    var = tmp_path / "var"
    first = report_of(var, run_demo(var, environment))
    launched = {
        run["method"]: (run["state"], run["launcher"], run["world_size"], run["zero_stage"]) for run in first["runs"]
    }
    assert {launched[method] for method in ("sft", "reward", "dpo")} == {("succeeded", "deepspeed", 2, 2)}
    assert set(launched) == {"import", "generate", "sft", "reward", "dpo", "evaluate"}
    assert first["win_rate"]["n"] > 0
    assert set(first) == {"closed", "runs", "win_rate", "reward_accuracy", "phases", "seconds", "peak_rss_mb"}
    again = report_of(var, run_demo(var, environment))
    assert (again["runs"], again["win_rate"]) == (first["runs"], first["win_rate"])
