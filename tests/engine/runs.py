"""Run directories for tests, and reading them back."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from training.engine.files import write_jsonl
from training.engine.tiny import sentences
from training.plan import plan

ROOT = Path(__file__).resolve().parents[2]
ROWS = 24
STARTED: list[subprocess.Popen[bytes]] = []


def user(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def assistant(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def question(number: int) -> list[dict[str, str]]:
    return user(f"Write one sentence about the river, number {number}.")


def sft_rows(count: int = ROWS) -> list[dict[str, Any]]:
    texts = sentences(count, seed=1)
    return [
        {"id": f"r{number}", "prompt": question(number), "completion": assistant(text)}
        for number, text in enumerate(texts)
    ]


def preference_rows(count: int = ROWS) -> list[dict[str, Any]]:
    """Chosen are whole sentences; rejected repeat one word, so that even a tiny model can tell them apart."""
    texts = sentences(count, seed=2)
    return [
        {
            "id": f"p{number}",
            "prompt": question(number),
            "chosen": assistant(text),
            "rejected": assistant("bread " * (3 + number % 4)),
        }
        for number, text in enumerate(texts)
    ]


def prompt_rows(count: int) -> list[dict[str, Any]]:
    return [
        {"id": f"q{number}", "messages": question(number) if number % 2 else user("Bread?")} for number in range(count)
    ]


TOPICS = {
    "water": ["the river", "a small boat"],
    "light": ["a lamp", "the old train"],
    "food": ["the garden", "my neighbour"],
}


def topics(count: int, seed: int = 3) -> list[tuple[str, str]]:
    """Sentences and what they are about, which their subject tells."""
    found = []
    for text in sentences(count * 4, seed=seed):
        for topic, subjects in TOPICS.items():
            if any(text.lower().startswith(subject) for subject in subjects):
                found.append((text, topic))
    return found[:count]


def judged_rows(count: int, seed: int = 3) -> list[dict[str, Any]]:
    """Rows of a snapshot's labels, all of them decided."""
    return [
        {
            "id": f"l{number}",
            "question": "topic",
            "kind": "labels",
            "options": list(TOPICS),
            "text": text,
            "holds": {"labels": [topic]},
        }
        for number, (text, topic) in enumerate(topics(count, seed))
    ]


def make_run(
    root: Path,
    method: str,
    *,
    models: dict[str, Path],
    data: dict[str, list[dict[str, Any]]],
    settings: dict[str, Any] | None = None,
    parallelism: dict[str, Any] | None = None,
    checkpoint: dict[str, Any] | None = None,
    seed: int = 17,
) -> Path:
    """Write spec.json and data/ of a run and return its directory."""
    for role, rows in data.items():
        write_jsonl(root / "data" / f"{role}.jsonl", rows)
    spec = {
        "schema_version": 1,
        "run": root.name,
        "method": method,
        "seed": seed,
        **{name: {"path": str(path)} for name, path in models.items()},
        "data": {role: {"path": f"data/{role}.jsonl", "rows": len(rows)} for role, rows in data.items()},
        "hyperparameters": settings or {},
        "parallelism": {"device": "cpu", **(parallelism or {})},
        "checkpoint": checkpoint or {},
    }
    root.mkdir(parents=True, exist_ok=True)
    (root / "spec.json").write_text(json.dumps(spec), encoding="utf-8")
    return root


def events(root: Path, kind: str) -> list[dict[str, Any]]:
    lines = (root / "events.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    rows = [json.loads(line) for line in lines if line.endswith("\n")]
    return [row["data"] for row in rows if row["kind"] == kind]


def result(root: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((root / "result.json").read_text(encoding="utf-8"))
    return value


def losses(root: Path) -> dict[int, float]:
    """Loss by step; a step run again after a resume counts with its last value."""
    return {row["step"]: row["loss"] for row in events(root, "metric")}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def start(root: Path, *others: Path, module: str = "training.engine") -> subprocess.Popen[bytes]:
    """Start a run as the supervisor does: by its plan, in a session of its own. `module` may take `others` of its layout."""
    spec = json.loads((root / "spec.json").read_text(encoding="utf-8"))
    venv = Path(sys.executable).parent.parent
    target = {
        "run_dir": str(root),
        "root": str(ROOT),
        "venv": str(venv),
        "var": str(ROOT / "var"),
        "master_port": free_port(),
        "path": os.environ["PATH"],
    }
    launch = plan(spec, target)
    argv = [module if part == "training.engine" else part for part in launch.argv]
    output = (root / "launcher.log").open("ab")
    environment = {**os.environ, **launch.environment}
    process = subprocess.Popen(
        [*argv, *map(str, others)],
        env=environment,
        cwd=launch.cwd,
        stdout=output,
        stderr=output,
        start_new_session=True,
    )
    STARTED.append(process)
    return process


def wait_until(condition: Callable[[], bool], seconds: float = 400.0) -> None:
    import time

    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("the run did not get there")
        time.sleep(0.05)


def hollow_model(folder: Path, parameters: int) -> Path:
    """Files of a model that say that it has so many parameters, and hold none of them."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"hidden_size": 8, "num_hidden_layers": 1, "vocab_size": 9}))
    weight = {"dtype": "F32", "shape": [parameters], "data_offsets": [0, 4 * parameters]}
    header = json.dumps({"w": weight}).encode()
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    return folder
