"""`make prove-overlap`: many processes, kill -9, expired leases, retries; ends with exactly N answers per task, or exits 1."""

import argparse
import http.client
import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from benchmarks.prove.recount import recount
from benchmarks.queue import machine

LEASE_SECONDS = 2
CROWDS = 6
PEOPLE_PER_CROWD = 4
MOST_ROUNDS = 12
SLUG = "prove"


class Proof:
    """The processes of one run: web, tick, and the crowds of annotators."""

    def __init__(self, folder: Path, port: int, web: int, people: list[tuple[str, str]], seed: int) -> None:
        self.folder, self.port, self.web, self.people = folder, port, web, people
        self.chance = random.Random(seed)
        self.kills = 0
        self.started = 0

    @property
    def acks(self) -> Path:
        return self.folder / "acks.jsonl"

    def crowd(self, place: int) -> subprocess.Popen[bytes]:
        """Some annotators in a process of their own; every second crowd are second tabs of the crowd before."""
        first = (place - place % 2) // 2 * PEOPLE_PER_CROWD
        people = self.people[first : first + PEOPLE_PER_CROWD]
        self.started += 1
        command = [sys.executable, "-m", "benchmarks.prove.clients", "--port", str(self.port), "--slug", SLUG]
        command += ["--acks", str(self.acks), "--people", json.dumps(people), "--seed", str(self.started)]
        return subprocess.Popen([*command, "--lease-seconds", str(LEASE_SECONDS)], cwd=machine.ROOT)

    def round(self, *, killing: float) -> None:
        """Every crowd works until its queue is empty; for `killing` seconds crowds and web workers are killed and started again."""
        over = time.monotonic() + killing
        crowds = {place: self.crowd(place) for place in range(CROWDS)}
        while crowds:
            time.sleep(self.chance.uniform(0.2, 0.8))
            for place, process in list(crowds.items()):
                if process.poll() is not None:
                    del crowds[place]
            if crowds and time.monotonic() < over:
                self._kill_one(crowds)

    def _kill_one(self, crowds: dict[int, subprocess.Popen[bytes]]) -> None:
        workers = machine.children_of(self.web)[1:]
        if workers and self.chance.random() < 0.4:
            with suppress(ProcessLookupError):
                os.kill(self.chance.choice(workers), signal.SIGKILL)
        else:
            place = self.chance.choice(list(crowds))
            crowds[place].kill()
            crowds[place].wait()
            crowds[place] = self.crowd(place)
        self.kills += 1


def export(port: int, token: str, path: Path) -> None:
    """The project as the product exports it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("GET", f"/api/v1/projects/{SLUG}/export.jsonl", headers={"Authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    if answer.status != 200:
        raise RuntimeError(f"export: {answer.status} {answer.read()[:500]!r}")
    with path.open("wb") as stream:
        while piece := answer.read(1 << 20):
            stream.write(piece)


def prove(options: argparse.Namespace, broken: bool) -> dict[str, int]:
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    from benchmarks.queue.seed import seed_project, seed_tasks

    seeded = seed_project(SLUG, CROWDS // 2 * PEOPLE_PER_CROWD)
    seed_tasks(seeded, options.tasks, options.overlap)
    if broken:
        from benchmarks.prove.broken import drop_walls

        drop_walls()
    people = [(actor.public_id, token) for actor, token in zip(seeded.annotators, seeded.tokens, strict=True)]
    application = "benchmarks.prove.broken:application" if broken else "config.wsgi:application"
    folder = Path(options.folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "acks.jsonl").write_text("")
    tick = subprocess.Popen([sys.executable, "manage.py", "tick"], cwd=machine.ROOT)
    try:
        with machine.web(application) as (port, web):
            return _until_done(Proof(folder, port, web, people, options.seed), seeded.manager_token, options)
    finally:
        tick.terminate()
        tick.wait(timeout=20)


def _until_done(proof: Proof, token: str, options: argparse.Namespace) -> dict[str, int]:
    """The first round is killed into; then everybody may finish what was left lying about."""
    for number in range(MOST_ROUNDS):
        proof.round(killing=0 if number else options.kill_seconds)
        export(proof.port, token, proof.folder / "export.jsonl")
        figures = recount(proof.acks, proof.folder / "export.jsonl", options.overlap)
        print(f"round {number + 1}: {figures}", flush=True)
        if figures["unfinished"] == 0:
            break
    return {**figures, "kills": proof.kills}


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--tasks", type=int, default=6000)
    asked.add_argument("--overlap", type=int, default=3)
    asked.add_argument("--seed", type=int, default=7)
    asked.add_argument("--kill-seconds", type=float, default=90)
    asked.add_argument("--folder", default="var/prove")
    options = asked.parse_args()
    url = machine.server_url()
    broken = os.environ.get("PROVE_BREAK") == "1"
    with machine.own_database(url, f"plumbline_prove_{os.getpid()}") as own:
        os.environ.update(
            DATABASE_URL=own,
            DJANGO_SETTINGS_MODULE="config.settings",
            PLUMBLINE_SLOT_LEASE_SECONDS=str(LEASE_SECONDS),
            PLUMBLINE_LOG="WARNING",
        )
        figures = prove(options, broken)
    print(json.dumps(figures))
    sys.exit(0 if figures["duplicates"] == figures["lost"] == figures["unfinished"] == 0 else 1)


if __name__ == "__main__":
    main()
