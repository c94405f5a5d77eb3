"""Overhead of our engine against the bare TRL script: same launcher, world size, ZeRO stage, data, seed and checkpoints."""

import json
import os
import shutil
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.queue.machine import ROOT, free_port
from training.engine.files import write_json, write_jsonl
from training.engine.tiny import make, sentences
from training.plan import plan

ENGINES = {"ours": "benchmarks.training.ours", "bare": "benchmarks.training.bare"}
ABBA = ("ours", "bare", "bare", "ours")
ROWS, BATCH, WORLD, STAGE, EVERY = 64, 8, 2, 2, 100


@dataclass(frozen=True)
class Overhead:
    """Ratios of CPU seconds per step, ours to bare, one for every ABBA block."""

    ratios: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.ratios) - 1


def measure(folder: Path, *, steps: int, warm_up: int, blocks: int) -> Overhead:
    base, ratios = make(folder / "tiny"), []
    for block in range(blocks):
        spent: dict[str, float] = dict.fromkeys(ENGINES, 0.0)
        for place, engine in enumerate(ABBA):
            seconds = seconds_per_step(folder / f"{block}-{place}-{engine}", base, engine, steps, warm_up)
            print(f"block {block + 1}: {engine} {1000 * seconds:.1f} ms of CPU a step", flush=True)
            spent[engine] += seconds
        ratios.append(spent["ours"] / spent["bare"])
    return Overhead(ratios)


def seconds_per_step(run: Path, base: Path, engine: str, steps: int, warm_up: int) -> float:
    """Of all ranks together. Errors: RuntimeError with the end of the log when a rank told no time."""
    launch = plan(_spec(run, base, steps + warm_up), _target(run))
    for name, content in launch.files.items():
        write_json(run / name, content)
    argv = [ENGINES[engine] if word == "training.engine" else word for word in launch.argv]
    environment = {**os.environ, **launch.environment, "BENCH_WARM_UP": str(warm_up)}
    with (run / "launcher.log").open("wb") as log:
        subprocess.run(argv, env=environment, cwd=launch.cwd, stdout=log, stderr=log, check=False, timeout=1800)
    told = [json.loads(path.read_text()) for path in run.glob("clock-*.json")]
    if len(told) != WORLD:
        raise RuntimeError(f"{engine} did not end: {(run / 'launcher.log').read_text()[-2000:]}")
    shutil.rmtree(run)
    return float(sum(told))


def _spec(run: Path, base: Path, steps: int) -> dict[str, object]:
    rows = [
        {
            "id": f"r{at}",
            "prompt": [{"role": "user", "content": f"Write one sentence about the river, number {at}."}],
            "completion": [{"role": "assistant", "content": text}],
        }
        for at, text in enumerate(sentences(ROWS, seed=1))
    ]
    write_jsonl(run / "data" / "train.jsonl", rows)
    spec = {
        "schema_version": 1,
        "run": run.name,
        "method": "sft",
        "seed": 17,
        "base": {"path": str(base)},
        "data": {"train": {"path": "data/train.jsonl", "rows": ROWS}},
        "hyperparameters": {
            "dtype": "float32",
            "lora_r": 0,
            "batch_size": BATCH,
            "learning_rate": 1e-3,
            "max_steps": steps,
        },
        "parallelism": {"world_size": WORLD, "zero_stage": STAGE, "device": "cpu", "threads": 1},
        "checkpoint": {"every_steps": EVERY, "keep": 2},
    }
    write_json(run / "spec.json", spec)
    return spec


def _target(run: Path) -> dict[str, object]:
    return {
        "run_dir": str(run),
        "root": str(ROOT),
        "venv": sys.prefix,
        "var": str(run.parent),
        "path": os.environ["PATH"],
        "master_port": free_port(),
    }
