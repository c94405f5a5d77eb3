"""What a killed run and a calm one have in common, read from their run directories. Pure but for reading files."""

import json
import math
from pathlib import Path
from typing import Any

JSON = dict[str, Any]
MEASURES = ("tokens_per_second", "samples_per_second", "num_tokens", "seconds", "rss_mb", "memory_mb")
"""Of the machine, or counted from the start of a process: they differ between any two runs."""


def rows(folder: Path, *kinds: str) -> list[JSON]:
    """Whole lines of events.jsonl of these kinds, in order; a torn last line is left out."""
    path = folder / "events.jsonl"
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return [row for line in lines if (row := json.loads(line))["kind"] in kinds]


def metrics(events: list[JSON]) -> dict[int, dict[str, float]]:
    """Numbers by step; a step that was run again counts with its last ones."""
    found: dict[int, dict[str, float]] = {}
    for row in events:
        if row["kind"] == "metric":
            numbers = {name: value for name, value in row["data"].items() if isinstance(value, int | float)}
            found[row["data"]["step"]] = {
                name: value for name, value in numbers.items() if not any(word in name for word in MEASURES)
            }
    return found


def last_step(events: list[JSON]) -> int:
    """The newest step anybody was told of, of this attempt or an earlier one; 0 before the first."""
    return max((row["data"]["step"] for row in events if row["kind"] == "metric"), default=0)


def lost_steps(events: list[JSON]) -> int:
    """Steps that were done and had to be done again, over all attempts."""
    lost = at = 0
    for row in events:
        if row["kind"] == "metric":
            at = row["data"]["step"]
        elif row["data"].get("name") in ("resumed", "training"):
            begins = row["data"].get("step") or 0
            lost, at = lost + max(0, at - begins), min(at, begins)
    return lost


def difference(one: dict[int, dict[str, float]], other: dict[int, dict[str, float]]) -> float:
    """Largest difference of any number that both logged at any step; infinite when one lacks a step or a number."""
    if set(one) != set(other) or not one:
        return math.inf
    worst = 0.0
    for step, numbers in one.items():
        if set(numbers) != set(other[step]):
            return math.inf
        worst = max([worst, *(abs(value - other[step][name]) for name, value in numbers.items())])
    return worst


def weights(folder: Path) -> dict[str, str]:
    """sha256 of the weight files of the artifact, as the run reported them; empty when it made none."""
    try:
        result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    files = (result.get("artifact") or {}).get("files") or {}
    return {name: digest for name, digest in files.items() if name.endswith(".safetensors")}
