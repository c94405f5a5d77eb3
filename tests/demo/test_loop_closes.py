"""The whole circle with a random model: real web, gateway, worker, tick, supervisor, launcher and model server."""

import json
import os
import signal
import socket
import subprocess
import sys
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


def run_demo(var: Path, environment: dict[str, str]) -> tuple[int, str]:
    command = [sys.executable, "-m", "demo", "--tiny", "--unattended", "--var", str(var)]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        said, _ = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=60)
        pytest.fail(f"The loop did not close in {PATIENCE} s:\n{said}")
    return process.returncode, said


@pytest.mark.launcher
@pytest.mark.timeout(2 * PATIENCE + 120)
def test_the_loop_closes_with_the_tiny_model_and_a_second_start_does_nothing_twice(tmp_path, environment):
    var = tmp_path / "var"
    _code, said = run_demo(var, environment)
    assert (var / "report.json").exists(), said
    first = json.loads((var / "report.json").read_text())
    assert first["closed"], said
    launched = {
        run["method"]: (run["state"], run["launcher"], run["world_size"], run["zero_stage"]) for run in first["runs"]
    }
    assert {launched[method] for method in ("sft", "reward", "dpo")} == {("succeeded", "deepspeed", 2, 2)}
    assert set(launched) == {"import", "generate", "sft", "reward", "dpo", "evaluate"}
    assert first["win_rate"]["n"] > 0
    keys = {"closed", "runs", "win_rate", "reward_accuracy", "phases", "seconds", "peak_rss_mb"}
    assert set(first) == keys
    _code, said = run_demo(var, environment)
    again = json.loads((var / "report.json").read_text())
    assert again["closed"], said
    assert (again["runs"], again["win_rate"]) == (first["runs"], first["win_rate"])
