"""Numbers of whole sequences: rewards and log-probabilities, the same alone or in any batch."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from training.engine.rows import Encoded
from training.engine.sampling import right_padded, start_id


@torch.inference_mode()
def rewards(model: Any, rows: Sequence[Encoded], pad: int, batch_size: int) -> list[float]:
    """Reward of every sequence, in order. The model pools its last token, which is the completion's EOS.

    Equal sequences are scored once: in another batch bfloat16 would round otherwise, and one text would win against itself.
    """
    texts = [(*row.prompt, *row.completion) for row in rows]
    distinct = list(dict(zip(texts, rows, strict=True)).values())
    scores: dict[tuple[int, ...], float] = {}
    for indices, ids, mask in batches(distinct, pad, batch_size, model.device):
        logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits.float().squeeze(-1)
        for index, score in zip(indices, logits.tolist(), strict=True):
            scores[*distinct[index].prompt, *distinct[index].completion] = score
    return [scores[text] for text in texts]


@torch.inference_mode()
def log_probabilities(model: Any, rows: Sequence[Encoded], pad: int, batch_size: int) -> list[list[float]]:
    """Log-probability (nats, temperature 1) of every completion token given what stands before it, in order."""
    if model.config.is_encoder_decoder:
        return _log_probabilities_apart(model, rows, pad, batch_size)
    values: list[list[float]] = [[] for _ in rows]
    for indices, ids, mask in batches(rows, pad, batch_size, model.device):
        # Only the completions' positions go through the head: with 49,000 words it costs as much as ten layers.
        longest = max(len(rows[index]) - len(rows[index].prompt) for index in indices)
        shortest = min(len(rows[index].prompt) for index in indices)
        keep = max(longest, ids.shape[1] - shortest) + 1
        logits = model(input_ids=ids, attention_mask=mask, use_cache=False, logits_to_keep=keep).logits.float()
        offset = ids.shape[1] - logits.shape[1]
        logps = logits[:, :-1].log_softmax(-1).gather(-1, ids[:, offset + 1 :].unsqueeze(-1)).squeeze(-1)
        for row, index in enumerate(indices):
            first = len(rows[index].prompt) - offset - 1
            values[index] = logps[row, first : first + len(rows[index].completion)].tolist()
    return values


def _log_probabilities_apart(model: Any, rows: Sequence[Encoded], pad: int, batch_size: int) -> list[list[float]]:
    """Prompts go through the encoder, completions through the decoder behind its start token."""
    values: list[list[float]] = [[] for _ in rows]
    start = start_id(model)
    for indices, ids, mask in batches([Encoded(row.prompt, []) for row in rows], pad, batch_size, model.device):
        said = [rows[index].completion for index in indices]
        before, _ = right_padded([[start, *tokens[:-1]] for tokens in said], pad, model.device)
        wanted, _ = right_padded(said, pad, model.device)
        logits = model(input_ids=ids, attention_mask=mask, decoder_input_ids=before, use_cache=False).logits.float()
        logps = logits.log_softmax(-1).gather(-1, wanted.unsqueeze(-1)).squeeze(-1)
        for row, index in enumerate(indices):
            values[index] = logps[row, : len(rows[index].completion)].tolist()
    return values


def batches(
    rows: Sequence[Encoded], pad: int, batch_size: int, device: Any
) -> Iterator[tuple[list[int], torch.Tensor, torch.Tensor]]:
    """Right-padded batches of similar lengths, with the positions of their rows."""
    order = sorted(range(len(rows)), key=lambda index: len(rows[index]))
    for at in range(0, len(order), batch_size):
        indices = order[at : at + batch_size]
        sequences = [rows[index].prompt + rows[index].completion for index in indices]
        yield indices, *right_padded(sequences, pad, device)


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float]:
    """Mean and sample standard deviation (0 for a single value)."""
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0


def share_preferred(left: Sequence[float], right: Sequence[float]) -> float:
    """Share of pairs in which left exceeds right; a tie counts one half."""
    return statistics.fmean((a > b) + 0.5 * (a == b) for a, b in zip(left, right, strict=True))
