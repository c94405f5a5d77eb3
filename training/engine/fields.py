"""Strict reading of JSON objects into frozen dataclasses. Standard library only."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from typing import Any, TypeVar

T = TypeVar("T")


class SpecError(ValueError):
    """A spec that cannot be run. `problems` maps the dotted field to what is wrong with it."""

    def __init__(self, problems: dict[str, str]) -> None:
        self.problems = problems
        super().__init__("; ".join(f"{field}: {problem}" for field, problem in problems.items()))


def setting(default: Any, explanation: str, **bounds: Any) -> Any:
    """A dataclass field with its documentation and bounds: `minimum`, `above`, `maximum`, `choices`.

    `refused` maps values that people would expect to be choices to why they are none.
    """
    return dataclasses.field(default=default, metadata={"help": explanation, **bounds})


def read_object(cls: type[T], value: Any, where: str) -> T:
    """Build `cls` from a JSON object; unknown keys, wrong types and numbers out of bounds are all reported at once."""
    if not isinstance(value, dict):
        raise SpecError({where: "must be an object"})
    known = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]  # T is a dataclass
    problems = {f"{where}.{key}": f"unknown; known are {', '.join(sorted(known))}" for key in value if key not in known}
    hints = typing.get_type_hints(cls)
    for name, field in known.items():
        problem = _problem(value.get(name), name in value, field, hints[name])
        if problem:
            problems[f"{where}.{name}"] = problem
    if problems:
        raise SpecError(problems)
    return cls(**{name: _converted(item, hints[name]) for name, item in value.items()})


def describe(cls: type[Any]) -> list[dict[str, Any]]:
    """Fields of a settings class for a form: name, type, default, help and bounds."""
    hints = typing.get_type_hints(cls)
    return [
        {
            "name": field.name,
            "type": _type_name(hints[field.name]),
            "default": None if field.default is dataclasses.MISSING else field.default,
            **field.metadata,
        }
        for field in dataclasses.fields(cls)
    ]


def _problem(value: Any, given: bool, field: dataclasses.Field[Any], hint: Any) -> str | None:
    if not given:
        missing = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        return "is required" if missing else None
    if not _fits(value, hint):
        return f"must be {_type_name(hint)}, not {type(value).__name__}"
    return None if value is None else _out_of_bounds(value, field.metadata)


def _out_of_bounds(value: Any, bounds: typing.Mapping[str, Any]) -> str | None:
    if value in bounds.get("refused", ()):
        return f"cannot be {value}: {bounds['refused'][value]}"
    if "choices" in bounds and value not in bounds["choices"]:
        return f"must be one of {', '.join(map(str, bounds['choices']))}"
    if "minimum" in bounds and value < bounds["minimum"]:
        return f"must be at least {bounds['minimum']}"
    if "above" in bounds and value <= bounds["above"]:
        return f"must be above {bounds['above']}"
    if "maximum" in bounds and value > bounds["maximum"]:
        return f"must be at most {bounds['maximum']}"
    return None


def _options(hint: Any) -> tuple[Any, ...]:
    return typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)


def _fits(value: Any, hint: Any) -> bool:
    return any(_is_a(value, option) for option in _options(hint))


def _is_a(value: Any, option: Any) -> bool:
    if option is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if option is int:
        return isinstance(value, int) and not isinstance(value, bool)
    origin = typing.get_origin(option) or option
    return isinstance(value, origin)


def _converted(value: Any, hint: Any) -> Any:
    wants_float = float in _options(hint) and int not in _options(hint)
    return float(value) if wants_float and isinstance(value, int) and not isinstance(value, bool) else value


def _type_name(hint: Any) -> str:
    names = {type(None): "null", dict: "object", str: "text"}
    parts = [
        names.get(
            typing.get_origin(option) or option,
            getattr(option, "__name__", str(option)),
        )
        for option in _options(hint)
    ]
    return " or ".join(parts)
