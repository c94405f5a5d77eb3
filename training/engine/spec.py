"""`spec.json`: what a run is asked to do. Pure and standard library only, so Django validates with the same code."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.engine.fields import SpecError, read_object, setting
from training.engine.methods import METHODS, MODELS, ROLES

__all__ = ["Spec", "SpecError", "parse"]

SCHEMA_VERSION = 1
_KEYS = (
    "schema_version",
    "run",
    "method",
    "seed",
    *MODELS,
    "data",
    "hyperparameters",
    "parallelism",
    "checkpoint",
)


@dataclass(frozen=True)
class ModelRef:
    """A model on disk. With a digest, the files are checked before they are used."""

    path: str
    digest: str | None = None
    version: str | None = None


@dataclass(frozen=True)
class DataRef:
    """A JSONL file; `path` is relative to the run directory."""

    path: str
    sha256: str | None = None
    rows: int | None = None


@dataclass(frozen=True)
class Parallelism:
    world_size: int = setting(1, "Processes; on a GPU machine one per GPU.", minimum=1)
    zero_stage: int = setting(0, "DeepSpeed ZeRO stage.", choices=(0, 1, 2, 3))
    device: str = setting("auto", "auto takes a GPU when there is one.", choices=("auto", "cpu", "cuda"))
    threads: int = setting(1, "Threads of each process.", minimum=1)


@dataclass(frozen=True)
class CheckpointPolicy:
    every_steps: int = setting(50, "Optimizer steps between two checkpoints.", minimum=1)
    keep: int = setting(2, "Newest checkpoints kept.", minimum=1)


@dataclass(frozen=True)
class Spec:
    run: str
    method: str
    seed: int
    models: dict[str, ModelRef]
    data: dict[str, DataRef]
    hyperparameters: Any
    parallelism: Parallelism
    checkpoint: CheckpointPolicy
    sha256: str

    @property
    def base(self) -> ModelRef:
        return self.models["base"]

    @property
    def micro_batch_size(self) -> int:
        """Rows per process and forward pass of a trained method."""
        return int(
            self.hyperparameters.micro_batch_size or self.hyperparameters.batch_size // self.parallelism.world_size
        )

    @property
    def accumulation(self) -> int:
        return int(self.hyperparameters.batch_size) // (self.micro_batch_size * self.parallelism.world_size)


def load(path: Path) -> Spec:
    """Read and validate `spec.json`; OSError, SpecError (also for text that is not JSON)."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SpecError({"spec": f"is not JSON: {error}"}) from error
    return parse(value)


def parse(value: Any) -> Spec:
    """Validate a spec; SpecError names every problem found, by dotted field."""
    if not isinstance(value, dict):
        raise SpecError({"spec": "must be an object"})
    problems = _head_problems(value)
    if problems:
        raise SpecError(problems)
    spec = Spec(
        run=value["run"],
        method=value["method"],
        seed=value.get("seed", 0),
        models={name: read_object(ModelRef, value[name], name) for name in MODELS if value.get(name) is not None},
        data=_data(value.get("data") or {}),
        hyperparameters=read_object(
            METHODS[value["method"]].settings,
            value.get("hyperparameters", {}),
            "hyperparameters",
        ),
        parallelism=read_object(Parallelism, value.get("parallelism", {}), "parallelism"),
        checkpoint=read_object(CheckpointPolicy, value.get("checkpoint", {}), "checkpoint"),
        sha256=_identity(value),
    )
    problems = {
        **_input_problems(spec),
        **_setting_problems(spec),
        **_layout_problems(spec),
    }
    if problems:
        raise SpecError(problems)
    return spec


def _head_problems(value: dict[str, Any]) -> dict[str, str]:
    problems = {key: f"unknown; known are {', '.join(_KEYS)}" for key in value if key not in _KEYS}
    if value.get("schema_version") != SCHEMA_VERSION:
        problems["schema_version"] = f"must be {SCHEMA_VERSION}"
    if value.get("method") not in METHODS:
        problems["method"] = f"must be one of {', '.join(METHODS)}"
    if not isinstance(value.get("run"), str) or not value.get("run"):
        problems["run"] = "must be the id of the run"
    seed = value.get("seed", 0)
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**32:
        problems["seed"] = "must be a whole number from 0 to 4294967295"
    return problems


