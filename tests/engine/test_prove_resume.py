"""What `make prove-resume` counts and compares, and that its controls forget exactly what they say."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from benchmarks.resume import compare, forget
from training.engine import checkpoints

LAYOUT = checkpoints.Layout(world_size=1, zero_stage=0, spec_sha256="s")


def metric(step: int, **numbers: float) -> dict:
    return {"kind": "metric", "data": {"step": step, **numbers}}


def phase(name: str, step: int) -> dict:
    return {"kind": "phase", "data": {"name": name, "step": step}}


def test_steps_done_again_are_counted_over_all_attempts() -> None:
    """Steps 1 to 7, back to 4: 3 lost. On to 9, back to 0 (no checkpoint held): 9 lost. 3 + 9 = 12."""
    first = [phase("training", 0), *(metric(step) for step in range(1, 8))]
    second = [phase("resumed", 4), phase("training", 4), *(metric(step) for step in range(5, 10))]
    assert compare.lost_steps([*first, *second, phase("training", 0), metric(1)]) == 12
    assert compare.lost_steps(first) == 0


def test_a_step_counts_with_its_last_numbers_and_without_those_of_the_machine() -> None:
    rows = [metric(1, loss=2.0), metric(1, loss=1.5, tokens_per_second=80.0, num_tokens=9), metric(2, loss=1.0)]
    assert compare.metrics(rows) == {1: {"step": 1, "loss": 1.5}, 2: {"step": 2, "loss": 1.0}}


def test_the_difference_is_the_largest_of_any_number() -> None:
    """|1.5 - 1.25| = 0.25 in the loss, |3 - 2| = 1 in the gradient."""
    one = {1: {"loss": 1.0, "grad_norm": 1.0}, 2: {"loss": 1.5, "grad_norm": 3.0}}
    other = {1: {"loss": 1.0, "grad_norm": 1.0}, 2: {"loss": 1.25, "grad_norm": 2.0}}
    assert compare.difference(one, other) == 1.0
    assert compare.difference(one, one) == 0.0


@pytest.mark.parametrize("other", [{}, {1: {"loss": 1.0}}, {1: {"loss": 1.0}, 2: {}}])
def test_what_is_missing_is_no_equality(other: dict) -> None:
    assert compare.difference({1: {"loss": 1.0}, 2: {"loss": 1.0}}, other) == math.inf
    assert compare.difference({}, {}) == math.inf


def checkpoint(root: Path) -> Path:
    """A checkpoint as TRL and DeepSpeed write one: shards with moments at some depth, and the ranks' random numbers."""
    staging = root / "staging"
    (staging / "global_step4").mkdir(parents=True)
    moments = {"exp_avg": torch.ones(3), "exp_avg_sq": torch.ones(3), "step": torch.tensor(4.0)}
    shard = {"optimizer_state_dict": {"base_optimizer_state": {"state": {0: moments}}, "fp32": [torch.ones(3)]}}
    torch.save(shard, staging / "global_step4" / "zero_pp_rank_0_mp_rank_00_optim_states.pt")
    torch.save({"cpu": 1}, staging / "rng_state_0.pth")
    torch.save(torch.Generator().manual_seed(5).get_state(), staging / "rng.pt")
    (staging / "state.json").write_text(json.dumps({"step": 4, "cursor": 32}))
    (staging / "trainer_state.json").write_text(json.dumps({"global_step": 4}))
    target = root / "checkpoints" / "step-000004"
    checkpoints.seal(staging, target, step=4, layout=LAYOUT)
    (root / "spec.json").write_text("{}")
    (root / "data").mkdir()
    return target


@pytest.mark.parametrize("name", list(forget.FORGETTING))
def test_a_control_takes_what_it_says_and_leaves_a_whole_checkpoint(tmp_path: Path, name: str) -> None:
    before = checkpoint(tmp_path / "calm")
    target = forget.copy_until(tmp_path / "calm", tmp_path / name, before.name, forget.FORGETTING[name][0])
    found = checkpoints.read(target / "checkpoints" / before.name)
    assert found is not None
    assert (found.step, found.layout) == (4, LAYOUT)
    assert json.loads((found.path / "state.json").read_text()) == {"step": 4, "cursor": 0 if name == "cursor" else 32}
    generator = torch.Generator().manual_seed(5).get_state()
    assert torch.equal(torch.load(found.path / "rng.pt"), generator) == (name != "rng")
    shard = torch.load(next(found.path.glob("*/*.pt")), weights_only=False)["optimizer_state_dict"]
    state = shard["base_optimizer_state"]["state"][0]
    assert [float(state[key].sum()) for key in forget.MOMENTS] == ([0, 0, 0] if name == "optimizer" else [3, 3, 4])
    assert float(shard["fp32"][0].sum()) == 3, "the weights are no part of what is forgotten"
    assert (found.path / "rng_state_0.pth").exists() == (name != "rng")
