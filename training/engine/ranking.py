"""The loss of a reward model on preference pairs, and batches of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import logsigmoid


def ranking_loss(
    rewards: torch.Tensor,
    left: torch.Tensor,
    right: torch.Tensor,
    weights: torch.Tensor,
    margins: torch.Tensor,
    centering: float,
) -> torch.Tensor:
    """Sum over pairs of weight x (-log sigmoid(r_left - r_right - margin) + centering x (r_left + r_right)^2).

    `rewards` (completions,); `left` and `right` (pairs,) places in it; `weights` and `margins` (pairs,).
    Bradley and Terry 1952; margins as in Touvron et al. 2023 (Llama 2), 3.2.2; centering as in Eisenstein et al. 2023.
    """
    chosen, rejected = rewards[left], rewards[right]
    losses = -logsigmoid(chosen - rejected - margins) + centering * (chosen + rejected) ** 2
    return (weights * losses).sum()


@dataclass(frozen=True)
class Collator:
    """Rows of elements to one right-padded batch. With `weighted`, pairs count by their share of votes.

    `weights` hold the division: 1 / pairs of the element, 1 / elements of the batch. So a prompt counts once, however
    many of its completions were compared.
    """

    pad: int
    weighted: bool
    margin_scale: float

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        sides = [torch.tensor(side) for row in rows for side in row["sides"]]
        offsets = [sum(len(row["sides"]) for row in rows[:place]) for place in range(len(rows))]
        pairs = [
            (
                left + offset,
                right + offset,
                (share if self.weighted else 1.0) / len(row["left"]) / len(rows),
                margin * self.margin_scale,
            )
            for row, offset in zip(rows, offsets, strict=True)
            for left, right, share, margin in zip(row["left"], row["right"], row["shares"], row["margins"], strict=True)
        ]
        lefts, rights, weights, margins = zip(*pairs, strict=True)
        ids = torch.nn.utils.rnn.pad_sequence(sides, batch_first=True, padding_value=self.pad)
        lengths = torch.tensor([len(side) for side in sides])
        return {
            "input_ids": ids,
            "attention_mask": (torch.arange(ids.shape[1]) < lengths[:, None]).long(),
            "left": torch.tensor(lefts),
            "right": torch.tensor(rights),
            "weights": torch.tensor(weights),
            "margins": torch.tensor(margins),
        }
