"""`python -m demo`: the loop in front of a person. `--unattended`: the same alone, with a report and an exit code."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036  the sentence is for whoever starts it with another Python
    sys.exit(
        f"Plumbline needs Python 3.11 to 3.13; this is {sys.version.split()[0]}. Install one, then run `make setup`."
    )

import argparse
import os
import subprocess
import threading
import time
import webbrowser
from pathlib import Path

from demo import people, report, sizes
from demo.client import Client, Refused, Stopped
from demo.loop import MODEL, Loop, LoopFailed
from demo.memory import MemoryWatch
from jobs.keeper import CannotStart, Keeper, end_runs, stop_on_signals
from jobs.programs import ROOT, Ports, check_machine, environment_for, programs

SLUG = "demo"
CURVES = (("sft", "loss"), ("reward", "loss"), ("dpo", "loss"), ("dpo", "rewards/margins"))


def options(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m demo", description="Run the whole loop on a small model.")
    parser.add_argument(
        "--unattended", action="store_true", help="no person: end by itself, exit 0 only if the model won"
    )
    parser.add_argument(
        "--tiny", action="store_true", help="a random model and few prompts: only the wiring, in minutes"
    )
    parser.add_argument("--var", type=Path, default=ROOT / "var" / "demo", help="where data, runs and models rest")
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    asked, began = options(argv), time.monotonic()
    var = asked.var.resolve()
    try:
        check_machine(var)
        ports = Ports.from_environment(dict(os.environ))
        environment = environment_for(ports, {**os.environ, "PLUMBLINE_VAR": str(var)})
        say("Preparing the database and the pages …")
        prepared = subprocess.run([sys.executable, str(ROOT / "manage.py"), "up", "--prepare-only"], env=environment)
        if prepared.returncode:
            return prepared.returncode
        return Demo(asked, var, ports, environment, began).run()
    except CannotStart as error:
        sys.stderr.write(f"{error}\n")
        return 1


def say(text: str) -> None:
    print(text, flush=True)


class Demo:
    """The processes are kept by this thread, the loop walks in another: whoever waits can be stopped by Ctrl-C."""

    def __init__(
        self, asked: argparse.Namespace, var: Path, ports: Ports, environment: dict[str, str], began: float
    ) -> None:
        self.asked, self.var, self.ports, self.environment, self.began = asked, var, ports, environment, began
        self.keeper = Keeper(programs(ports), var, environment, say)
        self.over = self.keeper.over
        self.memory = MemoryWatch(var, self.over)
        self.code = 1

    def run(self) -> int:
        stop_on_signals(self.over)
        try:
            with self.keeper:
                driver = threading.Thread(target=self._drive)
                driver.start()
                self.keeper.watch()
                driver.join()
                say("Stopping …")
        finally:
            end_runs(self.var)
        return self.code if self.asked.unattended else 0

    def _drive(self) -> None:
        try:
            loop = self._begin()
            self._walk(loop)
        except Stopped:
            return
        except (LoopFailed, Refused, RuntimeError) as error:
            say(f"\n{error}\nLogs: {self.var / 'logs'}")
        finally:
            if self.asked.unattended:
                self.over.set()

    def _begin(self) -> Loop:
        cast = people.people(self.var, self.environment)
        manager = Client(self.ports.web_url, self.over)
        if not manager.sign_in(cast[0].email, cast[0].password):
            for person in cast:
                people.add(person, self.environment)
            if not manager.sign_in(cast[0].email, cast[0].password):
                raise LoopFailed("The demo's manager cannot sign in: somebody changed the password. Run `make clean`.")
        size = sizes.tiny() if self.asked.tiny else sizes.full(attended=not self.asked.unattended)
        loop = Loop(manager, SLUG, size, say, self.over)
        with loop.phase("people"):
            loop.project({person.email: person.role for person in cast[1:]})
            loop.hire()
        loop.phases["start"] = round(time.monotonic() - self.began - loop.phases["people"], 1)
        self._greet(cast, loop)
        return loop

    def _greet(self, cast: list[people.Person], loop: Loop) -> None:
        say(f"\n  {self.ports.web_url}/p/{SLUG}/   the loop, to watch and to take part in")
        for person in cast:
            say(f"    {person.role:9}  {person.email:18}  {person.password}")
        say(f"  Runs: {self.var / 'runs'}\n  A thumb for a completion (ids: the runs' pages, or a model's answer):")
        say(f"    curl -X POST {self.ports.gateway_url}/v1/feedback -H 'Authorization: Bearer {loop.token}' \\")
        say("      -H 'Content-Type: application/json' \\")
        say("""      -d '{"completion": "cmp_…", "kind": "thumb", "value": "up", "user": "me"}'""")
        say("  The model, once it is deployed, from Python:")
        say(
            f"    from openai import OpenAI\n    client = OpenAI(base_url='{self.ports.gateway_url}/v1', api_key='{loop.token}')"
        )
        say(
            f"    client.chat.completions.create(model='{MODEL}@champion', messages=[{{'role': 'user', 'content': 'Hello'}}])\n"
        )
        if not self.asked.unattended and (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            webbrowser.open(f"{self.ports.web_url}/p/{SLUG}/")

    def _walk(self, loop: Loop) -> None:
        closed = False
        try:
            loop.close(self.ports.gateway_url)
            closed = True
        finally:
            if not self.over.is_set():
                self._report(loop, closed)

    def _report(self, loop: Loop, closed: bool) -> None:
        seconds = time.monotonic() - self.began
        found = report.report(loop, closed=closed, seconds=seconds, peak_mb=self.memory.peak_mb)
        report.write(self.var, found, curves(loop), loop.outcome.get("answer") or {})
        self.code = 0 if report.won(found) else 1
        say(f"\nWhere the time went: {', '.join(f'{name} {spent:.0f} s' for name, spent in loop.phases.items())}")
        say(f"{seconds:.0f} s in all, {self.memory.peak_mb} MB at most. Report: {self.var / 'report.html'}")
        if closed:
            self._tell(found, loop)

    def _tell(self, found: report.JSON, loop: Loop) -> None:
        rate, answer = found["win_rate"], loop.outcome["answer"]
        say(f"It was asked “{answer['question']}” and said “{answer['text'].strip()}”")
        say(f"The new model wins {rate['estimate']:.0%} of the comparisons ({rate['low']:.0%} to {rate['high']:.0%}).")
        say("The model moved." if report.won(found) else "That is not enough to say that the model got better.")
        if not self.asked.unattended:
            say(f"Everything stays up for you at {self.ports.web_url}. Ctrl-C stops it.")


def curves(loop: Loop) -> list[tuple[str, list[tuple[int, float]]]]:
    found = []
    for method, name in CURVES:
        for run in loop.runs(method)[:1]:
            series = (loop.manager.find(loop.at(f"/runs/{run['id']}/metrics")) or {}).get("series", {})
            found.append((f"{method} {name}", [(int(step), float(value)) for step, value in series.get(name, [])]))
    return found


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
