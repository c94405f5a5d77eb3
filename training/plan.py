"""`plan(spec, target) -> Launch`: how a run is started, as a pure function tested against golden values.

Reads no clock, file, port or environment: whatever depends on the machine is in `target`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from training.engine.deepspeed_config import deepspeed_config
from training.engine.fields import SpecError, read_object, setting
from training.engine.spec import TRAINED, Spec, parse

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Local:
    """This machine. `master_port` must be free: the launcher's default is the same for every job."""

    kind: str = setting("local", "Only local for now.", choices=("local",))
    run_dir: str = setting("", "Absolute path of the run directory.")
    root: str = setting("", "Absolute path of the source tree.")
    venv: str = setting("", "Absolute path of the virtual environment.")
    var: str = setting("", "Absolute path for caches.")
    path: str = setting("/usr/local/bin:/usr/bin:/bin", "PATH behind the virtual environment's own.")
    master_port: int = setting(29500, "A free port of the loopback interface.", minimum=1024, maximum=65535)
    gpus: int = setting(0, "GPUs this run may use.", minimum=0)
    offline: bool = setting(True, "No model hub can be reached.")


@dataclass(frozen=True)
class Launch:
    """`argv` needs no shell; `environment` is set over the supervisor's; `files` go into the run directory as JSON."""

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
    """How to start the run described by `spec.json` on `target`. SpecError names what does not fit."""
    parsed, place = parse(spec), read_object(Local, target, "target")
    _require_places(place)
    environment = _environment(parsed, place, _gpus(parsed, place))
    if parsed.method not in TRAINED:
        python = (f"{place.venv}/bin/python", "-m", "training.engine", place.run_dir)
        return Launch(python, environment, "python", place.root)
    config = deepspeed_config(parsed.parallelism.zero_stage)
    # The launcher quotes nothing for other hosts: one path is all it is ever given, no text of a user.
    argv = (
        f"{place.venv}/bin/deepspeed",
        *("--num_gpus", str(parsed.parallelism.world_size)),
        *("--master_port", str(place.master_port)),
        *("--module", "training.engine", place.run_dir),
    )
    return Launch(argv, environment, "deepspeed", place.root, config, {"ds_config.json": config})


def _require_places(place: Local) -> None:
    places = {
        "run_dir": place.run_dir,
        "root": place.root,
        "venv": place.venv,
        "var": place.var,
    }
    wrong = {f"target.{name}": "must be an absolute path" for name, path in places.items() if not path.startswith("/")}
    if wrong:
        raise SpecError(wrong)


def _gpus(spec: Spec, place: Local) -> int:
    """GPUs the run will use: 0 on a CPU, else one per process."""
    wanted = spec.parallelism
    if wanted.device == "cuda" and not place.gpus:
        raise SpecError({"parallelism.device": "is cuda, but the target has no GPU"})
    if wanted.device == "cpu" or not place.gpus:
        return 0
    if wanted.world_size > place.gpus:
        raise SpecError({"parallelism.world_size": f"is {wanted.world_size}, but the target has {place.gpus} GPUs"})
    return wanted.world_size


def _environment(spec: Spec, place: Local, gpus: int) -> dict[str, str]:
    var = PurePosixPath(place.var)
    values = {
        "PATH": f"{place.venv}/bin:{place.path}",  # another ninja before ours would rebuild the extensions each time
        "PYTHONPATH": place.root,
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": str(spec.parallelism.threads),
        "OMP_WAIT_POLICY": "PASSIVE",  # spinning threads starve each other when the machine is shared
        "TOKENIZERS_PARALLELISM": "false",
        "TORCH_EXTENSIONS_DIR": f"{place.venv}/torch_extensions",
        "HF_HOME": str(var / "huggingface"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "TQDM_DISABLE": "1",
    }
    if not gpus:
        values |= {"DS_ACCELERATOR": "cpu", "CUDA_VISIBLE_DEVICES": ""}
    if place.offline or spec.method != "import":
        values["HF_HUB_OFFLINE"] = "1"
    return dict(sorted(values.items()))
