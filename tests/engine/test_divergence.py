"""A loss that ran away ends the run; one that is only noisy does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.runs import events, make_run, sft_rows
from training.engine.divergence import WINDOW, Divergence
from training.engine.runner import execute


def fed(*losses: float) -> int | None:
    """The number of losses after which it was found."""
    seen = Divergence()
    return next((at for at, loss in enumerate(losses, 1) if seen.add(loss)), None)


def test_it_is_found_when_the_mean_of_twenty_is_three_times_the_best() -> None:
    """Twenty at 2, then 8s. After n of them the mean is (20 - n) x 2 + 8n over 20 = 2 + 0.3 n; above 3 x 2 = 6 from n = 14."""
    assert fed(*[2.0] * 20, *[8.0] * 20) == 34


@pytest.mark.parametrize(
    "losses",
    [
        [2.0] * 20 + [40.0] + [2.0] * 20,  # one bad batch: mean (38 + 40) / 20 = 3.9, less than 6
        [0.01] * 20 + [0.5] * 40,  # fifty times the best, and still near zero
        [6.0] * 20 + [1.0] * 20 + [5.5] * 40,  # five times the best, and still better than where it began
        [-0.02, 0.03] * 40,  # online methods: around zero
        [9.0] * 19,  # too early to tell
    ],
)
def test_what_is_only_noise_or_forgetting_ends_nothing(losses: list[float]) -> None:
    assert fed(*losses) is None


def test_a_run_that_diverges_says_so_and_what_to_lower(tmp_path: Path, tiny: Path) -> None:
    settings = {"dtype": "float32", "lora_r": 0, "max_steps": 80, "learning_rate": 3.0, "warmup_ratio": 0.9}
    run = make_run(
        tmp_path / "run", "sft", models={"base": tiny}, data={"train": sft_rows(8)},
        settings={**settings, "batch_size": 4, "max_length": 64}, checkpoint={"every_steps": 1000},
    )  # fmt: skip
    result = execute(run)
    assert (result["state"], result["error"]["class"]) == ("failed", "diverged"), result["error"]
    assert "learning_rate (now 3)" in result["error"]["hint"]
    assert WINDOW < len(events(run, "metric")) < 80
