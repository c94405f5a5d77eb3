"""The processes of a run: start them together, agree, end them."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import Any

from training.engine.errors import EngineError
from training.engine.spec import Spec
from training.engine.warm import no_stale_locks


@dataclass(frozen=True)
class World:
    """`launcher` is "deepspeed" when its launcher started this process, else "python"."""

    rank: int
    size: int
    launcher: str

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    @property
    def is_distributed(self) -> bool:
        return self.launcher == "deepspeed"

    def barrier(self) -> None:
        if self.is_distributed:
            import torch.distributed as dist

            dist.barrier()

    def from_main(self, value: Any) -> Any:
        """Rank 0's value on every rank; all ranks must call it."""
        if not self.is_distributed:
            return value
        import torch.distributed as dist

        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def gather(self, value: Any) -> list[Any]:
        """Every rank's value on every rank, in rank order; all ranks must call it."""
        if not self.is_distributed:
            return [value]
        import torch.distributed as dist

        box = [None] * self.size
        dist.all_gather_object(box, value)
        return list(box)


def from_environment() -> World:
    """The launcher sets RANK, LOCAL_RANK and WORLD_SIZE; without them this is one plain process."""
    if "LOCAL_RANK" not in os.environ:
        return World(0, 1, "python")
    return World(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]), "deepspeed")


def require_layout(spec: Spec, world: World) -> None:
    wanted = spec.parallelism
    if wanted.world_size != world.size:
        raise EngineError(
            "world_size",
            f"spec.json asks for {wanted.world_size} processes, {world.size} were started.",
            "Start it with the command in launch.json.",
        )
    if wanted.zero_stage and not world.is_distributed:
        raise EngineError(
            "zero_stage",
            f"ZeRO stage {wanted.zero_stage} does nothing without the deepspeed launcher.",
            "Start it with the command in launch.json, or set zero_stage to 0.",
        )


def start(spec: Spec, world: World) -> None:
    """Threads, then the process group. Before any model: ZeRO-3 shards while it loads."""
    import torch

    torch.set_num_threads(spec.parallelism.threads)
    if world.is_distributed:
        import deepspeed

        backend = "nccl" if uses_cuda(spec) else "gloo"
        with no_stale_locks():
            deepspeed.init_distributed(dist_backend=backend, auto_mpi_discovery=False, verbose=False)


def uses_cuda(spec: Spec) -> bool:
    import torch

    wanted = spec.parallelism.device
    if wanted == "cuda" and not torch.cuda.is_available():
        raise EngineError(
            "no_gpu",
            "device is cuda, but no GPU is visible.",
            "Set device to auto or cpu.",
        )
    return wanted != "cpu" and torch.cuda.is_available()


def leave(world: World, code: int) -> None:
    """End the process at once. Finished two-rank runs sometimes abort in interpreter shutdown (3 % measured)."""
    if world.is_distributed and code == 0:
        import torch.distributed as dist

        if dist.is_initialized():
            dist.barrier()
            dist.destroy_process_group()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
