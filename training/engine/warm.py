"""`python -m training.engine.warm`: compile DeepSpeed's CPU communication extension once, at set-up.

Otherwise the first run of every rank compiles it (30 s), and a rank killed meanwhile leaves a lock file on which every
later run waits for ever. TORCH_EXTENSIONS_DIR says where; the same directory must be set for the runs (see plan.py).
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOOK_SECONDS = 1.0


def holders(lock: Path) -> list[int]:
    """Processes that have the lock file open: whoever takes the lock keeps it open. Asked of /proc, so Linux only."""
    return [int(link.parts[2]) for link in Path("/proc").glob("[0-9]*/fd/*") if _target(link) == str(lock)]


def _target(link: Path) -> str:
    try:
        return os.readlink(link)
    except OSError:  # it was closed, or belongs to somebody else
        return ""


def clear_stale_locks(directory: Path) -> list[str]:
    """Delete the `*/lock` that nobody holds; returns the extensions that were locked."""
    locks = [lock for lock in sorted(directory.resolve().glob("*/lock")) if not holders(lock)]
    for lock in locks:
        lock.unlink(missing_ok=True)
    return [lock.parent.name for lock in locks]


@contextmanager
def no_stale_locks() -> Iterator[None]:
    """While a run starts: a lock left by a killed process would be waited for without end, however late it is left."""
    directory, over = Path(os.environ.get("TORCH_EXTENSIONS_DIR", "")), threading.Event()

    def look() -> None:
        clear_stale_locks(directory)
        while not over.wait(LOOK_SECONDS):
            clear_stale_locks(directory)

    watcher = threading.Thread(target=look, daemon=True)
    if os.environ.get("TORCH_EXTENSIONS_DIR"):
        watcher.start()
    try:
        yield
    finally:
        over.set()


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
