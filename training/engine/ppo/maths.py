"""The formulas of PPO, pure. Per-token tensors are (rows, width): column t holds action t of a response.

A mask is true for real actions. It comes from positions, never from token ids: a sampled pad token is an action too.
Logarithms are natural, so divergences are in nats.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

TINY = 1e-8
STEP_LIMIT = 0.2  # Ziegler et al. 2019: the controller's relative error is clipped to this


def action_mask(lengths: Tensor, width: int) -> Tensor:
    """True for the first `lengths` (rows,) columns of each row; (rows, width)."""
    return torch.arange(width, device=lengths.device) < lengths.unsqueeze(1)


def k1(policy: Tensor, reference: Tensor) -> Tensor:
    """log p/q per token. Paid as a reward, its policy gradient is the gradient of KL(policy || reference)."""
    return policy - reference


def k3(policy: Tensor, reference: Tensor) -> Tensor:
    """q/p - 1 - log q/p per token, never negative (Schulman 2020).

    For the log only. Paid as a reward its gradient vanishes to second order near the reference: no pull where it matters.
    """
    log_ratio = reference - policy
    return torch.expm1(log_ratio) - log_ratio


def with_missing_eos_penalty(scores: Tensor, ended: Tensor, penalty: float) -> Tensor:
    """Scores (rows,) less `penalty` where the response was cut off before its EOS."""
    return scores - penalty * (~ended)


def token_rewards(divergence: Tensor, scores: Tensor, mask: Tensor, coefficient: float) -> Tensor:
    """Minus coefficient times divergence on every action, plus the row's score on its last one: the EOS, if it has one."""
    rewards = -coefficient * divergence * mask
    last = mask.sum(1, keepdim=True) - 1
    return rewards.scatter_add(1, last, scores.unsqueeze(1).to(rewards.dtype))


def moments(values: Tensor, mask: Tensor) -> tuple[float, float]:
    """Mean and variance (n - 1) of the masked entries, in float64; variance 0 for a single one."""
    chosen = values[mask].double()
    return chosen.mean().item(), chosen.var().item() if len(chosen) > 1 else 0.0


def whitened(values: Tensor, mask: Tensor, *, shift: bool = True) -> Tensor:
    """Scaled to variance 1 over the masked entries, and to mean 0 unless `shift` is false; 0 elsewhere.

    Rewards are whitened without the shift: moving their mean would pay or charge for length.
    """
    mean, variance = moments(values, mask)
    scaled = (values - mean) / math.sqrt(variance + TINY)
    return (scaled if shift else scaled + mean) * mask


def advantages_and_returns(
    rewards: Tensor, values: Tensor, mask: Tensor, gamma: float, lam: float
) -> tuple[Tensor, Tensor]:
    """Generalized advantage estimation (Schulman et al. 2016). After the last action value and advantage are 0.

    A_t = sum over l of (gamma lam)^l delta_(t+l), with delta_t = r_t + gamma V_(t+1) - V_t; return_t = A_t + V_t.
    """
    advantages = torch.zeros_like(rewards)
    next_value = next_advantage = torch.zeros_like(rewards[:, 0])
    for step in reversed(range(rewards.shape[1])):
        delta = rewards[:, step] + gamma * next_value - values[:, step]
        next_advantage = (delta + gamma * lam * next_advantage) * mask[:, step]
        next_value = values[:, step] * mask[:, step]
        advantages[:, step] = next_advantage
    return advantages, (advantages + values) * mask


def policy_losses(new: Tensor, old: Tensor, advantages: Tensor, clip: float) -> tuple[Tensor, Tensor]:
    """Clipped surrogate per token, and where clipping decided it (Schulman et al. 2017, equation 7)."""
    ratio = torch.exp(new - old)
    free, clipped = -advantages * ratio, -advantages * ratio.clamp(1 - clip, 1 + clip)
    return torch.maximum(free, clipped), clipped > free


def value_losses(new: Tensor, old: Tensor, returns: Tensor, clip: float) -> tuple[Tensor, Tensor]:
    """Half the squared error per token, the worse of free and clipped around the old value; `clip` 0 turns it off."""
    free = (new - returns).square()
    clipped = (old + (new - old).clamp(-clip, clip) - returns).square() if clip else free
    return 0.5 * torch.maximum(free, clipped), clipped > free


def adapted_coefficient(coefficient: float, divergence: float, target: float, rows: int, horizon: int) -> float:
    """Ziegler et al. 2019: the KL coefficient grows while the divergence is above target, by at most 20 % a horizon."""
    error = max(-STEP_LIMIT, min(STEP_LIMIT, divergence / target - 1))
    return coefficient * (1 + error * rows / horizon)


def explained_variance(values: Tensor, returns: Tensor, mask: Tensor) -> float:
    """1 - Var(return - value) / Var(return): 1 for a perfect critic, 0 for a constant one."""
    variance = moments(returns, mask)[1]
    return 1 - moments(returns - values, mask)[1] / variance if variance > 0 else 0.0
