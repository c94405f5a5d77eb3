"""The DeepSpeed configuration of a run, a pure function used by the plan and by the engine alike."""

from __future__ import annotations

from typing import Any

BUCKET = 50_000_000  # elements; DeepSpeed's own default is ten times that, 2 GB per process in float32


def deepspeed_config(zero_stage: int) -> dict[str, Any]:
    """`auto` values are filled from the training arguments.

    No optimizer and no offload section: on a CPU either one compiles for a minute before the first step.
    """
    zero: dict[str, Any] = {"stage": zero_stage}
    if zero_stage:
        zero |= {"reduce_bucket_size": BUCKET, "allgather_bucket_size": BUCKET}
    if zero_stage == 3:
        del zero["allgather_bucket_size"]  # stage 3 gathers layer by layer
        zero["stage3_gather_16bit_weights_on_model_save"] = True  # else checkpoints hold no weights
    return {
        "train_batch_size": "auto",
        "train_micro_batch_size_per_gpu": "auto",
        "gradient_accumulation_steps": "auto",
        "gradient_clipping": "auto",
        "bf16": {"enabled": "auto"},
        "zero_optimization": zero,
        "steps_per_print": 1_000_000,
    }
