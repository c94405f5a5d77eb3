"""A rank killed while it compiles leaves a lock behind on which every later run would wait."""

import os
import subprocess
import sys
import time
from pathlib import Path

from training.engine import warm

HOLD = "import os, sys, time; os.open(sys.argv[1], os.O_CREAT | os.O_EXCL); print(1, flush=True); time.sleep(60)"


def hold(lock: Path) -> "subprocess.Popen[bytes]":
    lock.parent.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(lock)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def test_a_lock_stays_while_its_holder_lives_and_goes_when_it_is_dead(tmp_path):
    lock = tmp_path / "deepspeed_shm_comm" / "lock"
    holder = hold(lock)
    assert warm.holders(lock) == [holder.pid]
    assert warm.clear_stale_locks(tmp_path) == []
    holder.kill()
    holder.wait()
    assert warm.clear_stale_locks(tmp_path) == ["deepspeed_shm_comm"]
    assert not lock.exists()


def test_a_lock_that_becomes_stale_while_a_run_waits_is_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(warm, "LOOK_SECONDS", 0.05)
    monkeypatch.setitem(os.environ, "TORCH_EXTENSIONS_DIR", str(tmp_path))
    lock = tmp_path / "deepspeed_shm_comm" / "lock"
    holder = hold(lock)
    with warm.no_stale_locks():
        time.sleep(0.2)
        assert lock.exists()
        holder.kill()
        holder.wait()
        deadline = time.monotonic() + 5
        while lock.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
    assert not lock.exists()
