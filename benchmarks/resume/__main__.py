"""`make prove-resume`: runs are killed in every way at random steps and must end bit-equal to runs that were left alone, or exit 1.

Each method runs twice on the real launcher under the real supervisor, once in peace. Then its peaceful checkpoint is resumed with
something forgotten: each of these must end differently, or equality proves nothing.
"""

import argparse
import json
import math
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.queue import machine
from benchmarks.resume import compare

WAYS = ("rank", "launcher", "supervisor", "worker", "saving", "machine")
METHODS = ("sft", "dpo", "ppo")
LAUNCH_SECONDS = 600


@dataclass
class Tally:
    """What the last line says, as it grows."""

    kills: int = 0
    resumed: int = 0
    lost_steps: int = 0
    differences: list[float] = field(default_factory=list)
    equal: list[bool] = field(default_factory=list)
    expected: int = 0
    detected: int = 0

    def as_json(self) -> dict[str, Any]:
        worst = max(self.differences, default=math.inf)
        return {
            "kills": self.kills,
            "resumed": self.resumed,
            "lost_steps": self.lost_steps,
            "max_loss_difference": worst if math.isfinite(worst) else None,
            "weights_equal": bool(self.equal) and all(self.equal),
            "controls_detected": self.detected,
        }

    @property
    def proved(self) -> bool:
        said = self.as_json()
        whole = self.kills > 0 and self.resumed == self.kills and self.detected == self.expected
        return whole and said["max_loss_difference"] == 0.0 and said["weights_equal"]


def say(text: str) -> None:
    print(text, flush=True)


def prove(options: argparse.Namespace, folder: Path) -> Tally:
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    from benchmarks.resume.product import Product
    from benchmarks.resume.runs import Ground

    tally, ground = Tally(), Ground(folder)
    with Product(folder / "logs") as product:
        for method in options.methods:
            _method(method, ground, product, options, tally)
    return tally


def _method(method: str, ground: Any, product: Any, options: argparse.Namespace, tally: Tally) -> None:
    from benchmarks.resume.product import is_over, wait_for

    def begin() -> Any:
        return ground.start(method, steps=options.steps, every=options.every, seed=options.seed)

    began, calm = time.monotonic(), begin()
    wait_for(lambda: is_over(calm.job))
    _require_success(calm)
    say(f"{method}: {options.steps} steps in peace, {time.monotonic() - began:.0f} s")
    if options.ways:
        killed = begin()
        _kill_often(killed, product, options, tally)
        _compare(f"{method} killed", Path(calm.folder), Path(killed.folder), tally)
    if options.controls:
        for name in _controls():
            _control(method, name, Path(calm.folder), tally)


def _require_success(run: Any) -> None:
    if run.job.state != "succeeded":
        raise RuntimeError(f"{run} is {run.job.state}: {run.job.error}")


def _kill_often(run: Any, product: Any, options: argparse.Namespace, tally: Tally) -> None:
    """Each way once, in a random order, at random steps; the run must get further after each."""
    from benchmarks.resume import product as ways

    chance = random.Random(f"{options.chance}{run.method}")
    order = chance.sample(options.ways, len(options.ways))
    steps = sorted(chance.sample(range(1, options.steps - options.every), len(order)))
    for way, step in zip(order, steps, strict=True):
        ways.wait_for(partial(ways.has_come_to, run.job, step), every=0.02)
        if ways.is_over(run.job):
            say(f"{run.method}: over before it could be killed by {way}; give it more steps")
            break
        starts = ways.starts_of(run.job) + (way in ways.ENDING)
        ways.WAYS[way](product, run.job, chance)
        tally.kills += 1
        at, began = ways.step_of(run.job), time.monotonic()
        ways.wait_for(partial(ways.goes_on, run.job, at, starts))
        tally.resumed += run.job.state in ("running", "succeeded")
        say(f"{run.method}: {way} killed at step {at}, further after {time.monotonic() - began:.1f} s")
    ways.wait_for(lambda: ways.is_over(run.job))
    _require_success(run)


def _compare(title: str, calm: Path, other: Path, tally: Tally) -> None:
    one, two = (compare.rows(folder, "metric", "phase") for folder in (calm, other))
    difference = compare.difference(compare.metrics(one), compare.metrics(two))
    equal = bool(compare.weights(calm)) and compare.weights(calm) == compare.weights(other)
    lost = compare.lost_steps(two)
    tally.lost_steps += lost
    tally.differences.append(difference)
    tally.equal.append(equal)
    say(f"{title}: {lost} steps done again, largest difference {difference}, weights {'equal' if equal else 'DIFFER'}")


