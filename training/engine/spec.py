"""`spec.json`: what a run is asked to do. Pure and standard library only, so Django validates with the same code."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.engine import hyperparameters as hp
from training.engine.fields import SpecError, read_object, setting

__all__ = ["METHODS", "TRAINED", "Spec", "SpecError", "parse"]

SCHEMA_VERSION = 1
METHODS = tuple(hp.SETTINGS)
TRAINED = ("sft", "reward", "dpo")

# method -> (models it needs, models it may use, data it needs, data it may use)
_NEEDS: dict[str, tuple[set[str], set[str], set[str], set[str]]] = {
    "import": (set(), set(), set(), set()),
    "generate": ({"base"}, set(), {"prompts"}, set()),
    "sft": ({"base"}, set(), {"train"}, set()),
    "reward": ({"base"}, set(), {"train"}, {"test"}),
    "dpo": ({"base"}, {"reference"}, {"train"}, set()),
    "evaluate": (
        {"base"},
        {"baseline", "reward_model", "reference"},
        set(),
        {"prompts", "test"},
    ),
}
_MODELS = ("base", "reference", "reward_model", "baseline")
_ROLES = ("train", "test", "prompts")
_KEYS = (
    "schema_version",
    "run",
    "method",
    "seed",
    *_MODELS,
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
        models={name: read_object(ModelRef, value[name], name) for name in _MODELS if value.get(name) is not None},
        data=_data(value.get("data") or {}),
        hyperparameters=read_object(
            hp.SETTINGS[value["method"]],
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
    if not isinstance(value, dict) or set(value) - set(_ROLES):
        raise SpecError({"data": f"must be an object with some of {', '.join(_ROLES)}"})
    return {role: read_object(DataRef, item, f"data.{role}") for role, item in value.items() if item is not None}


def _input_problems(spec: Spec) -> dict[str, str]:
    needs, may, data_needs, data_may = _NEEDS[spec.method]
    problems = dict.fromkeys(needs - set(spec.models), f"{spec.method} needs it")
    problems |= {f"data.{role}": f"{spec.method} needs it" for role in data_needs - set(spec.data)}
    problems |= dict.fromkeys(set(spec.models) - needs - may, f"{spec.method} would not use it")
    problems |= {f"data.{role}": f"{spec.method} would not use it" for role in set(spec.data) - data_needs - data_may}
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
    reference = spec.models.get("reference")
    if (
        spec.method == "dpo"
        and reference is not None
        and spec.hyperparameters.lora_r
        and reference.path != spec.base.path
    ):
        problems["reference"] = "with adapters the reference is the base itself; set lora_r to 0 to use another one"
    return problems


def _layout_problems(spec: Spec) -> dict[str, str]:
    world = spec.parallelism.world_size
    if spec.method not in TRAINED:
        alone = world == 1 and spec.parallelism.zero_stage == 0
        return {} if alone else {"parallelism": f"{spec.method} runs in one process without ZeRO"}
    settings = spec.hyperparameters
    unit = world * (settings.micro_batch_size or 1)
    if settings.batch_size % unit:
        return {"hyperparameters.batch_size": f"must be a multiple of {unit} (processes times micro_batch_size)"}
    return {}


def _identity(value: dict[str, Any]) -> str:
    """sha256 of what decides the weights: a checkpoint of another spec is refused, more checkpoints are not."""
    deciding = {key: item for key, item in value.items() if key not in ("run", "checkpoint", "parallelism")}
    return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()
