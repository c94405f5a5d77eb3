"""Runs beside one another: what they were asked for and differ in, their curves, and where these ended. Pure reading."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from accounts.models import Actor
from ground.errors import Invalid
from training.engine.fields import describe
from training.engine.methods import METHODS
from training.engine.spec import CheckpointPolicy, Parallelism
from training.models import Run
from training.panels import Curves
from training.selectors import curves, get_run_for

MOST = 6
"""As many lines as can be told apart in one picture."""
NO_RESULT = ("epoch",)
"""Logged at every step, and no finding."""


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A run with its curves, its last numbers and every setting that it had, defaults included."""

    run: Run
    curves: Curves
    finals: dict[str, float]
    settings: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One name, a value for each run in their order; None where a run has none."""

    name: str
    values: list[Any]


def runs_named(actor: Actor, ids: Iterable[str]) -> list[Run]:
    """In the order given, each once. Errors: Invalid for more than six, NotFound."""
    names = list(dict.fromkeys(name for name in ids if name))
    if len(names) > MOST:
        raise Invalid(
            _("%(n)d runs are too many for one picture.") % {"n": len(names)},
            hint=_("Compare up to %(most)d.") % {"most": MOST},
        )
    return [get_run_for(actor, name) for name in names]


def compared(run: Run) -> Compared:
    found = curves(run)
    return Compared(run=run, curves=found, finals=finals_of(run, found), settings=settings_in_force(run))


def finals_of(run: Run, found: Curves) -> dict[str, float]:
    """What the run reported at its end; of what it did not report, and of a run without an end, each curve's last value."""
    last = {name: curve[-1][1] for name, curve in found.items() if curve and name not in NO_RESULT}
    return {**last, **dict(numbers((run.job.result or {}).get("metrics") or {}))}


def numbers(values: dict[str, Any], before: str = "") -> Iterator[tuple[str, float]]:
    """Numbers at any depth, by dotted name."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from numbers(value, f"{before}{name}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{before}{name}", value


def settings_in_force(run: Run) -> dict[str, Any]:
    """What decided the run, by dotted name: inputs by their ids, settings as asked for, and the defaults of all others."""
    asked = run.settings
    models = {f"models.{role}": name for role, name in (asked.get("models") or {}).items()}
    inputs = {name: asked[name] for name in ("corpus", "prompts", "texts", "target") if asked.get(name)}
    groups = {
        "hyperparameters": METHODS[run.method].settings,
        "parallelism": Parallelism,
        "checkpoint": CheckpointPolicy,
    }
    return {
        "method": run.method,
        **models,
        **({"snapshot": run.snapshot.public_id} if run.snapshot else {}),
        **inputs,
        "seed": asked.get("seed", 0),
        **{
            f"{group}.{name}": value
            for group, shape in groups.items()
            for name, value in {**_defaults(shape), **(asked.get(group) or {})}.items()
        },
    }


def _defaults(shape: type[Any]) -> dict[str, Any]:
    return {row["name"]: row["default"] for row in describe(shape)}


def differences(found: Sequence[Compared]) -> list[Row]:
    """Settings in which not all agree."""
    return [row for row in _rows([one.settings for one in found]) if any(one != row.values[0] for one in row.values)]


def finals(found: Sequence[Compared]) -> list[Row]:
    return _rows([one.finals for one in found])


def _rows(columns: Sequence[dict[str, Any]]) -> list[Row]:
    names = dict.fromkeys(name for column in columns for name in column)
    return [Row(name=name, values=[column.get(name) for column in columns]) for name in names]
