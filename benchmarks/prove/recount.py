"""Every figure of the proof, counted from the two files alone: what clients were told, and what the export holds. Pure."""

import json
from collections import Counter
from pathlib import Path
from typing import Any


def recount(acks: Path, export: Path, overlap: int) -> dict[str, int]:
    """`duplicates`: answers beyond the overlap, or a second one by the same person. `lost`: acknowledged, and not in the export."""
    tasks = [json.loads(line) for line in export.read_text().splitlines()]
    told = [json.loads(line) for line in acks.read_text().splitlines()]
    held = {(said["actor"], said["key"], task["id"]) for task in tasks for said in task["annotations"]}
    counted = {task["id"]: [said["actor"] for said in task["annotations"] if not said["surplus"]] for task in tasks}
    return {
        "tasks": len(tasks),
        "overlap": overlap,
        "counted": sum(len(actors) for actors in counted.values()),
        "duplicates": sum(_too_many(actors, overlap) for actors in counted.values()),
        "lost": len({(line["actor"], line["key"], line["task"]) for line in told} - held),
        "surplus": sum(said["surplus"] for task in tasks for said in task["annotations"]),
        "unfinished": sum(len(actors) < overlap for actors in counted.values()),
        "acknowledged": len({(line["actor"], line["key"]) for line in told}),
    }


def _too_many(actors: list[Any], overlap: int) -> int:
    """Answers one task has too many: beyond N, or by somebody who already answered it."""
    repeated = sum(times - 1 for times in Counter(actors).values())
    return max(len(actors) - overlap, repeated)
