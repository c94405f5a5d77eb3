"""`plan(spec, target) -> Launch`: how a run is started, as a pure function tested against golden values.

Reads no clock, file, port or environment: whatever depends on the machine is in `target`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from training.engine.deepspeed_config import deepspeed_config
from training.engine.fields import SpecError, read_object, setting
from training.engine.methods import METHODS
from training.engine.spec import Spec, parse

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Place:
    """What every target has. On other machines the paths must mean the same: the run directory lies on a shared disk."""

    run_dir: str = setting("", "Absolute path of the run directory.")
    root: str = setting("", "Absolute path of the source tree.")
    venv: str = setting("", "Absolute path of the virtual environment.")
    var: str = setting("", "Absolute path for caches.")
    path: str = setting("/usr/local/bin:/usr/bin:/bin", "PATH behind the virtual environment's own.")
    master_port: int = setting(29500, "A port that is free where rank 0 runs.", minimum=1024, maximum=65535)
    gpus: int = setting(0, "GPUs the run may use on each machine.", minimum=0)
    gpu_name: str = setting("", "Their name, such as NVIDIA H100: preflight estimates the time from it.")
    gpu_memory_mb: int = setting(0, "Memory of one of them: preflight compares with it; 0: not known.", minimum=0)
    offline: bool = setting(True, "No model hub can be reached.")


@dataclass(frozen=True)
class Local(Place):
    """This machine. `master_port` must be free: the launcher's default is the same for every job."""

    kind: str = setting("local", "Processes of this machine.", choices=("local",))


@dataclass(frozen=True)
class Launch:
    """`argv` needs no shell; `environment` is set over the supervisor's; `files` go into the run directory: texts as they are,
    everything else as JSON.
    """

    argv: tuple[str, ...]
    environment: dict[str, str]
    launcher: str
    cwd: str
    ds_config: dict[str, Any] | None = None
    files: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The content of `launch.json`."""
        return {
            "schema_version": SCHEMA_VERSION,
            "argv": list(self.argv),
            "environment": self.environment,
            "launcher": self.launcher,
            "cwd": self.cwd,
            "ds_config": self.ds_config,
        }


def plan(spec: dict[str, Any], target: dict[str, Any]) -> Launch:
    """How to start the run described by `spec.json` on `target`, by its kind. SpecError names what does not fit."""
    from training.clusters import PLANS

    kind = target.get("kind", "local")
    if kind != "local" and kind not in PLANS:
        raise SpecError({"target.kind": f"must be one of {', '.join(('local', *PLANS))}"})
    return plan_local(parse(spec), target) if kind == "local" else PLANS[kind](parse(spec), target)


def plan_local(spec: Spec, target: dict[str, Any]) -> Launch:
    place = read_object(Local, target, "target")
    require_places(place)
    environment = environment_of(spec, place, gpus_per_machine(spec, place, 1))
    if not METHODS[spec.method].is_trained:
        return Launch(engine_argv(place), environment, "python", place.root)
    config = deepspeed_config(spec.parallelism.zero_stage)
    argv = deepspeed_argv(place, "--num_gpus", str(spec.parallelism.world_size))
    return Launch(argv, environment, "deepspeed", place.root, config, {"ds_config.json": config})


def engine_argv(place: Place) -> tuple[str, ...]:
    return (f"{place.venv}/bin/python", "-m", "training.engine", place.run_dir)


def deepspeed_argv(place: Place, *layout: str) -> tuple[str, ...]:
    """The launcher quotes nothing for other hosts: one path is all it is ever given, no text of a user."""
    port = ("--master_port", str(place.master_port))
    return (f"{place.venv}/bin/deepspeed", *layout, *port, "--module", "training.engine", place.run_dir)


def inspection(target: dict[str, Any]) -> Launch:
    """How preflight reads a run's rows: one process without a GPU. SpecError names what does not fit."""
    place = read_object(Local, target, "target")
    require_places(place)
    argv = (f"{place.venv}/bin/python", "-m", "training.engine.preflight", place.run_dir)
    environment = _common_environment(place, threads=1) | {"CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1"}
    return Launch(argv, dict(sorted(environment.items())), "python", place.root)


def require_places(place: Place) -> None:
    places = {
        "run_dir": place.run_dir,
        "root": place.root,
        "venv": place.venv,
        "var": place.var,
    }
    wrong = {f"target.{name}": "must be an absolute path" for name, path in places.items() if not path.startswith("/")}
    if wrong:
        raise SpecError(wrong)


def gpus_per_machine(spec: Spec, place: Place, machines: int) -> int:
    """GPUs the run will use on each machine: 0 on a CPU, else one for each of its processes."""
    wanted, processes = spec.parallelism, spec.parallelism.world_size // machines
    if wanted.device == "cuda" and not place.gpus:
        raise SpecError({"parallelism.device": "is cuda, but the target has no GPU"})
    if wanted.device == "cpu" or not place.gpus:
        return 0
    if processes > place.gpus:
        each = "" if machines == 1 else " on each machine"
        raise SpecError(
            {"parallelism.world_size": f"needs {processes} GPUs{each}, but the target has {place.gpus} GPUs"}
        )
    return processes


def environment_of(spec: Spec, place: Place, gpus: int) -> dict[str, str]:
    values = _common_environment(place, threads=spec.parallelism.threads)
    if not gpus:
        values |= {"DS_ACCELERATOR": "cpu", "CUDA_VISIBLE_DEVICES": ""}
    if place.offline or spec.method != "import":
        values["HF_HUB_OFFLINE"] = "1"
    return dict(sorted(values.items()))


def _common_environment(place: Place, *, threads: int) -> dict[str, str]:
    var = PurePosixPath(place.var)
    return {
        "PATH": f"{place.venv}/bin:{place.path}",  # another ninja before ours would rebuild the extensions each time
        "PYTHONPATH": place.root,
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "PASSIVE",  # spinning threads starve each other when the machine is shared
        "TOKENIZERS_PARALLELISM": "false",
        "TORCH_EXTENSIONS_DIR": f"{place.venv}/torch_extensions",
        "HF_HOME": str(var / "huggingface"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "TQDM_DISABLE": "1",
    }
