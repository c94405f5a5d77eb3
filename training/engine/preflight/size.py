"""How large a model is, from its files' headers alone: no weight is read. Standard library only."""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass, replace
from pathlib import Path

from training.engine.adapters import is_adapter, place_of_base
from training.engine.errors import EngineError
from training.engine.files import JSON
from training.engine.spec import Spec

EMBEDDINGS = ("embed", "wte", "wpe", "lm_head", "shared", "score", "classifier", "relative_attention_bias")
"""Parts of weight names that adapters on all linear layers leave alone."""


@dataclass(frozen=True)
class Size:
    """Parameters and widths; `linear` holds (outputs, inputs) of every layer that adapters go on.

    `tables` are matrices with a row for each token. Of an encoder-decoder `layers` are the decoder's, and `encoder` are parameters
    of the half that reads.
    """

    parameters: int
    linear: tuple[tuple[int, int], ...]
    layers: int
    hidden: int
    intermediate: int
    key_value: int
    vocabulary: int
    tables: int = 1
    encoder: int = 0
    encoder_layers: int = 0

    def adapters(self, rank: int) -> int:
        """Parameters of LoRA (Hu et al. 2021): two factors on every linear layer."""
        return sum(rank * (rows + columns) for rows, columns in self.linear)

    def shaped(self, layers: int, width: int, vocabulary: int) -> Size:
        """That of the same architecture with other layers, another width and another vocabulary, as `pretraining` makes it."""
        ratio, depth = width / self.hidden, layers / self.layers
        linear = tuple((round(rows * ratio), round(columns * ratio)) for rows, columns in self.linear)
        linear = linear[: len(linear) // self.layers] * layers
        matrices = sum(rows * columns for rows, columns in self.linear)
        tables = self.tables * self.vocabulary * self.hidden
        norms = self.parameters - matrices - tables
        made = sum(rows * columns for rows, columns in linear)
        return replace(
            self,
            parameters=made + self.tables * vocabulary * width + round(norms * ratio * depth),
            linear=linear,
            layers=layers,
            hidden=width,
            intermediate=round(self.intermediate * ratio),
            key_value=round(self.key_value * ratio),
            vocabulary=vocabulary,
        )


def size_of(model: Path) -> Size:
    """That of its base for an adapter. Errors: EngineError when config.json or the weights are not there or not readable."""
    model = place_of_base(model) if is_adapter(model) else model
    shapes = _shapes(model)
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    text = config.get("text_config") or config
    apart = {name: shape for name, shape in shapes.items() if name.removeprefix("model.").startswith("encoder.")}
    apart = apart if any("decoder." in name for name in shapes) else {}
    read = int(_first(text, "num_hidden_layers", "n_layer", "num_layers", "encoder_layers"))
    hidden = int(_first(text, "hidden_size", "n_embd", "d_model"))
    heads = int(_first(text, "num_attention_heads", "n_head", "num_heads", "decoder_attention_heads") or 1)
    kept = int(text.get("num_key_value_heads") or heads)
    return Size(
        parameters=sum(math.prod(shape) for shape in shapes.values()),
        linear=tuple(_pair(shape) for name, shape in shapes.items() if _is_linear(name, shape)),
        layers=int(_first(text, "num_decoder_layers", "decoder_layers") or read) if apart else read,
        hidden=hidden,
        intermediate=int(_first(text, "intermediate_size", "n_inner", "d_ff", "decoder_ffn_dim") or 4 * hidden),
        key_value=int(_first(text, "head_dim", "d_kv") or hidden // heads) * kept,
        vocabulary=int(text.get("vocab_size") or 0),
        tables=sum(len(shape) == 2 and shape[0] == text.get("vocab_size") for shape in shapes.values()),
        encoder=sum(math.prod(shape) for shape in apart.values()),
        encoder_layers=read if apart else 0,
    )


def size_of_trained(spec: Spec, vocabulary: int | None = None) -> Size:
    """The base's, or that of the model that pre-training makes of it, with so many tokens where it trains its tokenizer."""
    size, settings = size_of(Path(spec.base.path)), spec.hyperparameters
    if spec.method != "pretrain":
        return size
    words = vocabulary if vocabulary and settings.tokenizer == "train" else size.vocabulary
    return size.shaped(settings.layers or size.layers, settings.width or size.hidden, words)


def _first(config: JSON, *names: str) -> int:
    return next((config[name] for name in names if config.get(name)), 0)


def _pair(shape: tuple[int, ...]) -> tuple[int, int]:
    return shape[0], shape[1]


def _is_linear(name: str, shape: tuple[int, ...]) -> bool:
    return len(shape) == 2 and not any(part in name for part in EMBEDDINGS)


def _shapes(model: Path) -> dict[str, tuple[int, ...]]:
    files = sorted(model.glob("*.safetensors"))
    if not files or not (model / "config.json").is_file():
        message = f"No model in {model}: config.json and *.safetensors are needed."
        raise EngineError("missing_model", message, "Import the base model again.")
    return {name: shape for path in files for name, shape in _header(path).items()}


def _header(path: Path) -> dict[str, tuple[int, ...]]:
    """A safetensors file begins with the length of its JSON header, eight bytes, little end first."""
    try:
        with path.open("rb") as stream:
            length = struct.unpack("<Q", stream.read(8))[0]
            header = json.loads(stream.read(length))
    except (ValueError, struct.error, MemoryError, OverflowError) as error:
        message = f"{path} is no safetensors file ({error})."
        raise EngineError("missing_model", message, "Import the base model again.") from error
    return {name: tuple(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}
