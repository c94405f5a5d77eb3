"""The GPUs of this machine, and how many processes a run usually takes here. Without Django and torch."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True)
class Gpu:
    ordinal: int
    name: str = ""
    memory_mb: int = 0


@lru_cache(maxsize=1)
def gpus() -> tuple[Gpu, ...]:
    """The GPUs this process may use; asks the driver's tool, never torch."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    allowed = None if visible is None else {int(word) for word in visible.split(",") if word.strip().isdecimal()}
    if allowed == set() or shutil.which("nvidia-smi") is None:
        return ()
    query = ["nvidia-smi", "--query-gpu=index,name,memory.total", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    found = (_gpu(line.split(",")) for line in answer.splitlines() if line.split(",")[0].strip().isdecimal())
    return tuple(gpu for gpu in found if allowed is None or gpu.ordinal in allowed)


def _gpu(words: list[str]) -> Gpu:
    """A card that keeps its memory to itself says [N/A]."""
    name, memory = [*(word.strip() for word in words[1:]), "", ""][:2]
    return Gpu(int(words[0]), name, int(memory) if memory.isdecimal() else 0)


def usual_layout() -> dict[str, int]:
    """Two processes under ZeRO-2 where there are two GPUs, or no GPU and two cores: the way runs are meant to go. Else one."""
    processes = min(2, len(gpus()) or len(os.sched_getaffinity(0)))
    return {"world_size": processes, "zero_stage": 2 if processes > 1 else 0}
