"""`python -m training.follow <run directory>`: a run on other machines, seen from this one. Standard library only.

To the supervisor it is the run's launcher: it lives as long as the run does over there, and TERM to it cancels that. It submits
what follow.json describes, polls, and says while the cluster lets the run wait. `--cancel` only ends what an earlier one submitted.
The run directory is shared, so events, result and the stop file need nobody to carry them.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Protocol

from training.engine.events import EventLog
from training.engine.files import write_json

JSON = dict[str, Any]
POLL_SECONDS = 2.0
BEAT_SECONDS = 5.0
GONE_SECONDS = 120.0
COMMAND_SECONDS = 60.0
WAITING, RUNNING, ENDED = "waiting", "running", "ended"
CANCELLED = 143


class Backend(Protocol):
    """A place that takes runs. `submit` returns the name under which the others know what it took."""

    def submit(self) -> str: ...

    def poll(self, name: str) -> tuple[str, int]:
        """WAITING, RUNNING or ENDED, and the exit code (0 unless it ended badly)."""

    def cancel(self, name: str) -> None:
        """Ask for its end; no error when it is gone."""


class Hosts:
    """An agent on each host, at the end of an ssh connection whose input says that this process still lives."""

    def __init__(self, follow: JSON) -> None:
        self.commands: list[list[str]] = follow["commands"]
        self.agents: list[subprocess.Popen[bytes]] = []
        self.code = 0

    def submit(self) -> str:
        self.agents = [subprocess.Popen(command, stdin=subprocess.PIPE) for command in self.commands]
        return ""

    def poll(self, name: str) -> tuple[str, int]:
        """The first host that fails ends the others: their ranks would wait for it."""
        codes = [agent.poll() for agent in self.agents]
        self.code = self.code or next((code for code in codes if code), 0)
        if self.code:
            self.cancel(name)
        self._beat()
        return (RUNNING if any(code is None for code in codes) else ENDED), self.code

    def _beat(self) -> None:
        for agent in self.agents:
            try:
                if agent.stdin is not None and not agent.stdin.closed:
                    agent.stdin.write(b".\n")
                    agent.stdin.flush()
            except OSError:
                continue

    def cancel(self, name: str) -> None:
        for agent in self.agents:
            try:
                if agent.stdin is not None:
                    agent.stdin.close()
            except OSError:
                continue


class Slurm:
    def __init__(self, follow: JSON) -> None:
        self.script: str = follow["script"]

    def submit(self) -> str:
        return ask(["sbatch", "--parsable", self.script]).split(";")[0].strip()

    def poll(self, name: str) -> tuple[str, int]:
        """A job that Slurm has forgotten has ended; the run's own result says how."""
        try:
            shown = ask(["scontrol", "show", "job", "--oneliner", name])
        except Refused as error:
            if "invalid job id" in str(error).lower():
                return ENDED, 0
            raise
        words = dict(word.partition("=")[::2] for word in shown.split() if "=" in word)
        state = words.get("JobState", "")
        if state in ("PENDING", "CONFIGURING", "SUSPENDED", "REQUEUED"):
            return WAITING, 0
        if state in ("RUNNING", "COMPLETING", "STOPPED", "RESIZING", "SIGNALING", "STAGE_OUT"):
            return RUNNING, 0
        code = int(words.get("ExitCode", "0:0").split(":")[0])
        return ENDED, 0 if state == "COMPLETED" else code or 1

    def cancel(self, name: str) -> None:
        ask(["scancel", "--quiet", name])


class Kubernetes:
    def __init__(self, follow: JSON) -> None:
        self.kubectl: list[str] = follow["kubectl"]
        self.manifest: str = follow["manifest"]
        self.name: str = follow["name"]

    def submit(self) -> str:
        ask([*self.kubectl, "apply", "--filename", self.manifest])
        return self.name

    def poll(self, name: str) -> tuple[str, int]:
        shown = ask([*self.kubectl, "get", "job", name, "--ignore-not-found", "--output", "json"])
        if not shown.strip():
            return ENDED, 0
        status = json.loads(shown).get("status") or {}
        conditions = {row["type"] for row in status.get("conditions") or [] if row.get("status") == "True"}
        if conditions & {"Complete", "Failed"}:
            return ENDED, int("Failed" in conditions)
        return (RUNNING if status.get("ready") else WAITING), 0

    def cancel(self, name: str) -> None:
        """Foreground: the job is there until its pods are gone."""
        what = ["job", name, "--ignore-not-found", "--cascade=foreground", "--wait=false"]
        ask([*self.kubectl, "delete", *what])
        ask([*self.kubectl, "delete", "service", name, "--ignore-not-found", "--wait=false"])


