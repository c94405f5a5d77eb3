"""Memory and time of a run before it starts: counted, not tried. Standard library only.

Weights, gradients and optimizer states as in ZeRO (Rajbhandari et al. 2020, section 3), activations from the widths of the layers,
6 floating-point operations a parameter and token (Kaplan et al. 2020, section 2.1)..
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from training.engine.deepspeed_config import BUCKET
from training.engine.files import JSON
from training.engine.hyperparameters.online import Online
from training.engine.hyperparameters.shared import checkpoints_activations, epochs
from training.engine.preflight.size import Size
from training.engine.spec import Spec

FLOAT = 4
PROCESS_MB = {"cpu": 750, "gpu": 1100}
"""What a process holds before the model: interpreter and libraries, on a GPU its context and workspaces."""
PEAK_TFLOPS = {
    "B200": 2250.0,
    "H200": 989.0,
    "H100": 989.0,
    "A100": 312.0,
    "L40S": 362.0,
    "L40": 181.0,
    "L4": 121.0,
    "A40": 150.0,
    "A10": 125.0,
    "V100": 112.0,
    "T4": 65.0,
    "RTX 4090": 165.0,
    "RTX 3090": 71.0,
    "A6000": 155.0,
}
"""Dense 16-bit peaks from the makers' data sheets; a longer name stands before one that it contains."""
USED = {"cpu": 0.5, "gpu": 0.3}
"""Share of the peak that training reaches; model FLOP utilisation of Chowdhery et al. 2022."""
COMPARED = ("dpo", "kto", "ppo", "grpo", "rloo")
"""Methods that keep the reference in memory; with adapters it is the base with them off."""
STEP_SECONDS = 0.05
START_SECONDS = 15.0
"""Imports, launcher and loading."""
MIB = 2**20


@dataclass(frozen=True)
class Hardware:
    """Where it would run. `memory_mb` is one GPU's, or what the processes share on a CPU; 0 when nobody knows."""

    kind: str = "cpu"
    name: str = ""
    count: int = 1
    memory_mb: int = 0


@dataclass(frozen=True)
class Work:
    """What is read: rows as the trainer counts them, their tokens, the longest sequence, the most sequences in a row.

    Of an encoder-decoder these are what the decoder learns; `source_tokens` and `source_longest` are what the encoder reads.
    """

    rows: int
    tokens: int
    longest: int
    sides: int
    source_tokens: int = 0
    source_longest: int = 0


def estimate(spec: Spec, size: Size, work: Work, hardware: Hardware) -> JSON:
    """Memory of one GPU, or of all processes on a CPU, in MiB by what holds it; seconds, or null where the speed is unknown."""
    parts = memory(spec, size, work, hardware)
    processes = spec.parallelism.world_size if hardware.kind == "cpu" else 1
    steps = steps_of(spec, work.rows)
    return {
        "hardware": {
            "kind": hardware.kind,
            "name": hardware.name,
            "count": hardware.count,
            "memory_mb": hardware.memory_mb,
        },
        "parameters": size.parameters,
        "trained_parameters": trained(spec, size),
        "memory_mb": {name: round(value * processes / MIB, 1) for name, value in parts.items()},
        "needed_mb": round(sum(parts.values()) * processes / MIB),
        "steps": steps,
        "tokens": round(passes(spec, work, steps) * (work.tokens + work.source_tokens)),
        "seconds": seconds(spec, size, work, hardware, steps),
    }


def trained(spec: Spec, size: Size) -> int:
    rank = spec.hyperparameters.lora_r
    return size.adapters(rank) if rank else size.parameters


def steps_of(spec: Spec, rows: int) -> int:
    """Optimizer steps: max_steps, or epochs of rows in batches, a part of a batch counting as one.

    GRPO and RLOO write several completions to a row, leave out what fills no batch, and may pass over each batch again.
    """
    settings = spec.hyperparameters
    if settings.max_steps:
        return int(settings.max_steps)
    if isinstance(settings, Online):
        batches = rows // (settings.batch_size // settings.samples_per_prompt)
        return math.ceil(epochs(settings) * batches * settings.update_epochs)
    return math.ceil(epochs(settings) * math.ceil(rows / settings.batch_size))


def passes(spec: Spec, work: Work, steps: int) -> float:
    """How often all rows are gone through in so many steps; of what a method writes itself, a step takes whole batches."""
    batch = spec.hyperparameters.batch_size
    if "prompts" in spec.data:
        return steps * batch / max(work.rows, 1)
    return steps / max(1, math.ceil(work.rows / batch))