def _controls() -> Iterator[str]:
    from benchmarks.resume.forget import FORGETTING

    yield from FORGETTING


def _control(method: str, name: str, calm: Path, tally: Tally) -> None:
    """Resume from the middle of the calm run. With something forgotten both losses and weights must come out different."""
    from benchmarks.resume.forget import FORGETTING, copy_until

    rob, module = FORGETTING[name]
    target = copy_until(calm, calm.parent / f"{calm.name}-{name}", _middle(calm), rob)
    _resume(target, module)
    one, two = (compare.metrics(compare.rows(folder, "metric")) for folder in (calm, target))
    difference = compare.difference({step: one[step] for step in two if step in one}, two)
    differs = difference > 0 and compare.weights(calm) != compare.weights(target) and bool(compare.weights(target))
    if name == "nothing":
        tally.differences.append(difference)
        tally.equal.append(compare.weights(calm) == compare.weights(target))
    else:
        tally.expected += 1
        tally.detected += differs
    say(f"{method} resumed without {name}: largest difference {difference}, {'differs' if differs else 'the same'}")


def _middle(calm: Path) -> str:
    """The first checkpoint of the second half that stands inside an epoch: at its end there is no cursor to forget."""
    from benchmarks.resume.runs import BATCH, ROWS

    found = sorted(path.name for path in (calm / "checkpoints").glob("step-*"))
    inside = [name for name in found[len(found) // 2 :] if int(name.removeprefix("step-")) % (ROWS // BATCH)]
    if not inside:
        raise RuntimeError(f"{calm} has no checkpoint inside an epoch; choose another --every.")
    return inside[0]


def _resume(folder: Path, module: str) -> None:
    """By the run's own plan, without a supervisor."""
    from training.plan import plan
    from training.staging import target

    launch = plan(json.loads((folder / "spec.json").read_text(encoding="utf-8")), target(folder))
    argv = [module if word == "training.engine" else word for word in launch.argv]
    with (folder / "launcher.log").open("ab") as log:
        done = subprocess.run(
            argv,
            env={**os.environ, **launch.environment},
            cwd=launch.cwd,
            stdout=log,
            stderr=log,
            timeout=LAUNCH_SECONDS,
            check=False,
            start_new_session=True,
        )
    if not (folder / "result.json").exists():
        raise RuntimeError(f"{folder}: no result (exit code {done.returncode}); see its launcher.log")


def names(known: tuple[str, ...]) -> Any:
    """An option that takes some of `known`, separated by commas; "none" takes none."""

    def parse(text: str) -> list[str]:
        wanted = [] if text == "none" else text.split(",")
        unknown = sorted(set(wanted) - set(known))
        if unknown:
            raise argparse.ArgumentTypeError(f"{unknown[0]} is unknown; known are {', '.join(known)}")
        return wanted

    return parse


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--methods", type=names(METHODS), default=list(METHODS))
    asked.add_argument("--ways", type=names(WAYS), default=list(WAYS), help="what is killed, each once a method")
    asked.add_argument("--steps", type=int, default=60)
    asked.add_argument("--every", type=int, default=4, help="steps between two checkpoints")
    asked.add_argument("--seed", type=int, default=17, help="of the runs")
    asked.add_argument("--chance", type=int, default=1, help="of the steps and the order of the kills")
    asked.add_argument("--no-controls", dest="controls", action="store_false")
    asked.add_argument("--keep", action="store_true", help="leave the run directories where they are")
    options = asked.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="prove-resume-", dir=machine.ROOT / "var" if options.keep else None))
    with machine.own_database(machine.server_url(), f"plumbline_resume_{os.getpid()}") as own:
        os.environ.update(
            DATABASE_URL=own,
            DJANGO_SETTINGS_MODULE="config.settings",
            PLUMBLINE_VAR=str(folder),
            PLUMBLINE_LOG="WARNING",
        )
        tally = prove(options, folder)
    if options.keep:
        say(f"kept: {folder}")
    else:
        shutil.rmtree(folder)
    print(json.dumps(tally.as_json()))
    sys.exit(0 if tally.proved else 1)


if __name__ == "__main__":
    main()
