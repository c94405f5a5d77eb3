"""Who takes the gradient steps: plain torch in one process, DeepSpeed under its launcher. Both look the same outside.

Losses come as sums over tokens divided by the tokens of the whole minibatch, so that neither micro-batches nor ranks
change their mean; `scale` undoes what DeepSpeed averages.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from training.engine.context import Context
from training.engine.deepspeed_config import deepspeed_config
from training.engine.models import torch_dtype

ADAM_EPSILON = 1e-5  # as in lm-human-preferences; torch's 1e-8 makes the first steps too large (Huang et al. 2024)
HEAD = "value_head"

Rates = tuple[float, float]
"""Learning rates of the trunk and of the value head."""


class Learner:
    """A network with its optimizer. `network` is called, `module` is looked into."""

    scale = 1.0

    def __init__(self, module: nn.Module, rates: Rates, context: Context) -> None:
        settings = context.spec.hyperparameters
        self.context = context
        self.module: Any = module
        self.network: Any = module
        groups = parameter_groups(module, rates)
        self.peaks = [group["lr"] for group in groups]
        self.optimizer: Any = torch.optim.AdamW(
            groups, eps=ADAM_EPSILON, weight_decay=settings.weight_decay, fused=True
        )

    def set_rate(self, factor: float) -> None:
        """Learning rates as a part of their peaks."""
        for group, peak in zip(self.optimizer.param_groups, self.peaks, strict=True):
            group["lr"] = factor * peak

    def backward(self, loss: Tensor) -> None:
        raise NotImplementedError

    def step(self) -> float:
        """After the last micro-batch of a minibatch: clip, step, forget the gradients. The norm before clipping."""
        raise NotImplementedError

    @contextmanager
    def whole(self) -> Iterator[Any]:
        """The module with all of its weights in this process, without hooks."""
        yield self.module

    def save(self, staging: Path, name: str) -> None:
        raise NotImplementedError

    def load(self, checkpoint: Path, name: str) -> None:
        raise NotImplementedError


class Plain(Learner):
    def __init__(self, module: nn.Module, rates: Rates, context: Context) -> None:
        super().__init__(module.to("cuda" if context.cuda else "cpu"), rates, context)
        self.trained = [parameter for parameter in module.parameters() if parameter.requires_grad]

    def backward(self, loss: Tensor) -> None:
        loss.backward()  # type: ignore[no-untyped-call]  # torch

    def step(self) -> float:
        norm = nn.utils.clip_grad_norm_(self.trained, self.context.spec.hyperparameters.max_grad_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return float(norm)

    def save(self, staging: Path, name: str) -> None:
        trained = {key for key, value in self.module.named_parameters() if value.requires_grad}
        weights = {key: value for key, value in self.module.state_dict().items() if key in trained}
        staging.mkdir(parents=True, exist_ok=True)
        torch.save({"weights": weights, "optimizer": self.optimizer.state_dict()}, staging / f"{name}.pt")

    def load(self, checkpoint: Path, name: str) -> None:
        saved = torch.load(checkpoint / f"{name}.pt", map_location="cpu", weights_only=True)
        self.module.load_state_dict(saved["weights"], strict=False)
        self.optimizer.load_state_dict(saved["optimizer"])


class Deep(Learner):
    def __init__(self, module: nn.Module, rates: Rates, context: Context, micro: int, accumulation: int) -> None:
        import deepspeed

        super().__init__(module, rates, context)
        self.stage = context.spec.parallelism.zero_stage
        self.scale = float(context.world.size * accumulation)
        self.partial = any(not parameter.requires_grad for parameter in module.parameters())
        config = engine_config(context, micro, accumulation)
        self.network = deepspeed.initialize(
            model=module, optimizer=self.optimizer, config=config, dist_init_required=False
        )[0]
        self.module = self.network.module

    def backward(self, loss: Tensor) -> None:
        """DeepSpeed reduces here and steps at the last micro-batch; it counts them itself."""
        self.network.backward(loss)
        if not self.network.is_gradient_accumulation_boundary():
            self.network.step()

    def step(self) -> float:
        plain = self.stage == 0 and self.network.optimizer is not None
        own = gradient_norm(self.module) if plain else None  # stage 0 clips, but reports no norm in float32
        self.network.step()
        reported = self.network.get_global_grad_norm()
        return float(reported) if own is None or math.isnan(own) else own

    @contextmanager
    def whole(self) -> Iterator[Any]:
        """Under ZeRO-3 one gather for all that happens inside, hooks off; they come back whatever happens.

        With the hooks left on, every layer would be scattered again after its first token.
        """
        offload = getattr(self.network.optimizer, "parameter_offload", None)
        if self.stage < 3 or offload is None:
            yield self.module
            return
        import deepspeed

        parameters = list(self.module.parameters())
        with deepspeed.zero.GatheredParameters(parameters):
            for parameter in parameters:
                parameter.ds_active_sub_modules.clear()
            unhook(offload)
            try:
                yield self.module
            finally:
                rehook(offload)

    def save(self, staging: Path, name: str) -> None:
        self.network.save_checkpoint(str(staging), tag=name, save_latest=False, exclude_frozen_parameters=self.partial)

    def load(self, checkpoint: Path, name: str) -> None:
        path, _ = self.network.load_checkpoint(str(checkpoint), tag=name, load_module_strict=not self.partial)
        if path is None:
            raise FileNotFoundError(f"{checkpoint.name} holds no {name}")


def learner(module: nn.Module, rates: Rates, context: Context, micro: int, accumulation: int) -> Learner:
    if context.world.is_distributed:
        return Deep(module, rates, context, micro, accumulation)
    return Plain(module, rates, context)


def parameter_groups(module: nn.Module, rates: Rates) -> list[dict[str, Any]]:
    """Trained parameters, the value head apart; a group without parameters is left out."""
    trained = [(name, value) for name, value in module.named_parameters() if value.requires_grad]
    split = (
        [value for name, value in trained if not name.startswith(HEAD)],
        [value for name, value in trained if name.startswith(HEAD)],
    )
    return [{"params": values, "lr": rate} for values, rate in zip(split, rates, strict=True) if values]


def engine_config(context: Context, micro: int, accumulation: int) -> dict[str, Any]:
    settings, cuda = context.spec.hyperparameters, context.cuda
    return {
        **deepspeed_config(context.spec.parallelism.zero_stage),
        "train_batch_size": micro * accumulation * context.world.size,
        "train_micro_batch_size_per_gpu": micro,
        "gradient_accumulation_steps": accumulation,
        "gradient_clipping": settings.max_grad_norm,
        "bf16": {"enabled": torch_dtype(settings.dtype, cuda=cuda) is torch.bfloat16},
    }


def frozen(module: Any, context: Context, micro: int) -> Any:
    """A network that is only read: one copy on every rank, shared out between them under ZeRO-3."""
    module = module.eval().requires_grad_(False)
    if context.world.is_distributed and context.spec.parallelism.zero_stage == 3:
        import deepspeed

        return deepspeed.initialize(model=module, config=engine_config(context, micro, 1), dist_init_required=False)[0]
    return module.to("cuda" if context.cuda else "cpu")


def gradient_norm(module: nn.Module) -> float:
    squares = [value.grad.float().square().sum() for value in module.parameters() if value.grad is not None]
    return float(torch.stack(squares).sum().sqrt()) if squares else math.nan


def unhook(offload: Any) -> None:
    for hook in [*offload.forward_hooks, *offload.backward_hooks]:
        hook.remove()
    offload.forward_hooks, offload.backward_hooks = [], []


def rehook(offload: Any) -> None:
    """The recorded order of layers no longer holds, so it is forgotten too."""
    coordinator = offload.get_param_coordinator()
    if not coordinator.is_invalid_trace():
        coordinator._invalidate_trace()
    offload._register_deepspeed_module(offload.module)
