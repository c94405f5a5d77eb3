"""A tiny reward model beside the tiny policy, and PPO trainers without a process group."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny_judge(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random, so its scores mean nothing; their mean and deviation are stated, as those of a trained one are."""
    import torch

    from training.engine.models import load_reward, load_tokenizer, save
    from training.engine.reward import add_to_config

    torch.manual_seed(4)
    path, tokenizer = tmp_path_factory.mktemp("judge") / "tiny-judge", load_tokenizer(tiny)
    save(load_reward(tiny, torch.float32), tokenizer, None, path)
    add_to_config(path / "config.json", reward_mean=0.1, reward_std=0.5)
    return path
