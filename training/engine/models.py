"""Loading and exporting models. Torch and transformers are imported inside the functions."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from training.engine import adapters
from training.engine.errors import EngineError
from training.engine.files import (
    artifact_digest,
    combined_digest,
    digest_tree,
    replace_directory,
    stored_parameters,
    stored_shapes,
)
from training.engine.hyperparameters.shared import Train, lora_alpha
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
    """The tokenizer of a chat model, which must have a chat template, an EOS and a pad token of its own."""
    tokenizer = read_tokenizer(path)
    if tokenizer.chat_template is None or tokenizer.eos_token_id is None:
        raise EngineError(
            "not_a_chat_model",
            f"{path} has no chat template or no EOS.",
            "Choose a chat model.",
        )
    return require_own_pad(tokenizer)


def load_plain_tokenizer(path: Path) -> Any:
    """The tokenizer of a model that reads no turns, so it needs no chat template; an EOS and a pad token of its own it needs."""
    tokenizer = require_own_pad(read_tokenizer(path))
    if tokenizer.eos_token_id is None:
        raise EngineError("no_eos", f"{path} has no EOS token.", "Choose a base whose tokenizer has one.")
    return tokenizer


def read_tokenizer(path: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(path)


def require_own_pad(tokenizer: Any) -> Any:
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

    return _load(AutoModelForCausalLM, path, dtype)


def load_seq2seq(path: Path, dtype: Any) -> Any:
    from transformers import AutoModelForSeq2SeqLM

    return _load(AutoModelForSeq2SeqLM, path, dtype)


def load_reward(path: Path, dtype: Any) -> Any:
    """A sequence classifier with one label. A head that is not in the files is drawn from torch's seed."""
    from transformers import AutoModelForSequenceClassification

    return _load(AutoModelForSequenceClassification, path, dtype, num_labels=1)


def load_trunk(path: Path, dtype: Any) -> Any:
    """A model without its head, of a language model or of a reward model."""
    from transformers import AutoConfig, AutoModel

    if not adapters.is_adapter(path):
        return AutoModel.from_pretrained(path, dtype=dtype)
    classifies = "Classification" in str(AutoConfig.from_pretrained(path).architectures)
    return (load_reward if classifies else load_causal)(path, dtype).base_model


def _load(kind: Any, path: Path, dtype: Any, **shape: Any) -> Any:
    """An adapter comes merged into its base, in float32 and rounded once, under its own config."""
    import torch

    if not adapters.is_adapter(path):
        return kind.from_pretrained(path, dtype=dtype, **shape)
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(path)
    model = adapters.merged(_load(kind, adapters.base_of(path), torch.float32, **shape), path)
    model.config.update({name: value for name, value in config.to_dict().items() if name.startswith("reward_")})
    model.config._name_or_path = str(path)
    return model.to(dtype)


def set_dropout(model: Any, share: float) -> int:
    """Set every dropout in the model and return how many there are. In a loaded model's config it would do nothing."""
    from torch import nn

    found = 0
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p, found = share, found + 1
        if isinstance(getattr(module, "attention_dropout", None), float):
            module.attention_dropout, found = share, found + 1
    return found


def with_dropout(model: Any, share: float | None) -> Any:
    """The model with `share` of dropout; None leaves it as it is. EngineError when it has none to set."""
    if share is not None and not set_dropout(model, share) and share:
        raise EngineError("no_dropout", "This model has no dropout to set.", "Leave dropout empty.")
    return model


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


def adapted(model: Any, settings: Train, task: str) -> Any:
    """The model with adapters where they are asked for; a head of its task trains whole. TRL's trainers do this themselves."""
    config = lora_config(settings, task)
    if config is None:
        return model
    from peft import get_peft_model

    if settings.activation_checkpointing:
        model.enable_input_require_grads()
    return get_peft_model(model, config)


def parameters_of(path: Path) -> int:
    """How many parameters a model has; those of an adapter count with its base."""
    below = parameters_of(adapters.place_of_base(path)) if adapters.is_adapter(path) else 0
    return below + stored_parameters(path)


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
    load: Callable[[Path, Any], Any],
    seed: int,
) -> dict[str, Any]:
    """Write the artifact and describe it: a model that loads without adapters, merged in float32 and rounded once,
    or with artifact = adapter the adapters alone.

    `load(path, dtype)` gives the model of this method; a head that `path` does not hold is drawn from the seed.
    """
    import torch

    torch.manual_seed(seed)
    shapes = whole_tensors(trained)
    model = load(base if settings.lora_r else trained, torch.float32)
    if settings.artifact == "adapter":
        return save(model, tokenizer, base, target, adapter=trained)
    if not settings.lora_r:
        require_all(dict(model.named_parameters()), shapes)
    if settings.lora_r:
        model = adapters.merged(model, trained)
    name = stored_dtype(base) if settings.export_dtype == "auto" else settings.export_dtype
    model = model.to(getattr(torch, name))
    return save(model, tokenizer, base, target)


def whole_tensors(path: Path) -> dict[str, list[int]]:
    """Shapes by name of every tensor in the safetensors files there.

    Errors: `empty_export` when there are none or one has no elements: ZeRO-3 leaves such files where nobody gathered the weights,
    and loading them draws new weights without a word.
    """
    shapes = stored_shapes(path)
    empty = [name for name, shape in shapes.items() if 0 in shape]
    if not shapes or empty:
        raise _empty_export(f"{path.name} holds no tensors" if not shapes else f"{empty[0]} has no elements")
    return shapes


def require_all(parameters: dict[str, Any], shapes: dict[str, list[int]]) -> None:
    """Every parameter of the loaded model came from the files. Errors: `empty_export`, naming the first that did not."""
    for name, value in parameters.items():
        if shapes.get(name) != list(value.shape):
            raise _empty_export(f"{name} is {shapes.get(name, 'missing')}, not {list(value.shape)}")


def _empty_export(problem: str) -> EngineError:
    return EngineError(
        "empty_export",
        f"The trained weights were not written whole: {problem}.",
        "The newest checkpoint has them. Resume the run; if it comes again, report it with its launch.json.",
    )


def save(model: Any, tokenizer: Any, base: Path | None, target: Path, *, adapter: Path | None = None) -> dict[str, Any]:
    """Model, tokenizer and template into `target`, whole or not at all; generation_config.json comes from `base`.

    With `adapter` its files stand for the weights, and of the model, its base, only the config is written.
    """
    beside = target.with_name(target.name + ".partial")
    shutil.rmtree(beside, ignore_errors=True)
    model.config.pad_token_id = tokenizer.pad_token_id
    if adapter is not None and base is not None:
        model.config.architectures = [type(model).__name__]
        model.config.save_pretrained(beside)
        adapters.copy(adapter, base, beside)
    else:
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
