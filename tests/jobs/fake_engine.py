"""An engine that computes nothing but keeps the run directory's contract: the fake at the border. Standard library only.

Reads spec.json {"steps", "seconds" a step, "checkpoint_every", and how to misbehave}; writes a line to work.log for every step it
does, and to starts.log for every start, so that a test can tell what was done twice.
"""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(sys.argv[1])


def append(name: str, text: str) -> None:
    with (ROOT / name).open("a") as stream:
        stream.write(text + "\n")


def write_beside(path: Path, value: object) -> None:
    part = path.with_suffix(".part")
    part.write_text(json.dumps(value))
    os.replace(part, path)


def note_survivors() -> None:
    """Ranks of an earlier start that still compute into this directory."""
    ranks = ROOT / "ranks.log"
    for pid in ranks.read_text().split() if ranks.exists() else []:
        status = Path(f"/proc/{pid}/stat")
        if status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z":
            append("survivors.log", pid)


def resume() -> tuple[int, int]:
    """(step of the newest checkpoint, last sequence number); a torn last line is dropped as the engine does."""
    events = ROOT / "events.jsonl"
    raw = events.read_bytes() if events.exists() else b""
    whole = raw[: raw.rfind(b"\n") + 1]
    events.write_bytes(whole)
    lines = whole.splitlines()
    checkpoint = ROOT / "checkpoint.json"
    step = json.loads(checkpoint.read_text())["step"] if checkpoint.exists() else 0
    return step, json.loads(lines[-1])["seq"] if lines else 0


def main() -> None:
    spec = json.loads((ROOT / "spec.json").read_text())
    append("starts.log", str(os.getpid()))
    note_survivors()
    if spec.get("deaf"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if spec.get("ranks"):
        sleeper = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
        rank = subprocess.Popen([sys.executable, "-c", sleeper])
        append("ranks.log", str(rank.pid))
    step, seq = resume()
    time.sleep(spec.get("loads_for", 0))

    def emit(kind: str, **data: object) -> None:
        nonlocal seq
        seq += 1
        at = datetime.now(UTC).isoformat()
        append("events.jsonl", json.dumps({"seq": seq, "at": at, "kind": kind, "data": data}))

    def finish(state: str, **more: object) -> None:
        write_beside(ROOT / "result.json", {"state": state, "steps": step, "metrics": {}, "error": None, **more})

    emit("phase", name="resumed" if step else "training", step=step, steps=spec["steps"])
    while step < spec["steps"]:
        time.sleep(spec.get("seconds", 0.05))
        if (ROOT / "control" / "stop").exists() and not spec.get("deaf"):
            return finish("cancelled")
        if step + 1 == spec.get("hang_at") and len((ROOT / "starts.log").read_text().split()) == 1:
            time.sleep(600)
        if step + 1 == spec.get("crash_at"):
            sys.exit(3)
        step += 1
        append("work.log", str(step))
        emit("metric", step=step, loss=1.0 / step)
        if step % spec.get("checkpoint_every", 5) == 0:
            write_beside(ROOT / "checkpoint.json", {"step": step})
            emit("checkpoint", step=step, name=f"step-{step}")
    first = len((ROOT / "starts.log").read_text().split()) == 1
    if spec.get("error") and (first or not spec.get("only_once")):
        return finish("failed", error=spec["error"])
    finish("succeeded")
    if spec.get("linger"):
        time.sleep(600)
    sys.exit(spec.get("exit_code", 0))


main()