def memory(spec: Spec, size: Size, work: Work, hardware: Hardware) -> dict[str, float]:
    """Bytes of one process at its peak."""
    world, stage = spec.parallelism.world_size, spec.parallelism.zero_stage
    width = _width(spec, hardware)
    learned = trained(spec, size) * (2 if _has_value_trunk(spec) else 1)
    under = {
        "states": world if stage >= 1 else 1,
        "gradients": world if stage >= 2 else 1,
        "weights": world if stage == 3 else 1,
    }
    # Under ZeRO the optimizer keeps float32 masters beside both moments; a plain run trains its float32 weights in place.
    states = 3 * FLOAT if stage >= 1 or width < FLOAT else 2 * FLOAT
    return {
        "weights": (2 if _has_value_trunk(spec) else 1) * size.parameters * width / under["weights"],
        "reference": size.parameters * width if spec.method in COMPARED and not spec.hyperparameters.lora_r else 0.0,
        "judge": size.parameters * width if "reward_model" in spec.models else 0.0,
        "gradients": learned * (width + (FLOAT if stage else 0)) / under["gradients"],
        "optimizer": learned * states / under["states"],
        "buckets": min(2 * BUCKET, learned) * width if stage else 0.0,
        "activations": _activations(spec, size, work, width),
        "process": float(PROCESS_MB[hardware.kind] * MIB),
    }


def _has_value_trunk(spec: Spec) -> bool:
    return bool(getattr(spec.hyperparameters, "has_value_trunk", False))


def _width(spec: Spec, hardware: Hardware) -> int:
    """Bytes of a number in the model's format. `auto` is taken for bfloat16, which every current GPU has, and float32 on a CPU."""
    wanted = spec.hyperparameters.dtype
    narrow = wanted == "bfloat16" or (wanted == "auto" and hardware.kind == "gpu")
    return 2 if narrow else FLOAT


def _activations(spec: Spec, size: Size, work: Work, width: int) -> float:
    """What the backward pass needs of one micro-batch.

    For each token and layer eight vectors of the model's width, keys and values, and four of the feed-forward layer; with
    checkpointing one vector a layer and one layer whole. Logits in float32, with their gradient.
    """
    settings = spec.hyperparameters
    checkpointed = checkpoints_activations(settings, size.parameters)
    rows = settings.micro_batch_size or settings.batch_size // (settings.smallest_batch * spec.parallelism.world_size)
    tokens = rows * work.sides * work.longest
    layer = (8 * size.hidden + 2 * size.key_value + 4 * size.intermediate) * width
    layers = size.layers * size.hidden * width + layer if checkpointed else size.layers * layer
    if size.encoder:
        layers += _beside_the_encoder(size, width, checkpointed=checkpointed)
    scores = 0 if spec.method == "reward" else size.vocabulary * (width + 2 * FLOAT)
    # Measured, not derived: with adapters every linear layer holds about its output once more.
    beside = sum(rows for rows, _columns in size.linear) * width if settings.lora_r and not checkpointed else 0
    if size.encoder:
        half = beside * size.encoder / size.parameters
        read = size.encoder_layers * (size.hidden * width if checkpointed else layer) + half
        return float(tokens * (layers + scores + beside - half) + rows * work.source_longest * read)
    return float(tokens * (layers + scores + beside))


def _beside_the_encoder(size: Size, width: int, *, checkpointed: bool) -> int:
    """What a decoder keeps of reading the encoder, a token: four vectors of the model's width in each layer more."""
    return 4 * size.hidden * width * (1 if checkpointed else size.layers)


def seconds(spec: Spec, size: Size, work: Work, hardware: Hardware, steps: int) -> float | None:
    """None for a GPU whose peak is not known here, and for methods that write: their time is that of generation."""
    speed = flops(hardware, spec)
    if speed is None or "prompts" in spec.data:
        return None
    in_encoder = size.encoder / size.parameters
    tokens = work.tokens * (1 - in_encoder) + work.source_tokens * in_encoder
    work_left = operations(spec, size) * passes(spec, work, steps) * tokens / speed
    return round(START_SECONDS + steps * STEP_SECONDS + work_left, 1)


def operations(spec: Spec, size: Size) -> float:
    """Floating-point operations a token: 2 forward, 2 back to the inputs, 2 for what is trained; the reference's 2."""
    again = 2 if checkpoints_activations(spec.hyperparameters, size.parameters) else 0
    reference = 2 if spec.method in COMPARED else 0
    return (4 + again + reference) * size.parameters + 2 * trained(spec, size)


def flops(hardware: Hardware, spec: Spec) -> float | None:
    """Operations a second of all processes together, as training reaches them."""
    if hardware.kind == "cpu":
        cores = min(hardware.count, spec.parallelism.threads * spec.parallelism.world_size)
        return measured_flops() * max(1, cores) * USED["cpu"]
    peak = next((value for name, value in PEAK_TFLOPS.items() if name in hardware.name), None)
    return peak * 1e12 * USED["gpu"] * spec.parallelism.world_size if peak else None


def measured_flops(width: int = 512, most_seconds: float = 0.2) -> float:
    """Of one core, now: the best of some matrix products in float32. The one thing here that is not counted."""
    import numpy

    factors = numpy.ones((width, width), dtype=numpy.float32)
    best, end = math.inf, time.monotonic() + most_seconds
    while time.monotonic() < end or best is math.inf:
        began = time.perf_counter()
        factors @ factors
        best = min(best, time.perf_counter() - began)
    return 2 * width**3 / best
