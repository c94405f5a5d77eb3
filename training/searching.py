"""The trials of a sweep: every combination of a grid, or random draws. Pure; standard library only."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

JSON = dict[str, Any]
GRID, RANDOM = "grid", "random"
MOST_TRIALS = 200
TRIES = 50
"""Draws for each trial before a space counts as used up."""


def trials_of(space: Mapping[str, Any], *, search: str, trials: int | None, seed: int) -> list[JSON]:
    """Settings of each trial, in order, none twice. ValueError says what is wrong with the space.

    A setting has a list of values, or, for a random search (Bergstra and Bengio 2012), {"low", "high", "log"}: between them,
    with `log` evenly over the orders of magnitude.
    """
    if search not in (GRID, RANDOM):
        raise ValueError(f"search: must be {GRID} or {RANDOM}")
    if not isinstance(space, dict) or not space:
        raise ValueError("space: must name at least one setting, each with a list of values")
    for name, values in space.items():
        _check(name, values, search)
    if trials is not None and not 1 <= trials <= MOST_TRIALS:
        raise ValueError(f"trials: must be 1 to {MOST_TRIALS}")
    return _grid(space, trials) if search == GRID else _draws(space, trials, seed)


def _check(name: str, values: Any, search: str) -> None:
    if isinstance(values, list) and values:
        return
    if not isinstance(values, dict):
        raise ValueError(f"space.{name}: must be a list of values, or low and high")
    if search == GRID:
        raise ValueError(f"space.{name}: a grid needs a list of values")
    low, high = values.get("low"), values.get("high")
    if set(values) - {"low", "high", "log"} or not _is_number(low) or not _is_number(high) or not low < high:
        raise ValueError(f"space.{name}: needs low below high, and may have log")
    if values.get("log") and low <= 0:
        raise ValueError(f"space.{name}: with log, low must be above 0")


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _grid(space: Mapping[str, Any], trials: int | None) -> list[JSON]:
    if trials is not None:
        raise ValueError("trials: a grid has as many as its values make; leave it out")
    size = math.prod(len(values) for values in space.values())
    if size > MOST_TRIALS:
        raise ValueError(f"space: makes {size} trials; {MOST_TRIALS} are the most")
    return _once(dict(zip(space, chosen, strict=True)) for chosen in itertools.product(*space.values()))


def _draws(space: Mapping[str, Any], trials: int | None, seed: int) -> list[JSON]:
    if trials is None:
        raise ValueError("trials: a random search needs their number")
    draw = random.Random(seed)  # noqa: S311  a search, no secret
    drawn = ({name: _draw(values, draw) for name, values in space.items()} for _ in range(trials * TRIES))
    return _once(drawn)[:trials]


def _draw(values: Any, draw: random.Random) -> Any:
    if isinstance(values, list):
        return draw.choice(values)
    low, high = values["low"], values["high"]
    if values.get("log"):
        found = math.exp(draw.uniform(math.log(low), math.log(high)))
    else:
        found = draw.uniform(low, high)
    return round(found) if isinstance(low, int) and isinstance(high, int) else float(f"{found:.4g}")


def _once(found: Iterator[JSON]) -> list[JSON]:
    kept: list[JSON] = []
    for one in found:
        if one not in kept:
            kept.append(one)
    return kept
