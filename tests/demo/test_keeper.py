"""The keeper of processes: ports, deaths, and an end that leaves nobody behind."""

import os
import signal
import socket
import sys
import threading
import time

import psutil
import pytest

from jobs.keeper import CannotStart, Keeper, Program, end_runs, leftovers, restart_pause
from jobs.programs import Ports, check_machine, disk_sentence

SLEEPER = "import os, subprocess, sys, time; p = subprocess.Popen(['sleep', '300']); print(p.pid, flush=True); time.sleep(300)"


def until(condition, seconds=10.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


@pytest.fixture
def said():
    return []


@pytest.fixture
def keeper(tmp_path, said):
    program = Program("sleeper", [sys.executable, "-c", SLEEPER])
    return Keeper([program], tmp_path, {**os.environ, "PLUMBLINE_VAR": str(tmp_path)}, said.append)


def the_child(keeper):
    return until(lambda: [int(word) for word in (keeper.var / "logs" / "sleeper.log").read_text().split()][-1:])[0]


def gone(pid):
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_port_in_use_is_one_sentence_that_names_who_listens_and_what_to_set(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        keeper = Keeper([Program("web", ["true"], port, "PLUMBLINE_PORT")], tmp_path, dict(os.environ))
        with pytest.raises(CannotStart) as refusal, keeper:
            pass
    name = psutil.Process().name()
    assert str(refusal.value) == f"Port {port} is in use by pid {os.getpid()} ({name}). Stop it, or set PLUMBLINE_PORT."


def test_a_killed_program_is_started_again_and_its_children_are_gone(keeper, said):
    with keeper:
        first, child = keeper.running[0].process.pid, the_child(keeper)
        os.kill(first, signal.SIGKILL)
        until(lambda: keeper.look() or (keeper.running[0].process and keeper.running[0].process.pid != first))
        assert gone(child)
    assert said == ["sleeper ended (-9); starting it again. Its log: logs/sleeper.log"]


def test_the_end_of_the_keeper_ends_programs_and_their_children(keeper):
    with keeper:
        pids = [keeper.running[0].process.pid, the_child(keeper)]
    until(lambda: all(gone(pid) for pid in pids))


def test_a_program_that_ignores_TERM_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr("jobs.keeper.TERM_SECONDS", 0.5)
    stubborn = "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(300)"
    keeper = Keeper([Program("stubborn", [sys.executable, "-c", stubborn])], tmp_path, dict(os.environ))
    with keeper:
        pid = keeper.running[0].process.pid
        until(lambda: (tmp_path / "logs" / "stubborn.log").read_text())
    assert gone(pid)


def test_what_a_killed_keeper_left_behind_is_ended_by_the_next(keeper, said):
    with keeper:
        left = keeper.running[0].process.pid
        stamps = (keeper.var / "processes.json").read_text()
        keeper._lock.close()
        assert list(leftovers(keeper.var / "processes.json")) == [left]
        (keeper.var / "processes.json").write_text(stamps)
        with Keeper([], keeper.var, {}, said.append):
            until(lambda: gone(left))
    assert f"Ending process {left}, left behind by a Plumbline that was killed." in said


def test_a_pid_that_came_round_again_is_nobody_we_left_behind(tmp_path):
    path = tmp_path / "processes.json"
    path.write_text(f'[{{"pid": {os.getpid()}, "started": 1.0}}]')
    assert list(leftovers(path)) == []


def test_only_one_keeper_works_in_a_folder(keeper):
    with keeper, pytest.raises(CannotStart, match="already runs"), Keeper([], keeper.var, {}):
        pass


def test_pauses_double_and_stay_bounded():
    assert [restart_pause(deaths) for deaths in (1, 2, 3, 4)] == [0.5, 1.0, 2.0, 4.0]
    assert restart_pause(50) == 30.0


def test_watching_ends_when_asked(keeper):
    with keeper:
        threading.Timer(0.3, keeper.over.set).start()
        began = time.monotonic()
        keeper.watch()
    assert time.monotonic() - began < 60


def test_runs_of_this_folder_end_and_those_of_another_stay(tmp_path):
    import subprocess

    def run(folder):
        marked = {**os.environ, "PLUMBLINE_JOB": "job_x", "HF_HOME": str(folder / "huggingface")}
        return subprocess.Popen(["sleep", "300"], env=marked, start_new_session=True)

    ours, theirs = run(tmp_path / "ours"), run(tmp_path / "theirs")
    try:
        until(lambda: all(psutil.Process(each.pid).environ().get("PLUMBLINE_JOB") for each in (ours, theirs)))
        assert end_runs(tmp_path / "ours", patience=2) == 1
        assert gone(ours.pid)
        assert theirs.poll() is None
    finally:
        theirs.kill()
        theirs.wait()


def test_a_port_that_is_no_number_is_refused():
    with pytest.raises(CannotStart, match="PLUMBLINE_PORT is 'eight'"):
        Ports.from_environment({"PLUMBLINE_PORT": "eight"})


def test_a_full_disk_is_one_sentence(tmp_path, monkeypatch):
    import shutil

    usage = shutil.disk_usage(tmp_path)._replace(free=12 * 1024**2)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(CannotStart, match="is full: 12 MB are free, 500 MB are needed"):
        check_machine(tmp_path)
    assert "is full" in disk_sentence(tmp_path, OSError(28, "No space left on device"))


def test_an_unsupported_python_is_one_sentence(tmp_path, monkeypatch):
    old = type("Version", (tuple,), {})((3, 9, 2, "final", 0))
    monkeypatch.setattr(sys, "version_info", old)
    monkeypatch.setattr(sys, "version", "3.9.2 (default)")
    with pytest.raises(CannotStart, match=r"3\.11 to 3\.13; this is 3\.9\.2"):
        check_machine(tmp_path)
