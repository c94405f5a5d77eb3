"""The proof of exactly N, in short, and its control: with the claim's lock gone it must find what went wrong."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from benchmarks.prove.recount import recount

ROOT = Path(__file__).resolve().parents[2]


def write(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def said(actor: str, key: str, *, surplus: bool = False) -> dict:
    return {"actor": actor, "key": key, "surplus": surplus, "answers": {}}


def test_the_recount_finds_what_is_too_much_what_is_lost_and_what_is_missing(tmp_path):
    """Overlap 2. Task 1: a, b and c count: 1 too many. Task 2: a twice: 1 too many. Task 3: only b: unfinished; c came late.

    Counted 3 + 2 + 1 = 6, surplus 1. Of the four acknowledged answers one (d's) is nowhere: lost 1.
    """
    export = write(
        tmp_path / "export.jsonl",
        [
            {"id": "t1", "annotations": [said("a", "1"), said("b", "2"), said("c", "3")]},
            {"id": "t2", "annotations": [said("a", "4"), said("a", "5")]},
            {"id": "t3", "annotations": [said("b", "6"), said("c", "7", surplus=True)]},
        ],
    )
    acks = write(
        tmp_path / "acks.jsonl",
        [
            {"actor": "a", "key": "1", "task": "t1"},
            {"actor": "a", "key": "1", "task": "t1"},
            {"actor": "b", "key": "6", "task": "t3"},
            {"actor": "c", "key": "7", "task": "t3"},
            {"actor": "d", "key": "8", "task": "t3"},
        ],
    )
    assert recount(acks, export, 2) == {
        "tasks": 3,
        "overlap": 2,
        "counted": 6,
        "duplicates": 2,
        "lost": 1,
        "surplus": 1,
        "unfinished": 1,
        "acknowledged": 4,
    }


def prove(folder: Path, **environment: str) -> tuple[int, dict]:
    command = [
        sys.executable,
        "-m",
        "benchmarks.prove",
        "--tasks",
        "60",
        "--kill-seconds",
        "6",
        "--folder",
        str(folder),
    ]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "PLUMBLINE_VAR": str(folder / "var"), **environment},
        capture_output=True,
        text=True,
        timeout=600,
    )
    lines = done.stdout.strip().splitlines()
    assert lines, done.stderr[-3000:]
    return done.returncode, json.loads(lines[-1])


on_postgresql = pytest.mark.skipif(
    "postgresql" not in settings.DATABASES["default"]["ENGINE"], reason="the proof runs many processes on PostgreSQL"
)


@pytest.mark.launcher
@on_postgresql
def test_many_processes_end_with_exactly_n_answers_per_task_though_they_are_killed(tmp_path):
    """60 tasks at overlap 3, 24 tabs of 12 people in 6 processes, kill -9 into them and into the web workers."""
    status, figures = prove(tmp_path)
    assert (status, figures["counted"], figures["duplicates"], figures["lost"]) == (0, 180, 0, 0), figures
    assert figures["kills"] > 3


@pytest.mark.launcher
@on_postgresql
def test_the_proof_finds_the_duplicates_of_a_claim_that_locks_nothing(tmp_path):
    status, figures = prove(tmp_path, PROVE_BREAK="1")
    assert status == 1
    assert figures["duplicates"] > 0
