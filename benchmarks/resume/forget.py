"""Controls: a resume that has forgotten something must not end like one that has not, or the proof proves nothing.

A checkpoint of a calm run is copied, robbed, and sealed again, so that nothing but its content is wrong.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from training.engine import checkpoints
from training.engine.files import RunDir, write_json

MOMENTS = ("exp_avg", "exp_avg_sq", "step")
CURSOR = "benchmarks.resume.forgetful"
"""TRL's trainers have no cursor of their own, they count steps: the process that resumes is told to ignore the count."""


def nothing(_checkpoint: Path) -> None:
    """The control of the controls: copied and sealed again, it must end like the calm run."""


def optimizer(checkpoint: Path) -> None:
    """Adam begins anew: moments and step counts are zero in every file that holds some."""
    import torch

    for path in sorted(checkpoint.rglob("*.pt")):
        content = torch.load(path, map_location="cpu", weights_only=False)
        if sum(_zero(part) for part in _states(content)):
            torch.save(content, path)


def _states(value: Any) -> Iterator[dict[Any, Any]]:
    """The dicts at any depth that hold Adam's moments."""
    if isinstance(value, dict):
        if "exp_avg" in value:
            yield value
        for item in value.values():
            yield from _states(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _states(item)


def _zero(state: dict[Any, Any]) -> int:
    for name in MOMENTS:
        if hasattr(state.get(name), "zero_"):
            state[name].zero_()
        elif name in state:
            state[name] = 0
    return 1


def random_numbers(checkpoint: Path) -> None:
    """TRL starts from the seed where the file is missing; PPO's one generator is put back to a seed."""
    import torch

    for path in checkpoint.glob("rng_state*.pth"):
        path.unlink()
    if (checkpoint / "rng.pt").exists():
        torch.save(torch.Generator().manual_seed(0).get_state(), checkpoint / "rng.pt")


def cursor(checkpoint: Path) -> None:
    """PPO's place in its prompts; TRL's is forgotten by the process that resumes, see CURSOR."""
    path = checkpoint / "state.json"
    if path.exists():
        write_json(path, {**json.loads(path.read_text(encoding="utf-8")), "cursor": 0})


FORGETTING: dict[str, tuple[Callable[[Path], None], str]] = {
    "nothing": (nothing, "training.engine"),
    "optimizer": (optimizer, "training.engine"),
    "rng": (random_numbers, "training.engine"),
    "cursor": (cursor, CURSOR),
}
"""What is forgotten: how the checkpoint is robbed, and the module that resumes."""


def copy_until(calm: Path, target: Path, name: str, rob: Callable[[Path], None]) -> Path:
    """A run directory that stands where `calm` stood after checkpoint `name`, less what `rob` takes."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for part in ("spec.json", "ds_config.json"):
        if (calm / part).exists():
            shutil.copy2(calm / part, target / part)
    shutil.copytree(calm / "data", target / "data")
    staging = RunDir(target).work / "robbed"
    shutil.copytree(calm / "checkpoints" / name, staging)
    sealed = checkpoints.read(staging)
    assert sealed is not None, f"{calm / 'checkpoints' / name} is not whole"
    (staging / checkpoints.MANIFEST).unlink()
    rob(staging)
    checkpoints.seal(staging, RunDir(target).checkpoints / name, step=sealed.step, layout=sealed.layout)
    return target
