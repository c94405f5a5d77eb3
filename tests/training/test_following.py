"""The follower and the agent, with a cluster whose commands are small scripts and processes that are real."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.engine.runs import ROOT, wait_until
from training.follow import ENDED, RUNNING, WAITING, Kubernetes, Refused, Slurm

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def put_commands(folder: Path, monkeypatch: pytest.MonkeyPatch, **scripts: str) -> Path:
    """Commands of a cluster at the front of the path; each notes its arguments in `asked`."""
    for name, body in scripts.items():
        path = folder / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >> {folder}/asked\n{body}\n')
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder / "asked"


@pytest.mark.parametrize(
    ("shown", "answer"),
    [
        ("JobId=7 JobState=PENDING ExitCode=0:0", (WAITING, 0)),
        ("JobId=7 JobState=RUNNING ExitCode=0:0", (RUNNING, 0)),
        ("JobId=7 JobState=COMPLETING ExitCode=0:0", (RUNNING, 0)),
        ("JobId=7 JobState=COMPLETED ExitCode=0:0", (ENDED, 0)),
        ("JobId=7 JobState=FAILED ExitCode=3:0", (ENDED, 3)),
        ("JobId=7 JobState=CANCELLED ExitCode=0:15", (ENDED, 1)),
        ("JobId=7 JobState=NODE_FAIL ExitCode=0:0", (ENDED, 1)),
    ],
)
def test_what_slurm_says_is_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shown: str, answer: tuple[str, int]
) -> None:
    put_commands(tmp_path, monkeypatch, scontrol=f"echo '{shown}'")
    assert Slurm({"script": "x"}).poll("7") == answer


def test_a_job_that_slurm_forgot_has_ended_and_a_silent_controller_has_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_commands(tmp_path, monkeypatch, scontrol="echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1")
    assert Slurm({"script": "x"}).poll("7") == (ENDED, 0)
    put_commands(tmp_path, monkeypatch, scontrol="echo 'Unable to contact slurm controller' >&2; exit 1")
    with pytest.raises(Refused, match="Unable to contact"):
        Slurm({"script": "x"}).poll("7")


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (None, (ENDED, 0)),
        ({}, (WAITING, 0)),
        ({"active": 2, "ready": 0}, (WAITING, 0)),
        ({"active": 2, "ready": 2}, (RUNNING, 0)),
        ({"conditions": [{"type": "Complete", "status": "True"}]}, (ENDED, 0)),
        ({"conditions": [{"type": "Failed", "status": "True"}]}, (ENDED, 1)),
        ({"ready": 1, "conditions": [{"type": "Failed", "status": "False"}]}, (RUNNING, 0)),
    ],
)
def test_what_kubernetes_says_is_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: Any, answer: tuple[str, int]
) -> None:
    body = "true" if status is None else f"echo '{json.dumps({'status': status})}'"
    put_commands(tmp_path, monkeypatch, kubectl=body)
    follow = {"kubectl": ["kubectl", "--namespace", "n"], "manifest": "/m", "name": "run"}
    assert Kubernetes(follow).poll("run") == answer


SLURM_FAKE = {
    "sbatch": "echo 41",
    "scancel": "touch {0}/gone",
    "scontrol": "[ -e {0}/gone ] && echo JobState=CANCELLED ExitCode=0:15 || echo JobState=PENDING ExitCode=0:0",
}


def follow_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    root = tmp_path / "run"
    root.mkdir()
    (root / "follow.json").write_text(json.dumps({"kind": "slurm", "script": "/run/slurm.sh"}))
    scripts = {name: body.format(tmp_path) for name, body in SLURM_FAKE.items()}
    return root, put_commands(tmp_path, monkeypatch, **scripts)


def start_follower(root: Path, *options: str) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", "training.follow", *options, str(root)]
    return subprocess.Popen(argv, cwd=ROOT, env={**ENVIRONMENT, "PATH": os.environ["PATH"]})


def test_term_cancels_the_cluster_s_job_and_waiting_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, asked = follow_slurm(tmp_path, monkeypatch)
    follower = start_follower(root)
    wait_until(lambda: (root / "events.jsonl").exists(), 30)
    assert json.loads((root / "remote.json").read_text()) == {"kind": "slurm", "name": "41"}
    follower.send_signal(signal.SIGTERM)
    assert follower.wait(timeout=30) == 143
    assert "scancel --quiet 41" in asked.read_text()
    assert not (root / "remote.json").exists()
    events = [json.loads(line) for line in (root / "events.jsonl").read_text().splitlines()]
    assert events
    assert all(event["kind"] == "heartbeat" and event["data"] == {"pending": True} for event in events)


@pytest.mark.parametrize("options", [[], ["--cancel"]])
def test_what_a_dead_follower_left_is_ended_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    root, asked = follow_slurm(tmp_path, monkeypatch)
    (root / "remote.json").write_text(json.dumps({"kind": "slurm", "name": "40"}))
    assert start_follower(root, *options).wait(timeout=30) in (0, 1)
    words = [line.split()[0] for line in asked.read_text().splitlines()]
    assert words[:2] == ["scancel", "scontrol"], "gone before the next is submitted"
    assert ("sbatch" in words) is not bool(options)
    assert not (root / "remote.json").exists()


def agent(root: Path, script: str, *, watched: bool = True) -> subprocess.Popen[bytes]:
    """An agent whose launcher is a shell that leaves a child behind when it ends."""
    node = {"argv": ["sh", "-c", script], "environment": {}, "watched": watched}
    root.mkdir(exist_ok=True)
    (root / "follow.json").write_text(json.dumps({"node": node}))
    argv = [sys.executable, "-m", "training.engine.node", str(root), "0"]
    return subprocess.Popen(argv, cwd=ROOT, env=ENVIRONMENT, stdin=subprocess.PIPE)


STUBBORN = "sh -c 'echo $$ > child; exec sleep 300' & echo started; wait"


def child_of(root: Path) -> int:
    wait_until(lambda: (root / "child").exists() and (root / "child").read_text().strip() != "", 30)
    return int((root / "child").read_text())


@pytest.mark.parametrize("how", ["input ends", "term", "launcher dies"])
def test_an_agent_leaves_nothing_behind(tmp_path: Path, how: str) -> None:
    root = tmp_path / "run"
    script = "sh -c 'echo $$ > child; exec sleep 300' & sleep 0.5; exit 3" if how == "launcher dies" else STUBBORN
    one = agent(root, script)
    child = child_of(root)
    if how == "input ends":
        assert one.stdin is not None
        one.stdin.close()
    elif how == "term":
        one.send_signal(signal.SIGTERM)
    assert one.wait(timeout=30) == (3 if how == "launcher dies" else 75)
    assert not psutil.pid_exists(child)


def test_a_second_agent_waits_until_the_first_is_gone(tmp_path: Path) -> None:
    root = tmp_path / "run"
    first = agent(root, STUBBORN)
    child = child_of(root)
    second = agent(root, "touch second")
    time.sleep(1.5)
    assert not (root / "second").exists()
    first.send_signal(signal.SIGTERM)
    first.wait(timeout=30)
    assert second.wait(timeout=30) == 0
    assert (root / "second").exists()
    assert not psutil.pid_exists(child)
