"""`python -m training.engine.node <run directory> [rank]`: one machine's part of a run on several machines. Standard library only.

Starts what follow.json says in a session of its own and stays until that ended or must end; then its process group is ended, and
nothing else. It must end when this process is told so (TERM), and where it is watched, when its input ends or has been silent for
a minute: then the follower, its machine or the network is gone, and nobody would ever come back for these processes.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

SILENCE_SECONDS = 60.0
TERM_SECONDS = 10.0
LOCK_SECONDS = 90.0
LOOK_SECONDS = 0.2
RANKS = ("SLURM_NODEID", "JOB_COMPLETION_INDEX")
GIVEN_UP = 75


def main() -> int:
    root = Path(sys.argv[1])
    rank = int(sys.argv[2]) if len(sys.argv) > 2 else rank_from(os.environ)
    node = json.loads((root / "follow.json").read_text(encoding="utf-8"))["node"]
    with Locked(root / "control" / f"node-{rank}.lock"):
        return Node(root, rank, node).run()


def rank_from(environment: Any) -> int:
    """Of this machine, as the scheduler numbers them; the only one without a scheduler."""
    return next((int(environment[name]) for name in RANKS if name in environment), 0)


class Locked:
    """Two attempts of a run never work in one directory: the later waits until the earlier's processes are gone."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.stream = path.open("w")

    def __enter__(self) -> None:
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                return fcntl.lockf(self.stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                if time.monotonic() > deadline:
                    sys.exit("The processes of an earlier attempt still hold this run directory.")
                time.sleep(LOOK_SECONDS)

    def __exit__(self, *_: object) -> None:
        self.stream.close()


class Node:
    def __init__(self, root: Path, rank: int, node: dict[str, Any]) -> None:
        self.root, self.rank, self.node = root, rank, node
        self.told = False
        self.heard = time.monotonic()

    def run(self) -> int:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._tell)
        output = open(self.node["log"], "ab") if self.node.get("log") else None  # noqa: SIM115  the child's for good
        environment = {**os.environ, **self.node["environment"]}
        child = subprocess.Popen(
            self.argv(), env=environment, cwd=self.root, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip
        while child.poll() is None and not self._must_end():
            time.sleep(LOOK_SECONDS)
        ended = child.poll()
        end_group(child)
        return GIVEN_UP if ended is None else ended % 256

    def argv(self) -> list[str]:
        """DeepSpeed's launcher learns which machine this is and where the first one is."""
        argv: list[str] = self.node["argv"]
        if "--hostfile" not in argv:
            return argv
        first = (self.root / "hostfile").read_text(encoding="utf-8").split()[0]
        place = argv.index("--module")
        return [*argv[:place], "--node_rank", str(self.rank), "--master_addr", first, *argv[place:]]

    def _tell(self, *_: object) -> None:
        self.told = True

    def _must_end(self) -> bool:
        if self.told or not self.node["watched"]:
            return self.told
        readable, _writable, _errors = select.select([sys.stdin], [], [], 0)
        if readable:
            if not os.read(sys.stdin.fileno(), 4096):
                return True
            self.heard = time.monotonic()
        return time.monotonic() - self.heard > SILENCE_SECONDS


def end_group(child: subprocess.Popen[bytes]) -> None:
    """TERM, a grace, KILL, to the whole group. Also after the launcher ended: it can leave its ranks behind."""
    signal_group(child.pid, signal.SIGTERM)
    deadline = time.monotonic() + TERM_SECONDS
    while time.monotonic() < deadline and signal_group(child.pid, 0):
        child.poll()
        time.sleep(0.05)
    signal_group(child.pid, signal.SIGKILL)
    child.wait()


def signal_group(group: int, number: int) -> bool:
    """Whether there is still somebody in it."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
