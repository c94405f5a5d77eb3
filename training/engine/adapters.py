"""Adapters as artifacts: a few megabytes that stand on a base, named by its digest.

Beside peft's two files an adapter artifact has a config.json, tokenizer and template of its own, so whatever reads a model's
folder finds what it needs. peft loads it onto its base; transformers, and so a server, by the path of a folder without that
config.json (with it, it looks for whole weights). Here the base is also checked to be the same still. Standard library only.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from training.engine.errors import EngineError
from training.engine.files import artifact_digest, write_json

CONFIG = "adapter_config.json"
BASE = "base.json"


def is_adapter(path: Path) -> bool:
    return (path / CONFIG).is_file()


def place_of_base(path: Path) -> Path:
    return Path(json.loads((path / CONFIG).read_text(encoding="utf-8"))["base_model_name_or_path"])


def base_of(path: Path) -> Path:
    """Where the base of an adapter lies. EngineError when it is gone or is another one."""
    base = place_of_base(path)
    if not (base / "config.json").is_file():
        raise EngineError(
            "missing_base",
            f"The adapter in {path} stands on {base}, which is not there.",
            "Import or train that base again, or use a merged model.",
        )
    if artifact_digest(base) != json.loads((path / BASE).read_text(encoding="utf-8"))["digest"]:
        raise EngineError(
            "changed_base",
            f"The adapter in {path} stands on {base}, whose files have changed since.",
            "Bring back the base that it was trained on; on another one it would answer something else.",
        )
    return base


def merged(model: Any, path: Path) -> Any:
    """`model` (the base) with the adapter in `path` added to its weights."""
    from peft import PeftModel

    return PeftModel.from_pretrained(model, path).merge_and_unload(safe_merge=True)


def require_plain_base(base: Path) -> None:
    """Other software loads an adapter on a model, not an adapter on an adapter."""
    if is_adapter(base):
        raise EngineError(
            "adapter_on_adapter",
            "The base is an adapter itself, so an adapter on it could not be loaded elsewhere.",
            "Set artifact to merged.",
        )


def copy(trained: Path, base: Path, target: Path) -> None:
    """The trained adapter into `target`, with the base it stands on."""
    shutil.copyfile(trained / "adapter_model.safetensors", target / "adapter_model.safetensors")
    config = json.loads((trained / CONFIG).read_text(encoding="utf-8"))
    write_json(target / CONFIG, {**config, "base_model_name_or_path": str(base), "inference_mode": True})
    write_json(target / BASE, {"digest": artifact_digest(base)})
