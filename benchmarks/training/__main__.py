"""`make bench-training`: what our engine costs against a bare TRL script, our PPO against TRL's, and a supervisor's memory."""

import argparse
import importlib
import importlib.util
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.queue import machine

PARTS = ("overhead", "ppo", "memory")


def overhead(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    from benchmarks.training.overhead import measure

    found = measure(folder, steps=options.steps, warm_up=options.warm_up, blocks=options.blocks)
    percent = [f"{100 * (ratio - 1):+.1f} %" for ratio in sorted(found.ratios)]
    print(
        f"overhead: {100 * found.median:+.1f} % (from {percent[0]} to {percent[-1]}, {options.steps} steps)", flush=True
    )
    return {"overhead": round(found.median, 4)}


def ppo(_options: argparse.Namespace, _folder: Path) -> dict[str, Any]:
    """Measured by its own module, where that is there."""
    if importlib.util.find_spec("benchmarks.training.ppo") is None:
        print("ppo_speedup: not measured, there is no benchmarks.training.ppo", flush=True)
        return {}
    found: dict[str, Any] = importlib.import_module("benchmarks.training.ppo").measure()
    return found


def memory(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    import django
    from django.core.management import call_command

    with machine.own_database(machine.server_url(), f"plumbline_training_{os.getpid()}") as own:
        os.environ.update(
            DATABASE_URL=own, DJANGO_SETTINGS_MODULE="benchmarks.training.settings", PLUMBLINE_VAR=str(folder)
        )
        os.environ["PLUMBLINE_LOG"] = "WARNING"
        django.setup()
        call_command("migrate", verbosity=0)
        from django.db import connection

        from benchmarks.training.memory import growth_mb

        growth = growth_mb(options.events)
        connection.close()
    print(f"supervisor: {growth:+.1f} MB over {options.events} events", flush=True)
    return {"supervisor_rss_growth_mb": round(growth, 1)}


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--parts", default=",".join(PARTS), help=f"some of {', '.join(PARTS)}")
    asked.add_argument("--steps", type=int, default=200, help="measured steps of each run")
    asked.add_argument("--warm-up", type=int, default=20)
    asked.add_argument("--blocks", type=int, default=5, help="times ABBA")
    asked.add_argument("--events", type=int, default=100_000)
    options = asked.parse_args()
    wanted = options.parts.split(",")
    unknown = sorted(set(wanted) - set(PARTS))
    if unknown:
        asked.error(f"{unknown[0]} is unknown; known are {', '.join(PARTS)}")
    said: dict[str, Any] = {"overhead": None, "ppo_speedup": None, "supervisor_rss_growth_mb": None}
    with tempfile.TemporaryDirectory(prefix="bench-training-") as folder:
        for name, part in (("memory", memory), ("overhead", overhead), ("ppo", ppo)):
            if name in wanted:
                said |= part(options, Path(folder))
    for name, value in said.items():
        print(f"{name:<28}{'not measured' if value is None else value:>14}")
    print(json.dumps(said))


if __name__ == "__main__":
    main()