def _data(value: Any) -> dict[str, DataRef]:
    if not isinstance(value, dict) or set(value) - set(ROLES):
        raise SpecError({"data": f"must be an object with some of {', '.join(ROLES)}"})
    return {role: read_object(DataRef, item, f"data.{role}") for role, item in value.items() if item is not None}


def _input_problems(spec: Spec) -> dict[str, str]:
    method = METHODS[spec.method]
    models, data = set(spec.models), set(spec.data)
    problems = dict.fromkeys(method.models - models, f"{spec.method} needs it")
    problems |= {f"data.{role}": f"{spec.method} needs it" for role in method.data - data}
    problems |= dict.fromkeys(models - method.models - method.may_models, f"{spec.method} would not use it")
    problems |= {f"data.{role}": f"{spec.method} would not use it" for role in data - method.data - method.may_data}
    if spec.method == "evaluate":
        problems |= _evaluate_problems(spec)
    return problems


def _evaluate_problems(spec: Spec) -> dict[str, str]:
    problems = {}
    if not spec.data:
        problems["data"] = "evaluate needs prompts, test, or both"
    if "test" in spec.data and "reward_model" not in spec.models:
        problems["reward_model"] = "data.test holds preference pairs; a reward model scores them"
    for name in ("baseline", "reference"):
        if name in spec.models and "prompts" not in spec.data:
            problems[name] = "would do nothing without data.prompts"
    return problems


def _setting_problems(spec: Spec) -> dict[str, str]:
    problems = {f"hyperparameters.{name}": text for name, text in spec.hyperparameters.check()}
    watched = getattr(spec.hyperparameters, "evaluate_every", None)
    if watched and "test" not in spec.data:
        problems["hyperparameters.evaluate_every"] = "needs held-out rows, and data.test names none"
    if spec.method in ("sft", "dpo") and "test" in spec.data and not watched:
        problems["data.test"] = f"{spec.method} would not use it without evaluate_every"
    reference = spec.models.get("reference")
    if (
        "reference" in METHODS[spec.method].may_models
        and METHODS[spec.method].is_trained
        and reference is not None
        and spec.hyperparameters.lora_r
        and reference.path != spec.base.path
    ):
        problems["reference"] = "with adapters the reference is the base itself; set lora_r to 0 to use another one"
    return problems


def _layout_problems(spec: Spec) -> dict[str, str]:
    world = spec.parallelism.world_size
    if not METHODS[spec.method].is_trained:
        alone = world == 1 and spec.parallelism.zero_stage == 0
        return {} if alone else {"parallelism": f"{spec.method} runs in one process without ZeRO"}
    settings = spec.hyperparameters
    if getattr(settings, "show_every", None) and spec.parallelism.zero_stage == 3:
        return {"hyperparameters.show_every": "needs whole weights in one process; with zero_stage 3 leave it out"}
    unit = world * settings.smallest_batch
    if settings.batch_size % unit:
        parts = "processes times micro_batch_size" + (" times minibatches" if hasattr(settings, "minibatches") else "")
        return {"hyperparameters.batch_size": f"must be a multiple of {unit} ({parts})"}
    least = settings.least_micro_batch
    if spec.micro_batch_size < least:
        field = "micro_batch_size" if settings.micro_batch_size else "batch_size"
        return {f"hyperparameters.{field}": f"must give every process at least {least} rows in a forward pass"}
    return {}


def _identity(value: dict[str, Any]) -> str:
    """sha256 of what decides the weights: a checkpoint of another spec is refused, more checkpoints are not."""
    deciding = {key: item for key, item in value.items() if key not in ("run", "checkpoint", "parallelism")}
    return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()
