"""What a step learns from: prompts in a seeded order, responses with the numbers of every token, and the batch of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from training.engine.files import JSON
from training.engine.hyperparameters.ppo import PPO
from training.engine.ppo import maths
from training.engine.ppo.networks import Policy
from training.engine.sampling import decode, inverted

PASS_SEEDS = 1_000_003  # a prime: passes of neighbouring seeds do not meet


@dataclass(frozen=True)
class Prompt:
    id: str
    messages: list[JSON]
    ids: list[int]


@dataclass(frozen=True)
class Response:
    """One response to one prompt. Per-token tensors are (tokens,), float32, on the CPU.

    `number` is its place in the step's batch, whichever rank wrote it. `tokens` hold the end, if it has one.
    """

    number: int
    prompt: Prompt
    tokens: list[int]
    ended: bool
    policy: Tensor
    entropy: Tensor
    values: Tensor | None = None
    reference: Tensor = field(default_factory=lambda: torch.empty(0))
    score: float = 0.0

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def total(self) -> int:
        return len(self.prompt.ids) + len(self.tokens)


def prompt_at(position: int, count: int, seed: int) -> int:
    """Which of `count` prompts stands at a position of the endless order: every pass has all of them, newly shuffled."""
    turn, place = divmod(position, count)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed * PASS_SEEDS + turn))
    return int(order[place])


def write(
    policy: Policy, prompts: Sequence[Prompt], numbers: Sequence[int], uniforms: Tensor, settings: PPO, pad: int
) -> list[Response]:
    """Responses to `prompts` by inverting the policy's distribution at `uniforms` (rows, max_new_tokens).

    The log-probabilities, entropies and values of the tokens are kept as they come up, so that no second pass needs to
    find them.
    """
    buffers = {name: torch.zeros(len(prompts), settings.max_new_tokens) for name in ("policy", "entropy", "values")}

    def pick(outputs: Any, rows: Tensor, step: int) -> Tensor:
        logits = policy.choice.scaled(outputs.logits, step)[:, 0]
        logps = logits.log_softmax(-1)
        chances = logps.exp()
        rows = rows.cpu()
        tokens = inverted(chances, uniforms[rows, step].to(logits.device))
        buffers["policy"][rows, step] = logps.gather(-1, tokens.unsqueeze(-1)).squeeze(-1).cpu()
        buffers["entropy"][rows, step] = -(chances * logps).sum(-1).cpu()
        values = policy.values(outputs, slice(-1, None))
        if values is not None:
            buffers["values"][rows, step] = values[:, 0].cpu()
        return tokens

    ending = list(policy.choice.ending)
    written = decode(
        policy.language_model,
        [prompt.ids for prompt in prompts],
        pick,
        pad=pad,
        ending=ending,
        most=settings.max_new_tokens,
        output_hidden_states=policy.value_head is not None,
    )
    return [
        Response(
            number=number,
            prompt=prompt,
            tokens=tokens,
            ended=tokens[-1] in ending,
            policy=buffers["policy"][row, : len(tokens)].clone(),
            entropy=buffers["entropy"][row, : len(tokens)].clone(),
            values=buffers["values"][row, : len(tokens)].clone() if policy.value_head is not None else None,
        )
        for row, (number, prompt, tokens) in enumerate(zip(numbers, prompts, written, strict=True))
    ]


def packed(responses: Sequence[Response], pad: int, device: Any) -> tuple[Tensor, Tensor, int]:
    """Ids and attention mask (rows, longest prompt + width), and the width: that of the longest response."""
    left = max(len(response.prompt.ids) for response in responses)
    width = max(map(len, responses))
    ids = torch.full((len(responses), left + width), pad)
    mask = torch.zeros_like(ids)
    for row, response in enumerate(responses):
        span = slice(left - len(response.prompt.ids), left + len(response))
        ids[row, span] = torch.tensor([*response.prompt.ids, *response.tokens])
        mask[row, span] = 1
    return ids.to(device), mask.to(device), width


def padded(rows: Sequence[Tensor], width: int) -> Tensor:
    """Rows of different lengths as one (rows, width) tensor, zeros behind them."""
    whole = torch.zeros(len(rows), width)
    for number, row in enumerate(rows):
        whole[number, : len(row)] = row
    return whole


def by_length(responses: Sequence[Response], size: int) -> list[list[Response]]:
    """Groups of `size` responses of similar length, the longest first: what is short is not padded to what is long."""
    ordered = sorted(responses, key=lambda response: (-response.total, response.number))
    return [ordered[at : at + size] for at in range(0, len(ordered), size)]


@dataclass(frozen=True)
class Batch:
    """All responses of a step, from all ranks, in the order of their numbers; tensors are (rows, width)."""

    responses: list[Response]
    mask: Tensor
    policy: Tensor
    values: Tensor
    divergence: Tensor
    rewards: Tensor
    advantages: Tensor
    returns: Tensor
    used_scores: Tensor

    def of(self, name: str, responses: Sequence[Response], width: int, device: Any) -> Tensor:
        """The named tensor's rows of some responses, cut to `width`."""
        numbers = torch.tensor([response.number for response in responses])
        whole: Tensor = getattr(self, name)
        return whole[numbers, :width].to(device)


