"""The networks of PPO: the policy with or without a value head, a value network with its own trunk, the reward model.

A batch is [left padding | prompt | response | right padding]; per-token results are (rows, width), width that of the
response. Action t and the value before it are read one position earlier.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from training.engine.errors import EngineError
from training.engine.files import JSON
from training.engine.models import set_dropout
from training.engine.rows import Encoded, encode
from training.engine.sampling import positions_of
from training.engine.scoring import rewards

FORBIDDEN = -1e9  # a logit; finite, so that entropies stay finite


@dataclass(frozen=True)
class Choice:
    """How a token is chosen from logits. Sampling and every loss use the same distribution."""

    temperature: float
    ending: tuple[int, ...]
    min_new_tokens: int

    def scaled(self, logits: Tensor, first: int) -> Tensor:
        """Logits (rows, steps, vocabulary) of the response's tokens from number `first` on, as float32."""
        scaled = logits.float() / self.temperature
        banned = self.min_new_tokens - first
        if banned <= 0:
            return scaled
        ends = torch.tensor(self.ending, device=logits.device)
        return torch.cat([scaled[:, :banned].index_fill(-1, ends, FORBIDDEN), scaled[:, banned:]], dim=1)


class Policy(nn.Module):
    """A causal language model; with `head` also the value function, on the same trunk."""

    def __init__(self, language_model: Any, choice: Choice, *, head: bool) -> None:
        super().__init__()
        self.language_model = language_model
        self.choice = choice
        self.value_head = value_head(language_model) if head else None

    def forward(self, ids: Tensor, mask: Tensor, width: int) -> tuple[Tensor, Tensor | None]:
        """Log-probability of every action, and the value before it (None without a head); both (rows, width)."""
        outputs = self.language_model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions_of(mask),
            logits_to_keep=width + 1,
            use_cache=False,
            output_hidden_states=self.value_head is not None,
        )
        logits = self.choice.scaled(outputs.logits[:, :-1], 0)
        chosen = logits.gather(-1, ids[:, -width:].unsqueeze(-1)).squeeze(-1)
        return chosen - logits.logsumexp(-1), self.values(outputs, slice(-width - 1, -1))

    def values(self, outputs: Any, positions: slice) -> Tensor | None:
        if self.value_head is None:
            return None
        hidden: Tensor = self.value_head(outputs.hidden_states[-1][:, positions])
        return hidden.squeeze(-1).float()


class Value(nn.Module):
    """The value function with a trunk of its own."""

    def __init__(self, trunk: Any) -> None:
        super().__init__()
        self.trunk = trunk
        self.value_head = value_head(trunk)

    def forward(self, ids: Tensor, mask: Tensor, width: int) -> Tensor:
        outputs = self.trunk(input_ids=ids, attention_mask=mask, position_ids=positions_of(mask), use_cache=False)
        values: Tensor = self.value_head(outputs.last_hidden_state[:, -width - 1 : -1])
        return values.squeeze(-1).float()


def value_head(trunk: Any) -> nn.Linear:
    """Starts at zero, as in lm-human-preferences: no value is claimed, and no gradient flows, before one is learned."""
    head = nn.Linear(trunk.config.hidden_size, 1, dtype=trunk.dtype)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    return head


def without_dropout(model: Any) -> Any:
    """Dropout would make the probability ratio differ from 1 before any update."""
    set_dropout(model, 0.0)
    return model


@dataclass(frozen=True)
class Scale:
    """Frozen mean and deviation of the reward model: a scale taken from the run would move with it."""

    mean: float = 0.0
    deviation: float = 1.0

    def of(self, scores: Iterable[float]) -> list[float]:
        return [(score - self.mean) / self.deviation for score in scores]


def stored_scale(config: Any) -> Scale:
    mean, deviation = getattr(config, "reward_mean", None), getattr(config, "reward_std", None)
    if mean is None or not deviation:
        raise EngineError(
            "no_reward_scale",
            "The reward model carries no mean and deviation of its rewards.",
            "Train it here, or set score_normalization to none and choose kl_coefficient for its raw scores.",
        )
    return Scale(float(mean), float(deviation))


@dataclass(frozen=True)
class Judge:
    """A reward model. It scores a response as it was trained: ended by EOS, at which it pools."""

    model: Any
    tokenizer: Any
    scale: Scale
    same_words: bool
    batch_size: int

    def __call__(self, prompts: Sequence[list[JSON]], rows: Sequence[Encoded], texts: Sequence[str]) -> list[float]:
        """One score per response. `rows` hold the policy's ids without the end, which is put here."""
        if self.same_words:
            ended = [Encoded(row.prompt, [*row.completion, self.tokenizer.eos_token_id]) for row in rows]
        else:
            ended = [
                encode(self.tokenizer, prompt, [{"role": "assistant", "content": text}])
                for prompt, text in zip(prompts, texts, strict=True)
            ]
        return self.scale.of(rewards(self.model, ended, self.tokenizer.pad_token_id, self.batch_size))


def same_words(one: Any, other: Any) -> bool:
    """Do two tokenizers give every text, and every chat, the same ids?"""
    return bool(one.get_vocab() == other.get_vocab() and one.chat_template == other.chat_template)
