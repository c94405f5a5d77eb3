"""One token, fifteen arms: the optimum is known, so convergence can be measured."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.engine.ppo.trainers import learn, trainer_of

ARMS, PRICE = 16, 0.3
PROMPT, END = [1, 2], ARMS - 1
BANDIT: dict[str, Any] = {
    "batch_size": 256,
    "minibatches": 1,
    "micro_batch_size": 256,
    "update_epochs": 2,
    "learning_rate": 3e-3,
    "max_new_tokens": 1,
    "min_new_tokens": 1,
    "missing_eos_penalty": 0.0,
    "value_clip_range": 0.0,
    "kl_coefficient": PRICE,
    "max_steps": 150,
}


def model() -> Any:
    """A clearly non-uniform reference."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=ARMS,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=32,
        tie_word_embeddings=False,
        bos_token_id=0,
        eos_token_id=END,
        pad_token_id=0,
    )
    made = LlamaForCausalLM(config)
    with torch.no_grad():
        made.lm_head.weight.mul_(8)
    return made


@torch.no_grad()
def distribution(language_model: Any) -> Tensor:
    """Log-probabilities of the arms; the end is forbidden."""
    logits = language_model(torch.tensor([PROMPT])).logits[0, -1, :END]
    return logits.log_softmax(-1)


def divergence(one: Tensor, other: Tensor) -> float:
    return float((one.exp() * (one - other)).sum())


@pytest.mark.parametrize("value_model", ["trunk", "head"])
def test_the_policy_converges_to_the_reference_tilted_by_the_reward(value_model: str) -> None:
    """The maximum of E[r] - 0.3 KL(p || q) is q exp(r / 0.3) / Z: from KL 0.39 to below 0.001."""
    torch.manual_seed(5)
    rewards = torch.rand(ARMS)
    trainer = trainer_of(
        model(), [PROMPT], lambda rows: [float(rewards[row.tokens[0]]) for row in rows], (END,), 0,
        **BANDIT, value_model=value_model,
    )  # fmt: skip
    reference = distribution(trainer.policy.language_model)
    optimum = (reference + rewards[:END] / PRICE).log_softmax(-1)
    assert divergence(reference, optimum) > 0.3
    last = learn(trainer)[-1]
    found = distribution(trainer.policy.language_model)
    assert divergence(found, optimum) < 1e-3
    assert last["kl"] == pytest.approx(divergence(optimum, reference), abs=0.15)
