"""What tests of real runs share: a tiny model in the registry, rows it can learn from, and the processes of a run."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil

from jobs import processes
from jobs.models import Job
from tests.engine.runs import sft_rows
from tests.factories import make_version
from training.engine.files import artifact_digest, digest_tree

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 900.0
QUICK = {"lora_r": 0, "learning_rate": 3e-3, "dtype": "float32"}
TWO_RANKS = {"world_size": 2, "zero_stage": 2, "device": "cpu", "threads": 1}


def tiny_version(project: Any, folder: Path) -> Any:
    subprocess.run([sys.executable, "-m", "training.engine.tiny", str(folder)], check=True, cwd=ROOT)
    return make_version(project, artifact=str(folder), digest=artifact_digest(folder), files=digest_tree(folder))


def rows() -> list[dict[str, Any]]:
    return sft_rows(24)


def is_rank(process: psutil.Process) -> bool:
    """One that trains, not its launcher."""
    return any("--local_rank" in word for word in process.cmdline())


def ranks(job: Job) -> list[psutil.Process]:
    return sorted(filter(is_rank, processes.of_job(job)), key=lambda process: " ".join(process.cmdline()))


def error_of(job: Job) -> str:
    return (Job.objects.values_list("error", flat=True).get(pk=job.pk) or {}).get("class", "")


def newest_checkpoint(folder: Path) -> int:
    return max((int(path.parent.name[5:]) for path in folder.glob("checkpoints/step-*/manifest.json")), default=0)