class Refused(Exception):
    """A command of the cluster said no, or did not answer."""


def ask(argv: list[str]) -> str:
    """Errors: Refused, with the command's own words."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=COMMAND_SECONDS)
    except FileNotFoundError as error:
        raise Refused(f"{argv[0]} is not installed on this machine.") from error
    except subprocess.TimeoutExpired as error:
        raise Refused(f"{argv[0]} did not answer for {COMMAND_SECONDS:.0f} s.") from error
    if done.returncode:
        raise Refused(f"{argv[0]}: {done.stderr.strip() or done.stdout.strip() or done.returncode}")
    return done.stdout


BACKENDS: dict[str, type[Any]] = {"hosts": Hosts, "slurm": Slurm, "kubernetes": Kubernetes}


class Follower:
    def __init__(self, root: Path) -> None:
        self.root, self.remote = root, root / "remote.json"
        follow = json.loads((root / "follow.json").read_text(encoding="utf-8"))
        self.kind: str = follow["kind"]
        self.backend: Backend = BACKENDS[self.kind](follow)
        self.told = False
        self.beat = 0.0

    def run(self) -> int:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._tell)
        self.end_earlier()
        name = self.backend.submit()
        write_json(self.remote, {"kind": self.kind, "name": name})
        say(f"{self.kind}: submitted {name}".rstrip())
        state, code = self._patient_poll(name)
        while state != ENDED and not self.told:
            if state == WAITING:
                self._say_waiting()
            time.sleep(POLL_SECONDS)
            state, code = self._patient_poll(name)
        if self.told and state != ENDED:
            self._end(name)
            code = CANCELLED
        self.remote.unlink(missing_ok=True)
        return code

    def end_earlier(self) -> None:
        """What an earlier follower submitted must be gone before anything else works in this directory."""
        if not self.remote.exists():
            return
        earlier = json.loads(self.remote.read_text(encoding="utf-8"))
        if earlier["kind"] == self.kind and earlier["name"]:
            say(f"{self.kind}: ending {earlier['name']} of an earlier attempt")
            self._end(earlier["name"])
        self.remote.unlink()

    def _end(self, name: str) -> None:
        deadline = time.monotonic() + GONE_SECONDS
        self.backend.cancel(name)
        while self._patient_poll(name)[0] != ENDED:
            if time.monotonic() > deadline:
                raise Refused(f"{self.kind}: {name} does not end.")
            time.sleep(0.5)

    def _patient_poll(self, name: str) -> tuple[str, int]:
        """A controller that is away for a while ends no run."""
        deadline = time.monotonic() + GONE_SECONDS
        while True:
            try:
                return self.backend.poll(name)
            except Refused as error:
                if time.monotonic() > deadline:
                    raise
                say(str(error))
                time.sleep(POLL_SECONDS)

    def _say_waiting(self) -> None:
        """Into events.jsonl, which nobody else writes before the engine starts: waiting in line is no silence."""
        if time.monotonic() - self.beat < BEAT_SECONDS:
            return
        self.beat = time.monotonic()
        log = EventLog(self.root / "events.jsonl")
        log.emit("heartbeat", pending=True)
        log.close()

    def _tell(self, *_: object) -> None:
        self.told = True


def say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def main() -> int:
    only_cancel = "--cancel" in sys.argv
    follower = Follower(Path(sys.argv[-1]))
    try:
        if only_cancel:
            follower.end_earlier()
            return 0
        return follower.run()
    except Refused as error:
        say(str(error))
        return 1


if __name__ == "__main__":
    sys.exit(main())