def judged(responses: Sequence[Response], coefficient: float, settings: PPO) -> Batch:
    """Rewards, advantages and returns of a step. Every rank does this for the whole batch, so all have the same numbers."""
    ordered = sorted(responses, key=lambda response: response.number)
    width = max(map(len, ordered))
    mask = maths.action_mask(torch.tensor([len(response) for response in ordered]), width)
    policy = padded([response.policy for response in ordered], width)
    reference = padded([response.reference for response in ordered], width)
    values = padded([value_of(response) for response in ordered], width)
    scores = torch.tensor([response.score for response in ordered])
    ended = torch.tensor([response.ended for response in ordered])
    used = maths.with_missing_eos_penalty(scores, ended, settings.missing_eos_penalty)
    divergence = maths.k1(policy, reference)
    rewards = maths.token_rewards(divergence, used, mask, coefficient)
    if settings.whiten_rewards:
        rewards = maths.whitened(rewards, mask, shift=False)
    advantages, returns = maths.advantages_and_returns(rewards, values, mask, settings.gamma, settings.gae_lambda)
    if settings.whiten_advantages:
        advantages = maths.whitened(advantages, mask)
    return Batch(ordered, mask, policy, values, divergence, rewards, advantages, returns, used)


def value_of(response: Response) -> Tensor:
    assert response.values is not None, "values are filled in before a batch is judged"
    return response.values


def with_numbers(response: Response, **numbers: Any) -> Response:
    """The response with per-token numbers put in; tensors may be longer than it, and on any device."""
    cut = {name: value[: len(response)].float().cpu().clone() for name, value in numbers.items()}
    return replace(response, **cut)


def summary(batch: Batch) -> dict[str, float]:
    """What a person watches, over the responses of one step. Divergences are nats per response."""
    responses, rows = batch.responses, len(batch.responses)
    scores = torch.tensor([response.score for response in responses], dtype=torch.float64)
    reference = padded([response.reference for response in responses], batch.mask.shape[1])
    tokens = int(batch.mask.sum())
    return {
        "score": scores.mean().item(),
        "score_std": scores.std().item() if rows > 1 else 0.0,
        "score_paid": batch.used_scores.double().mean().item(),
        "kl": batch.divergence.double().sum().item() / rows,
        "kl_k3": (maths.k3(batch.policy, reference) * batch.mask).double().sum().item() / rows,
        "entropy": sum(response.entropy.double().sum().item() for response in responses) / tokens,
        "eos_rate": sum(response.ended for response in responses) / rows,
        "response_tokens": tokens / rows,
        "reward": batch.rewards.double().sum().item() / rows,
        "return_mean": maths.moments(batch.returns, batch.mask)[0],
        "explained_variance": maths.explained_variance(batch.values, batch.returns, batch.mask),
    }
