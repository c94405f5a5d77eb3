"""`python -m training.engine <run directory>`: run, or resume, one run. Also started by the deepspeed launcher."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from training.engine.errors import PEER_LOST_EXIT, PeerLost
from training.engine.runner import execute
from training.engine.world import from_environment, leave


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m training.engine", description=__doc__)
    parser.add_argument("run", type=Path, help="the run directory, with its spec.json")
    parser.add_argument("--local_rank", "--local-rank", type=int, default=0, help="given by the launcher")
    root = parser.parse_args().run
    if not root.is_dir():
        return complain(f"{root} is not a directory.", "Give the path of a run directory that holds spec.json.", 2)
    try:
        result = execute(root)
    except PeerLost as error:
        return complain(error.message, error.hint, PEER_LOST_EXIT)
    if result["state"] == "failed":
        return complain(result["error"]["message"], result["error"]["hint"], 1)
    return 0


def complain(message: str, hint: str, code: int) -> int:
    sys.stderr.write(f"{message} {hint}\n")
    return code


if __name__ == "__main__":
    leave(from_environment(), main())
