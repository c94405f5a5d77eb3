"""Another tokenizer for a model that has one: trained on the texts, with embeddings carried over."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from training.engine import models
from training.engine.context import Context
from training.engine.errors import EngineError
from training.engine.files import replace_directory, write_json
from training.engine.hyperparameters.pretraining import USUAL_VOCABULARY

CHUNK = 1000


def trained_tokenizer(context: Context, old: Any, texts: Sequence[str]) -> Any:
    """A tokenizer of the base's kind, with its special tokens and template, for these texts. Trained once in a run."""
    folder = context.run.root / "tokenizer"
    if context.world.is_main and not folder.exists():
        wanted = context.spec.hyperparameters.vocabulary or USUAL_VOCABULARY
        context.log.phase("tokenizing", vocabulary=wanted)
        new = made_for(old, texts, wanted)
        beside = context.run.work / "tokenizer"
        new.save_pretrained(beside)
        replace_directory(beside, folder)
    context.world.barrier()
    return models.read_tokenizer(folder)


def made_for(old: Any, texts: Sequence[str], vocabulary: int) -> Any:
    new = old.train_new_from_iterator(chunks(texts), vocabulary, show_progress=False)
    new.chat_template = old.chat_template
    return new


def chunks(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    for at in range(0, len(texts), CHUNK):
        yield texts[at : at + CHUNK]


def carry_over(model: Any, old: Any, new: Any) -> dict[str, int]:
    """Embeddings for another vocabulary (Gee et al. 2022, fast vocabulary transfer).

    A token of both keeps its vector; another gets the mean of the vectors of the pieces that the old tokenizer makes of its
    text, and where there are none the mean of all. The output layer the same where it is not tied to the embeddings.
    """
    import torch

    tokens = new.convert_ids_to_tokens(list(range(len(new))))
    known = old.get_vocab()
    sources = [[known[token]] if token in known else pieces(old, new, at) for at, token in enumerate(tokens)]
    layers = {id(layer.weight): layer.weight.detach().clone() for layer in embeddings(model)}
    model.resize_token_embeddings(len(new), mean_resizing=False)
    with torch.no_grad():
        for layer, before in zip(embeddings(model), layers.values(), strict=True):
            everywhere = before.mean(0)
            for at, ids in enumerate(sources):
                layer.weight[at] = before[ids].mean(0) if ids else everywhere
    return {
        "vocabulary": len(new),
        "tokens_kept": sum(token in known for token in tokens),
        "tokens_of_pieces": sum(token not in known and bool(ids) for token, ids in zip(tokens, sources, strict=True)),
    }


def pieces(old: Any, new: Any, token: int) -> list[int]:
    return list(old(new.decode([token]), add_special_tokens=False)["input_ids"])


def embeddings(model: Any) -> list[Any]:
    """The layers with a row for each token, once each: the output is left out where it is the same matrix."""
    layers = [model.get_input_embeddings(), model.get_output_embeddings()]
    found = {id(layer.weight): layer for layer in layers if layer is not None}
    return list(found.values())


def rename_ids(model: Any, old: Any, new: Any) -> None:
    """The ids of tokens that begin, end and pad, in the model's own settings, after the vocabulary changed."""
    for settings in (model.config, model.generation_config):
        if settings is None:
            continue
        for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
            value = getattr(settings, name, None)
            if value is not None:
                setattr(settings, name, renamed(value, old, new))


def renamed(value: Any, old: Any, new: Any) -> Any:
    several = value if isinstance(value, list) else [value]
    ids = [new.convert_tokens_to_ids(old.convert_ids_to_tokens(one)) for one in several]
    if any(one is None or one == new.unk_token_id for one in ids):
        message = f"The new tokenizer lost a special token of the base ({value})."
        raise EngineError("special_tokens", message, "Keep the base's tokenizer: set tokenizer to keep.")
    return ids if isinstance(value, list) else ids[0]


def rename_stored(path: Path, old: Any, new: Any) -> None:
    """The same in generation_config.json, which the export takes from the base."""
    file = path / "generation_config.json"
    if not file.is_file():
        return
    stored = json.loads(file.read_text(encoding="utf-8"))
    ids = ("bos_token_id", "eos_token_id", "pad_token_id")
    write_json(
        file, {**stored, **{name: renamed(stored[name], old, new) for name in ids if stored.get(name) is not None}}
    )
    file.chmod(0o644)
