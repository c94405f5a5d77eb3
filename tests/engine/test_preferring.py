"""DPO and its variants: what each loss is, by hand, on a policy that already differs from its reference."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.engine.runs import events, losses, make_run, preference_rows
from training.engine.runner import execute

ROWS = 6
BETA = 0.3


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from training.engine.tiny import make

    return make(tmp_path_factory.mktemp("model") / "other", seed=1)


@pytest.fixture(scope="module")
def sides(tiny: Path, other: Path) -> list[tuple[list[float], list[float]]]:
    """By pair: log(policy / reference) of every token of chosen and of rejected, from our own scoring."""
    import torch

    from training.engine.models import load_causal, load_tokenizer
    from training.engine.rows import encode
    from training.engine.scoring import log_probabilities

    tokenizer = load_tokenizer(tiny)
    rows = preference_rows(ROWS)
    encoded = [encode(tokenizer, row["prompt"], row[side]) for row in rows for side in ("chosen", "rejected")]
    policy, reference = (
        log_probabilities(load_causal(path, torch.float32).eval(), encoded, tokenizer.pad_token_id, 4)
        for path in (tiny, other)
    )
    ratios = [[a - b for a, b in zip(left, right, strict=True)] for left, right in zip(policy, reference, strict=True)]
    return list(zip(ratios[::2], ratios[1::2], strict=True))


def logistic(margin: float) -> float:
    return math.log1p(math.exp(-margin))


def plain(chosen: list[float], rejected: list[float]) -> float:
    return BETA * (sum(chosen) - sum(rejected))


def per_token(chosen: list[float], rejected: list[float]) -> float:
    return sum(chosen) / len(chosen) - sum(rejected) / len(rejected)


def desensitised(chosen: list[float], rejected: list[float], alpha: float) -> float:
    shared = min(len(chosen), len(rejected))
    left, right = (sum(side[:shared]) + alpha * sum(side[shared:]) for side in (chosen, rejected))
    return BETA * (left - right)


CASES: list[tuple[dict[str, Any], Callable[[list[float], list[float]], float]]] = [
    ({"loss_type": "sigmoid"}, lambda c, r: logistic(plain(c, r))),
    ({"loss_type": "hinge"}, lambda c, r: max(0.0, 1 - plain(c, r))),
    ({"loss_type": "ipo"}, lambda c, r: (per_token(c, r) - 1 / (2 * BETA)) ** 2),
    ({"loss_type": "sigmoid_norm"}, lambda c, r: logistic(BETA * per_token(c, r))),
    (
        {"loss_type": "cdpo", "label_smoothing": 0.2},
        lambda c, r: 0.8 * logistic(plain(c, r)) + 0.2 * logistic(-plain(c, r)),
    ),
    (
        {"loss_type": "robust", "label_smoothing": 0.2},
        lambda c, r: (0.8 * logistic(plain(c, r)) - 0.2 * logistic(-plain(c, r))) / 0.6,
    ),
    ({"ld_alpha": 0.25}, lambda c, r: logistic(desensitised(c, r, 0.25))),
]


def dpo(root: Path, tiny: Path, other: Path | None, **settings: Any) -> Path:
    models = {"base": tiny} if other is None else {"base": tiny, "reference": other}
    quick = {"dtype": "float32", "lora_r": 0, "learning_rate": 1e-3, "max_steps": 1, "batch_size": ROWS, "beta": BETA}
    rows = {"train": preference_rows(ROWS)}
    run = make_run(root, "dpo", models=models, data=rows, settings={**quick, **settings})
    assert execute(run)["state"] == "succeeded"
    return run


@pytest.mark.parametrize(("settings", "loss"), CASES, ids=[str(sorted(case[0].items())) for case in CASES])
def test_each_variant_is_the_loss_of_its_paper(
    tmp_path: Path, tiny: Path, other: Path, sides: list[Any], settings: dict[str, Any], loss: Callable[..., float]
) -> None:
    """The run's first loss = the mean over pairs of the formula, from log-ratios computed apart from TRL."""
    run = dpo(tmp_path / "run", tiny, other, **settings)
    expected = [loss(chosen, rejected) for chosen, rejected in sides]
    assert losses(run)[1] == pytest.approx(sum(expected) / len(expected), abs=1e-4)
    assert max(expected) - min(expected) > 0.01, "all the same: such pairs could not tell formulas apart"


def test_the_chosen_completions_own_loss_is_added_at_its_weight(tmp_path: Path, tiny: Path) -> None:
    """With the reference at the start: ln 2 + 0.5 x the mean loss of chosen tokens (-logps/chosen x 6 / their number)."""
    from training.engine.models import load_tokenizer
    from training.engine.rows import encode

    tokenizer = load_tokenizer(tiny)
    run = dpo(tmp_path / "run", tiny, None, sft_weight=0.5)
    tokens = sum(len(encode(tokenizer, row["prompt"], row["chosen"]).completion) for row in preference_rows(ROWS))
    own = -events(run, "metric")[0]["logps/chosen"] * ROWS / tokens
    assert losses(run)[1] == pytest.approx(math.log(2) + 0.5 * own, abs=1e-4)
    assert own > 1


@pytest.mark.parametrize(("overlong", "dropped", "truncated"), [("drop", 2, 0), ("truncate", 0, 2)])
def test_pairs_that_lose_an_end_are_counted(
    tmp_path: Path, tiny: Path, overlong: str, dropped: int, truncated: int
) -> None:
    """TRL cuts the tail with its EOS and says nothing. Two of six pairs have one side of 300 words."""
    rows = preference_rows(ROWS)
    rows[0]["chosen"] = rows[1]["rejected"] = [{"role": "assistant", "content": "bread " * 300}]
    run = make_run(
        tmp_path / "run",
        "dpo",
        models={"base": tiny},
        data={"train": rows},
        settings={"dtype": "float32", "lora_r": 0, "max_steps": 1, "max_length": 128, "overlong": overlong},
    )
    metrics = execute(run)["metrics"]
    assert (metrics["rows"], metrics["rows_dropped"], metrics["rows_truncated"]) == (ROWS, dropped, truncated)
    assert [row["name"] for row in events(run, "warning")] == ["overlong_rows"]
