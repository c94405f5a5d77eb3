"""Runs one after the other in the processes of one launch: most of a launch is imports.

`python -m tests.engine.ppo.layouts <run directory> …`, under the deepspeed launcher.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from training.engine.runner import execute
from training.engine.world import from_environment, leave


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--local_rank", "--local-rank", type=int, default=0)
    return sum(execute(run)["state"] != "succeeded" for run in parser.parse_args().runs)


if __name__ == "__main__":
    leave(from_environment(), main())
