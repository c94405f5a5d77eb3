"""The same step in less memory: a run that found no room goes on with smaller micro-batches and as many rows per step.

What it has learned about the machine stands in the run directory, so that later attempts begin with it. Standard library only;
torch is asked where a GPU is in use.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

from training.engine.errors import EngineError
from training.engine.files import RunDir, write_json
from training.engine.hyperparameters.shared import checkpoints_activations
from training.engine.methods import METHODS
from training.engine.preflight.size import size_of_trained
from training.engine.spec import Spec, load


def load_fitted(run: RunDir) -> Spec:
    """spec.json with the micro-batch size that earlier attempts came down to; its identity stays, so checkpoints fit."""
    spec = load(run.spec)
    size = _known(run.micro_batch)
    return _with(spec, size) if size is not None and METHODS[spec.method].is_trained else spec


def settled(spec: Spec) -> Spec:
    """The spec with what depends on the size of the model decided."""
    settings = spec.hyperparameters
    if not METHODS[spec.method].is_trained or settings.activation_checkpointing is not None:
        return spec
    decided = checkpoints_activations(settings, size_of_trained(spec).parameters)
    return replace(spec, hyperparameters=replace(settings, activation_checkpointing=decided))


def held(*, cuda: bool) -> dict[str, float]:
    """MiB that this process holds: resident memory now, and on a GPU the most its tensors took there so far."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    found = {"memory_mb": round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)}
    if cuda:
        import torch

        found["gpu_memory_mb"] = round(torch.cuda.max_memory_allocated() / 2**20, 1)
    return found


def step_down(spec: Spec, run: RunDir, error: EngineError) -> EngineError:
    """After `out_of_memory`: note the next smaller size and ask for another attempt; as it is when there is none.

    Two ranks may do so at once: both start from the size of this attempt, so both write the same.
    """
    if error.code != "out_of_memory" or not METHODS[spec.method].is_trained:
        return error
    size = smaller(spec)
    if size is None:
        return error
    write_json(run.micro_batch, {"micro_batch_size": size})
    hint = f"It goes on with micro_batch_size {size} and as many rows per step."
    return EngineError(error.code, error.message, hint, retry=True)


def smaller(spec: Spec) -> int | None:
    """The largest micro-batch size of at most half the present one that divides the rows of a process; None below 1."""
    rows = _rows(spec)
    present = spec.hyperparameters.micro_batch_size or rows
    return next((size for size in range(present // 2, 0, -1) if rows % size == 0), None)


def _rows(spec: Spec) -> int:
    """Rows of one process in one optimizer step."""
    settings = spec.hyperparameters
    optimizer_steps = settings.smallest_batch // (settings.micro_batch_size or 1)
    return int(settings.batch_size) // (spec.parallelism.world_size * optimizer_steps)


def _with(spec: Spec, size: int) -> Spec:
    return replace(spec, hyperparameters=replace(spec.hyperparameters, micro_batch_size=size))


def _known(path: Path) -> int | None:
    if not path.exists():
        return None
    return int(json.loads(path.read_text(encoding="utf-8"))["micro_batch_size"])
