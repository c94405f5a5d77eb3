"""`python -m training.engine.warm`: compile DeepSpeed's CPU communication extension once, at set-up.

Otherwise the first run of every rank compiles it (30 s), and a rank killed meanwhile leaves a lock file on which every
later run waits for ever. TORCH_EXTENSIONS_DIR says where; the same directory must be set for the runs (see plan.py).
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

COMPILERS = {"ninja", "g++", "c++", "cc1plus"}


def compiling() -> bool:
    """Whether any process of this machine is compiling; asked of /proc, so Linux only."""
    return any(_name(path) in COMPILERS for path in Path("/proc").glob("[0-9]*"))


def _name(process: Path) -> str:
    try:
        return (process / "comm").read_text().strip()
    except OSError:  # it ended while we looked
        return ""


def clear_stale_locks(directory: Path) -> list[str]:
    """Delete `*/lock` unless something is compiling now; returns the extensions that were locked."""
    if compiling():
        return []
    locks = sorted(directory.glob("*/lock"))
    for lock in locks:
        lock.unlink()
    return [lock.parent.name for lock in locks]


def main() -> int:
    directory = os.environ.get("TORCH_EXTENSIONS_DIR")
    if not directory:
        sys.stderr.write("Set TORCH_EXTENSIONS_DIR to the directory that the runs will use.\n")
        return 2
    if shutil.which("g++") is None:
        sys.stderr.write("A C++ compiler is needed. Install g++ (Debian: apt-get install g++).\n")
        return 1
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    os.environ.setdefault("DS_ACCELERATOR", "cpu")
    Path(directory).mkdir(parents=True, exist_ok=True)
    for name in clear_stale_locks(Path(directory)):
        sys.stdout.write(f"Removed a stale lock of {name}.\n")
    from deepspeed.accelerator import get_accelerator

    get_accelerator().create_op_builder("ShareMemCommBuilder").load(verbose=False)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
