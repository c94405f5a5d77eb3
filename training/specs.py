"""From a job's spec to the engine's spec.json. Pure: models and files are named here, not opened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from training.engine import spec as engine

JSON = dict[str, Any]
SCHEMA_VERSION = 1
REQUEST_KEYS = (
    *("schema_version", "method", "models", "snapshot", "data", "prompts", "texts", "corpus", "model"),
    *("hyperparameters", "parallelism", "checkpoint", "seed", "preflight", "target"),
)
GENERATE_KEYS = ("schema_version", "version", "prompts", "samples", "sampling", "purpose", "parallelism")
IMPLIED = ("do_sample", "seed")
"""Sampling settings that are no hyperparameters: the engine always samples, and the seed is the run's own."""
LISTED = {"prompts": "prompt", "texts": "task"}
"""Data that a request names one by one, and what it names."""
SOMEWHERE = "/placeholder"
"""Stands for a path while a spec is checked before there is a run directory."""


def request_of(kind: str, spec: JSON) -> JSON:
    """What a job of this floor asks for, in one form. The registry's `generate` has a shorter one of its own."""
    return _generation(spec) if kind == "generate" else spec


def _generation(spec: JSON) -> JSON:
    sampling = dict(spec.get("sampling") or {})
    settings = {name: value for name, value in sampling.items() if name not in IMPLIED}
    samples = spec.get("samples", 1)
    if not isinstance(samples, int) or not isinstance(settings.get("batch_size", 32), int):
        raise ValueError("samples, sampling.batch_size: must be whole numbers")
    # The engine keeps the samples of one prompt in one batch.
    if samples > settings.get("batch_size", 32):
        settings["batch_size"] = samples
    return {
        "schema_version": SCHEMA_VERSION,
        "method": "generate",
        "models": {"base": spec.get("version")},
        "prompts": spec.get("prompts"),
        "hyperparameters": {**settings, "samples_per_prompt": samples},
        "parallelism": spec.get("parallelism") or {},
        "seed": sampling.get("seed", 0),
    }


def generation(request: JSON) -> JSON:
    """The registry's form of a request to generate: every `generate` job has it, whoever started it."""
    settings = dict(request["hyperparameters"])
    spec = {
        "schema_version": SCHEMA_VERSION,
        "version": request["models"]["base"],
        "prompts": request["prompts"],
        "samples": settings.pop("samples_per_prompt", 2),
        "sampling": {**settings, "seed": request["seed"]},
        "purpose": "run",
    }
    return {**spec, "parallelism": request["parallelism"]} if request["parallelism"] else spec


def check(kind: str, spec: JSON) -> None:
    """Pure. ValueError with the dotted field of everything that is wrong."""
    known = GENERATE_KEYS if kind == "generate" else REQUEST_KEYS
    unknown = sorted(set(spec) - set(known))
    if unknown:
        raise ValueError(f"{unknown[0]}: unknown; known are {', '.join(known)}")
    request = request_of(kind, spec)
    if request.get("method") != kind:
        raise ValueError(f"method: must be {kind}")
    _check_ids(request)
    _check_override(request.get("preflight"))
    if not isinstance(request.get("target", ""), str):
        raise ValueError("target: must be the id of a target")
    models = {role: {"path": SOMEWHERE} for role in request["models"]}
    data = {role: {"path": f"data/{role}.jsonl"} for role in data_roles(request)}
    engine.parse(to_engine(request, run="run", models=models, data=data))


def _check_ids(request: JSON) -> None:
    models = request.get("models")
    if not isinstance(models, dict) or not all(isinstance(name, str) for name in models.values()):
        raise ValueError("models: must name a version for every role")
    if not isinstance(request.get("corpus", ""), str):
        raise ValueError("corpus: must be a name")
    for role, what in LISTED.items():
        names = request.get(role) or []
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError(f"{role}: must be a list of {what} ids")
        if len(set(names)) != len(names):
            raise ValueError(f"{role}: name each of them once")


def _check_override(preflight: Any) -> None:
    if preflight is not None and not (isinstance(preflight, dict) and isinstance(preflight.get("override"), str)):
        raise ValueError("preflight: must be an object with override, the reason")


def data_roles(request: JSON) -> list[str]:
    """The data the engine will read: files of the snapshot, prompts, and the texts of tasks."""
    return [
        *(request.get("data") or {}),
        *(role for role in LISTED if request.get(role) or (role == "texts" and request.get("corpus"))),
    ]


def to_engine(request: JSON, *, run: str, models: Mapping[str, JSON], data: Mapping[str, JSON]) -> JSON:
    """The content of spec.json. `models` and `data` are the engine's references by role."""
    return {
        "schema_version": SCHEMA_VERSION,
        "run": run,
        "method": request["method"],
        "seed": request.get("seed", 0),
        **models,
        "data": dict(data),
        "hyperparameters": request.get("hyperparameters") or {},
        "parallelism": request.get("parallelism") or {},
        "checkpoint": request.get("checkpoint") or {},
    }


def devices_for(kind: str, spec: JSON) -> int:
    """Devices of this machine the run holds while it computes: one per process. Imports and runs elsewhere need none."""
    if kind == "import" or spec.get("target"):
        return 0
    return int((request_of(kind, spec).get("parallelism") or {}).get("world_size", 1))
