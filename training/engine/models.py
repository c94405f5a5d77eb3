"""Loading and exporting models. Torch and transformers are imported inside the functions."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from training.engine.errors import EngineError
from training.engine.files import (
    artifact_digest,
    combined_digest,
    digest_tree,
    replace_directory,
)
from training.engine.hyperparameters import Train, lora_alpha
from training.engine.spec import ModelRef


def require_model(ref: ModelRef) -> Path:
    """The model's directory, after its files are found and match the digest."""
    path = Path(ref.path)
    if not (path / "config.json").is_file() or not list(path.glob("*.safetensors")):
        raise EngineError(
            "missing_model",
            f"No model in {path}: config.json and *.safetensors are needed.",
            "Import the base model again, or correct the path in spec.json.",
        )
    if ref.digest and artifact_digest(path) != ref.digest:
        raise EngineError(
            "changed_model",
            f"The files in {path} differ from their registered digest.",
            "Import or train it again.",
        )
    return path


def load_tokenizer(path: Path) -> Any:
    """The tokenizer, which must have a chat template, an EOS and a pad token of its own."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(path)
    if tokenizer.chat_template is None or tokenizer.eos_token_id is None:
        raise EngineError(
            "not_a_chat_model",
            f"{path} has no chat template or no EOS.",
            "Choose a chat model.",
        )
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id == tokenizer.eos_token_id:
        raise EngineError(
            "pad_token",
            "The pad token is missing or is the EOS token: the model would unlearn to stop.",
            "Import the model with the import method, which gives it a pad token of its own.",
        )
    return tokenizer


def torch_dtype(name: str, *, cuda: bool) -> Any:
    """`auto` is bfloat16 where matrix units for it exist, else float32."""
    import torch

    if name != "auto":
        return getattr(torch, name)
    fast = torch.cuda.is_bf16_supported() if cuda else torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if fast else torch.float32


def load_causal(path: Path, dtype: Any) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(path, dtype=dtype)


def load_reward(path: Path, dtype: Any) -> Any:
    """A sequence classifier with one label. A head that is not in the files is drawn from torch's seed."""
    from transformers import AutoModelForSequenceClassification

    return AutoModelForSequenceClassification.from_pretrained(path, dtype=dtype, num_labels=1)


def lora_config(settings: Train, task: str) -> Any:
    """Adapters on all linear layers; `task` is CAUSAL_LM or SEQ_CLS (whose `score` head trains whole)."""
    if not settings.lora_r:
        return None
    from peft import LoraConfig

    return LoraConfig(
        r=settings.lora_r,
        lora_alpha=lora_alpha(settings),
        lora_dropout=settings.lora_dropout,
        target_modules="all-linear",
        task_type=task,
        bias="none",
    )


def stored_dtype(path: Path) -> str:
    from transformers import AutoConfig

    return str(AutoConfig.from_pretrained(path).dtype or "float32").removeprefix("torch.")


def export(
    trained: Path,
    base: Path,
    target: Path,
    *,
    tokenizer: Any,
    settings: Train,
    reward: bool,
    seed: int,
) -> dict[str, Any]:
    """Write a model that loads without adapters, and describe it. Merging is done in float32, rounded once."""
    import torch

    torch.manual_seed(seed)
    load = load_reward if reward else load_causal
    source = base if settings.lora_r else trained
    model = load(source, torch.float32)
    if settings.lora_r:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, trained).merge_and_unload(safe_merge=True)
    name = stored_dtype(base) if settings.export_dtype == "auto" else settings.export_dtype
    model = model.to(getattr(torch, name))
    return save(model, tokenizer, base, target)


def save(model: Any, tokenizer: Any, base: Path | None, target: Path) -> dict[str, Any]:
    """Model, tokenizer and template into `target`, whole or not at all; generation_config.json comes from `base`."""
    beside = target.with_name(target.name + ".partial")
    shutil.rmtree(beside, ignore_errors=True)
    model.config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(beside)
    tokenizer.save_pretrained(beside)
    if base is not None and (base / "generation_config.json").is_file():
        shutil.copyfile(base / "generation_config.json", beside / "generation_config.json")
    for path in beside.iterdir():
        path.chmod(0o644)  # safetensors writes 0600: a server under another user could not read it
    replace_directory(beside, target)
    return describe_artifact(target)


def describe_artifact(path: Path) -> dict[str, Any]:
    files = digest_tree(path)
    return {"path": path.name, "files": files, "sha256": combined_digest(files)}
