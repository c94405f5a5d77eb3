"""The formulas of PPO by hand arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from training.engine.ppo import maths


def row(*values: float) -> Tensor:
    return torch.tensor([values], dtype=torch.float32)


def near(found: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(found, wanted, atol=1e-6, rtol=0)


def test_the_mask_counts_positions_and_never_looks_at_tokens() -> None:
    """Lengths 1, 3, 4 in width 4."""
    mask = maths.action_mask(torch.tensor([1, 3, 4]), 4)
    assert mask.long().tolist() == [[1, 0, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]]


def test_k1_and_k3_of_one_token() -> None:
    """log p = -1, log q = -2: k1 = 1; k3 = e^-1 - 1 + 1 = 0.36788. Swapped: k1 = -1, k3 = e - 1 - 1 = 0.71828."""
    p, q = torch.tensor([-1.0, -2.0]), torch.tensor([-2.0, -1.0])
    near(maths.k1(p, q), torch.tensor([1.0, -1.0]))
    near(maths.k3(p, q), torch.tensor([math.exp(-1), math.e - 2]))


def test_both_estimators_have_the_divergence_as_their_mean() -> None:
    """p = (.75, .25), q = (.5, .5): KL = .75 ln 1.5 + .25 ln .5 = 0.13081."""
    p, q = torch.tensor([0.75, 0.25]), torch.tensor([0.5, 0.5])
    wanted = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    for estimator in (maths.k1, maths.k3):
        assert (p * estimator(p.log(), q.log())).sum().item() == pytest.approx(wanted, abs=1e-6)


def gradient_as_a_reward(estimator: Callable[[Tensor, Tensor], Tensor], gap: float) -> float:
    """E_p[reward grad log p] over two tokens with logits (gap, 0) against the uniform reference, reward = -estimate.

    The exact gradient of -KL by the logit is -gap p (1 - p).
    """
    logits = torch.tensor([gap, 0.0], requires_grad=True)
    logp = logits.log_softmax(0)
    reference = torch.full((2,), math.log(0.5))
    reward = -estimator(logp.detach(), reference)
    (logp.detach().exp() * reward * logp).sum().backward()
    assert logits.grad is not None
    return float(logits.grad[0])


def test_k1_as_a_reward_pulls_exactly_and_k3_does_not() -> None:
    """Gap 0.1: p = .524979, exact gradient -0.1 x .249376 = -0.0249376; k3 gives less than a tenth of it.

    k3's pull is grad[KL(p||q) - KL(q||p)], of third order in the gap.
    """
    assert gradient_as_a_reward(maths.k1, 0.1) == pytest.approx(-0.0249376, abs=1e-6)
    assert abs(gradient_as_a_reward(maths.k3, 0.1)) < 0.1 * 0.0249376


def test_a_response_without_its_end_pays_the_penalty() -> None:
    """Scores 2 and 2, the second cut off, penalty 1.5: 2 and 0.5."""
    scores = maths.with_missing_eos_penalty(torch.tensor([2.0, 2.0]), torch.tensor([True, False]), 1.5)
    near(scores, torch.tensor([2.0, 0.5]))


def test_the_score_is_paid_on_the_last_action_and_the_divergence_on_each() -> None:
    """Coefficient .5, divergences .1, -.2, two actions, score 2: -.05, .1 + 2 = 2.1, and nothing on the padding."""
    rewards = maths.token_rewards(
        row(0.1, -0.2, 0.3), torch.tensor([2.0]), maths.action_mask(torch.tensor([2]), 3), 0.5
    )
    near(rewards, row(-0.05, 2.1, 0.0))


def test_advantages_by_hand() -> None:
    """gamma .9, lambda .8, rewards 0 0 1, values .5 .6 .7.

    delta_2 = 1 - .7 = .3; delta_1 = .9 x .7 - .6 = .03, A_1 = .03 + .72 x .3 = .246;
    delta_0 = .9 x .6 - .5 = .04, A_0 = .04 + .72 x .246 = .21712. Returns: .71712, .846, 1.
    """
    mask = maths.action_mask(torch.tensor([3]), 3)
    advantages, returns = maths.advantages_and_returns(row(0, 0, 1), row(0.5, 0.6, 0.7), mask, 0.9, 0.8)
    near(advantages, row(0.21712, 0.246, 0.3))
    near(returns, row(0.71712, 0.846, 1.0))


def test_what_stands_in_the_padding_changes_no_advantage() -> None:
    """The row above, then two columns of rubbish in values and rewards."""
    mask = maths.action_mask(torch.tensor([3]), 5)
    advantages, returns = maths.advantages_and_returns(row(0, 0, 1, 7, 7), row(0.5, 0.6, 0.7, 9, 9), mask, 0.9, 0.8)
    near(advantages, row(0.21712, 0.246, 0.3, 0, 0))
    near(returns, row(0.71712, 0.846, 1.0, 0, 0))


def test_advantages_equal_the_brute_force_sum() -> None:
    """Random rows of lengths 1, 3, 9, 5, 7: A_t = sum of (gamma lam)^(u-t) delta_u up to the row's end."""
    torch.manual_seed(0)
    gamma, lam, lengths, width = 0.97, 0.9, [1, 3, 9, 5, 7], 9
    rewards, values = torch.randn(5, width), torch.randn(5, width)
    mask = maths.action_mask(torch.tensor(lengths), width)
    advantages, returns = maths.advantages_and_returns(rewards, values, mask, gamma, lam)
    for number, length in enumerate(lengths):
        deltas = [
            rewards[number, t] + (gamma * values[number, t + 1] if t + 1 < length else 0) - values[number, t]
            for t in range(length)
        ]
        for t in range(length):
            wanted = sum((gamma * lam) ** (u - t) * deltas[u] for u in range(t, length))
            assert float(advantages[number, t]) == pytest.approx(float(wanted), abs=1e-5)
            assert float(returns[number, t]) == pytest.approx(float(wanted + values[number, t]), abs=1e-5)


