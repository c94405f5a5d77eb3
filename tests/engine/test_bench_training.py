"""What `make bench-training` makes of its measurements."""

from __future__ import annotations

import json
from math import inf
from pathlib import Path
from statistics import fmean
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.training.clock import Clock
from benchmarks.training.overhead import Overhead
from benchmarks.training.ppo import LAST, compared, seconds_to


def test_the_overhead_is_the_median_ratio_less_one() -> None:
    """Sorted 0.99, 1.01, 1.20: the one bad block does not count."""
    assert Overhead([1.20, 0.99, 1.01]).median == pytest.approx(0.01)


def test_the_clock_counts_the_steps_after_the_warm_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """10 s of CPU at step 2, 22 s at step 6: 12 s over 4 steps are 3 s a step."""
    times = iter([10.0, 22.0])
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr("time.process_time", lambda: next(times))
    clock = Clock(tmp_path, warm_up=2)
    for step in range(1, 7):
        clock.on_step_end(None, SimpleNamespace(global_step=step, max_steps=6), None)
    assert json.loads((tmp_path / "clock-1.json").read_text()) == 3.0


def curve(scores: list[float], seconds: float, rate: float) -> dict[str, Any]:
    """A run with an update every `seconds`."""
    return {
        "scores": scores,
        "score": fmean(scores[-LAST:]),
        "kl": 1.0,
        "samples_per_cpu_second": rate,
        "cpu_seconds": [seconds * number for number in range(len(scores))],
    }


def test_the_time_to_a_score_ends_with_the_first_five_updates_whose_mean_has_it() -> None:
    """0 0 0 0 1 1 1: the mean of five is .2, .4, .6 at updates 5, 6, 7, which are 8, 10, 12 s after the first."""
    run = curve([0, 0, 0, 0, 1, 1, 1], seconds=2.0, rate=1.0)
    assert [seconds_to(run, target) for target in (0.2, 0.3, 0.6)] == [8.0, 10.0, 12.0]
    assert seconds_to(run, 0.7) == inf


def test_our_speedup_is_the_time_to_the_score_that_trl_ends_at() -> None:
    """TRL ends at .6, .6 and .5, so .6 is the target: first had after 12 s and 10 s; the third counts its whole 12 s.

    Ours has it after 6 s, after 4 s and never: 2, 2.5 and 0.
    """
    slow, fast, weak = [0, 0, 0, 0, 1, 1, 1], [1, 1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0.5, 1, 1]
    theirs = [curve(scores, 2.0, 10.0) for scores in (slow, [0, 0, 1, 1, 0, 1, 1], weak)]
    ours = [curve(scores, 1.0, 30.0) for scores in (slow, fast, weak)]
    found = compared(list(zip(ours, theirs, strict=True)))
    assert (found["ppo_target"], found["ppo_speedup"], found["ppo_speedup_range"]) == (0.6, 2.0, [0.0, 2.5])
    assert (found["ppo_samples_ratio"], found["ppo_score_range"]) == (3.0, [0.5, 1.0])
