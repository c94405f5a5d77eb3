"""Sampling completions: batched, left-padded, one random stream per completion.

Every completion has its own seed, derived from the run's seed, the prompt's id and the sample's number, so what it says
does not depend on when it was written. Batches are composed before the first one starts; a resumed run writes the same
batches and therefore the same texts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from transformers import DynamicCache, EncoderDecoderCache
from transformers.modeling_outputs import BaseModelOutput

from training.engine.errors import EngineError
from training.engine.hyperparameters.making import Sampling

LIKELY = 1024  # candidates sorted first; the whole vocabulary only when they hold less than top_p


@dataclass(frozen=True)
class Request:
    """One completion to write. `attempt` counts redraws of a text that another sample already has."""

    prompt_id: str
    sample: int
    ids: tuple[int, ...]
    attempt: int = 0


@dataclass(frozen=True)
class Completion:
    request: Request
    tokens: tuple[int, ...]
    text: str
    finish_reason: str
    seed: int


@dataclass(frozen=True)
class Sampler:
    """A model of either family with everything that decides what it writes."""

    model: Any
    tokenizer: Any
    settings: Sampling
    seed: int

    def write(self, requests: list[Request], redraws: int = 0) -> list[Completion]:
        """Completions in the order of `requests`. Equal texts of one prompt are drawn again up to `redraws` times."""
        done = self._draw(requests)
        for _ in range(redraws):
            repeated = duplicates(done)
            if not repeated:
                break
            again = [replace(done[index].request, attempt=done[index].request.attempt + 1) for index in repeated]
            for index, completion in zip(repeated, self._draw(again), strict=True):
                done[index] = completion
        return done

    @torch.inference_mode()
    def _draw(self, requests: list[Request]) -> list[Completion]:
        seeds = [row_seed(self.seed, request) for request in requests]
        uniforms = torch.stack([row_uniforms(seed, self.settings.max_new_tokens) for seed in seeds])
        written = self._tokens([request.ids for request in requests], uniforms)
        return [
            self._completion(request, tokens, seed)
            for request, tokens, seed in zip(requests, written, seeds, strict=True)
        ]

    def _tokens(self, prompts: list[tuple[int, ...]], uniforms: torch.Tensor) -> list[list[int]]:
        def pick(outputs: Any, rows: torch.Tensor, step: int) -> torch.Tensor:
            logits = outputs.logits[:, -1]
            return draw(logits, uniforms[rows.cpu(), step].to(logits.device), self.settings)

        ending, pad = stop_ids(self.model, self.tokenizer), self.tokenizer.pad_token_id
        written = decode_apart if self.model.config.is_encoder_decoder else decode
        return written(self.model, prompts, pick, pad=pad, ending=ending, most=self.settings.max_new_tokens)

    def _completion(self, request: Request, tokens: list[int], seed: int) -> Completion:
        ended = tokens[-1] in stop_ids(self.model, self.tokenizer)
        text = self.tokenizer.decode(tokens, skip_special_tokens=True)
        return Completion(request, tuple(tokens), text, "stop" if ended else "length", seed)


class Rows:
    """What each row has written, and which rows still write."""

    def __init__(self, count: int, ending: list[int], device: Any) -> None:
        self.written: list[list[int]] = [[] for _ in range(count)]
        self.going = torch.arange(count, device=device)
        self._ends = torch.tensor(ending, device=device)

    def take(self, tokens: torch.Tensor, cache: Any, *others: torch.Tensor) -> tuple[torch.Tensor, ...] | None:
        """Note a token for each row that still writes. Finished ones leave: `tokens` and `others` of those left; None of none."""
        for row, token in zip(self.going.tolist(), tokens.tolist(), strict=True):
            self.written[row].append(token)
        going = ~torch.isin(tokens, self._ends)
        if not bool(going.any()):
            return None
        if bool(going.all()):
            return tokens, *others
        kept = going.nonzero().squeeze(1)
        cache.batch_select_indices(kept)
        self.going = self.going[kept]
        return tokens[kept], *(tensor[kept] for tensor in others)


def decode(
    model: Any,
    prompts: Sequence[Sequence[int]],
    pick: Callable[[Any, torch.Tensor, int], torch.Tensor],
    *,
    pad: int,
    ending: list[int],
    most: int,
    **inputs: Any,
) -> list[list[int]]:
    """Token ids per row, EOS included. Finished rows leave the batch, so the last long row runs alone.

    `pick(outputs, rows, step)` chooses a token for each row still written; `rows` says which of `prompts` they are.
    """
    ids, mask = left_padded(prompts, pad, model.device)
    rows = Rows(len(prompts), ending, model.device)
    cache = DynamicCache(config=model.config)
    positions = positions_of(mask)
    for step in range(most):
        outputs = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
            **inputs,
        )
        left = rows.take(pick(outputs, rows.going, step), cache, mask, positions)
        if left is None:
            break
        tokens, mask, positions = left
        ids = tokens.unsqueeze(1)
        positions = positions[:, -1:] + 1
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
    return rows.written


def decode_apart(
    model: Any,
    prompts: Sequence[Sequence[int]],
    pick: Callable[[Any, torch.Tensor, int], torch.Tensor],
    *,
    pad: int,
    ending: list[int],
    most: int,
) -> list[list[int]]:
    """As `decode`, of an encoder-decoder: each prompt is read once, then only what is written goes through the decoder."""
    ids, mask = right_padded(prompts, pad, model.device)
    read = model.get_encoder()(input_ids=ids, attention_mask=mask).last_hidden_state
    rows = Rows(len(prompts), ending, model.device)
    cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
    tokens = torch.full((len(prompts),), start_id(model), device=model.device)
    for step in range(most):
        outputs = model(
            encoder_outputs=BaseModelOutput(last_hidden_state=read),
            attention_mask=mask,
            decoder_input_ids=tokens.unsqueeze(1),
            past_key_values=cache,
            use_cache=True,
        )
        left = rows.take(pick(outputs, rows.going, step), cache, mask, read)
        if left is None:
            break
        tokens, mask, read = left
    return rows.written


def start_id(model: Any) -> int:
    """The token that stands before everything a decoder writes."""
    stated = (getattr(settings, "decoder_start_token_id", None) for settings in (model.config, model.generation_config))
    found = next((token for token in stated if token is not None), None)
    if found is None:
        raise EngineError(
            "no_decoder_start",
            "The model does not say which token its decoder starts with.",
            "Set decoder_start_token_id in its config.json and import it again.",
        )
    return int(found)


def stop_ids(model: Any, tokenizer: Any) -> list[int]:
    stated = model.generation_config.eos_token_id
    several = stated if isinstance(stated, list) else [stated]
    return sorted({token for token in [*several, tokenizer.eos_token_id] if token is not None})


def row_seed(seed: int, request: Request) -> int:
    """A seed of 53 bits (exact in JSON readers that use doubles) for one completion."""
    name = f"{seed}\x1f{request.prompt_id}\x1f{request.sample}\x1f{request.attempt}"
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") >> 11


def row_uniforms(seed: int, count: int) -> torch.Tensor:
    """The row's random numbers, one per token, drawn on the CPU so that every device writes from the same ones."""
    return torch.rand(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def positions_of(mask: torch.Tensor) -> torch.Tensor:
    """Position of every token in its own row, however much padding stands left of it."""
    return (mask.cumsum(1) - 1).clamp(min=0)


def left_padded(prompts: Sequence[Sequence[int]], pad: int, device: Any) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(len(prompt) for prompt in prompts)
    ids = torch.tensor([[pad] * (width - len(prompt)) + list(prompt) for prompt in prompts], device=device)
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=device)
    return ids, mask