def test_with_lambda_and_gamma_1_the_return_is_the_sum_of_rewards_to_come() -> None:
    """Rewards 1 2 3 whatever the values: returns 6 5 3."""
    mask = maths.action_mask(torch.tensor([3]), 3)
    _, returns = maths.advantages_and_returns(row(1, 2, 3), row(0.3, -4, 8), mask, 1.0, 1.0)
    near(returns, row(6, 5, 3))


def test_the_policy_loss_is_clipped_where_it_would_gain() -> None:
    """Clip .2. Ratio 1.5, A .3: max(-.45, -.36) = -.36. Ratio .5, A .246: max(-.123, -.1968) = -.123, unclipped.

    Ratio .5, A -1: max(.5, .8) = .8.
    """
    ratios, advantages = torch.tensor([1.5, 0.5, 0.5]), torch.tensor([0.3, 0.246, -1.0])
    losses, clipped = maths.policy_losses(ratios.log(), torch.zeros(3), advantages, 0.2)
    near(losses, torch.tensor([-0.36, -0.123, 0.8]))
    assert clipped.tolist() == [True, False, True]


def test_a_clipped_token_has_no_gradient() -> None:
    new = torch.tensor([1.5, 1.1]).log().requires_grad_()
    losses, _ = maths.policy_losses(new, torch.zeros(2), torch.ones(2), 0.2)
    losses.sum().backward()
    assert new.grad is not None
    near(new.grad, torch.tensor([0.0, -1.1]))


def test_the_value_loss_takes_the_worse_of_free_and_clipped() -> None:
    """Clip .2, old .5. New 1, return 2: free 1, clipped (.7 - 2)^2 = 1.69: .845. New .6, return 1: both .16: .08."""
    losses, clipped = maths.value_losses(row(1.0, 0.6), row(0.5, 0.5), row(2.0, 1.0), 0.2)
    near(losses, row(0.845, 0.08))
    assert clipped.tolist() == [[True, False]]
    near(maths.value_losses(row(1.0), row(0.5), row(2.0), 0.0)[0], row(0.5))


def test_whitening_by_hand() -> None:
    """1, 2, 3 and one padding: mean 2, variance 1: -1 0 1 with the shift, 1 2 3 without."""
    mask = maths.action_mask(torch.tensor([3]), 4)
    values = row(1, 2, 3, 99)
    near(maths.whitened(values, mask), row(-1, 0, 1, 0))
    near(maths.whitened(2 * values, mask), row(-1, 0, 1, 0))
    near(maths.whitened(2 * values, mask, shift=False), row(3, 4, 5, 0))


def test_one_value_alone_whitens_to_zero() -> None:
    near(maths.whitened(row(7.0), torch.tensor([[True]])), row(0.0))


def test_the_coefficient_follows_the_divergence_by_at_most_a_fifth() -> None:
    """Target 6, 64 rows, horizon 1000. KL 12: error 1, clipped to .2: .2 x (1 + .2 x .064) = .20256.

    KL 6.6: error .1: .2 x 1.0064 = .20128. KL 1: error -.83, clipped: .2 x (1 - .0128) = .19744.
    """
    for divergence, wanted in ((12, 0.20256), (6.6, 0.20128), (1, 0.19744), (6, 0.2)):
        assert maths.adapted_coefficient(0.2, divergence, 6, 64, 1000) == pytest.approx(wanted, abs=1e-9)


def test_explained_variance_of_a_perfect_and_of_a_constant_critic() -> None:
    mask, returns = torch.tensor([[True, True, True]]), row(1, 2, 4)
    assert maths.explained_variance(returns, returns, mask) == pytest.approx(1.0)
    assert maths.explained_variance(row(5, 5, 5), returns, mask) == pytest.approx(0.0)