def right_padded(rows: Sequence[Sequence[int]], pad: int, device: Any) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(map(len, rows))
    ids = torch.tensor([[*row, *[pad] * (width - len(row))] for row in rows], device=device)
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows], device=device)
    return ids, mask


def draw(logits: torch.Tensor, uniforms: torch.Tensor, settings: Sampling) -> torch.Tensor:
    """One token per row by inverting the cumulative distribution at `uniforms` (rows,).

    Temperature, then top-k, then top-p, as transformers does: the nucleus is the smallest set whose mass reaches top_p.
    """
    scaled = logits.float() / settings.temperature
    if settings.top_k == 0 and settings.top_p == 1.0:
        return inverted(scaled.softmax(-1), uniforms)
    if settings.top_k:
        scaled, tokens = scaled.topk(min(settings.top_k, scaled.shape[-1]))
        chances = scaled.softmax(-1)
    else:
        chances, tokens = nucleus_candidates(scaled.softmax(-1), settings.top_p)
    before = chances.cumsum(-1) - chances
    kept = torch.where(before < settings.top_p, chances, torch.zeros_like(chances))
    return tokens.gather(-1, inverted(kept, uniforms).unsqueeze(-1)).squeeze(-1)


def nucleus_candidates(chances: torch.Tensor, top_p: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The likeliest tokens in descending order: enough of them to hold top_p in every row."""
    likely, tokens = chances.topk(min(LIKELY, chances.shape[-1]))
    if bool((likely.sum(-1) < top_p).any()):
        return chances.sort(-1, descending=True)
    return likely, tokens


def inverted(chances: torch.Tensor, uniforms: torch.Tensor) -> torch.Tensor:
    """Index of the first entry whose cumulative mass exceeds uniform * total; entries without mass are never taken."""
    mass = chances.double().cumsum(-1)
    return torch.searchsorted(mass, (uniforms * mass[:, -1]).unsqueeze(-1), right=True).squeeze(-1)


def duplicates(done: list[Completion]) -> list[int]:
    """Positions whose text an earlier completion of the same prompt has."""
    seen: set[tuple[str, str]] = set()
    repeated = []
    for index, completion in enumerate(done):
        key = (completion.request.prompt_id, completion.text)
        if key in seen:
            repeated.append(index)
        seen.add(key)
    return repeated
