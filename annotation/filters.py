"""Conditions on tasks, as JSON: which tasks a queue takes, which the data browser shows.

`{"schema_version": 1, "all": [{"field": "metadata.language", "op": "eq", "value": "de"}, …]}`; a task passes when it meets all.
"""

from collections.abc import Collection, Mapping
from typing import Any

from models_registry.texts import check_json

FIELDS = ("batch", "external_id", "overlap", "priority", "schema", "score")
METADATA = "metadata."
OPS = ("eq", "ne", "in", "lt", "lte", "gt", "gte", "contains", "exists")
MOST_CONDITIONS = 20
MOST_VALUES = 200
LONGEST_FIELD = 200


def check_conditions(body: dict[str, Any], fields: Collection[str] = FIELDS) -> None:
    """Refuse conditions that could never be met as they are meant. Raises ValueError with the path."""
    unknown = sorted(set(body) - {"schema_version", "all"})
    if unknown:
        raise ValueError(f"{unknown[0]}: unknown; known is all")
    check_json(body, "filter")
    conditions = body.get("all")
    if not isinstance(conditions, list) or len(conditions) > MOST_CONDITIONS:
        raise ValueError(f"all: needs a list of at most {MOST_CONDITIONS} conditions")
    for place, condition in enumerate(conditions):
        _check_condition(condition, f"all[{place}]", fields)


def _check_condition(condition: Any, path: str, fields: Collection[str]) -> None:
    if not isinstance(condition, dict):
        raise ValueError(f"{path}: needs an object with field, op and value")
    unknown = sorted(set(condition) - {"field", "op", "value"})
    if unknown:
        raise ValueError(f"{path}.{unknown[0]}: unknown; known are field, op, value")
    field, op, value = condition.get("field"), condition.get("op"), condition.get("value")
    if not isinstance(field, str) or not (
        field in fields or (field.startswith(METADATA) and len(field) > len(METADATA))
    ):
        raise ValueError(f"{path}.field: {_short(field)} is not one of {', '.join(fields)} or metadata.<name>")
    if len(field) > LONGEST_FIELD:
        raise ValueError(f"{path}.field: has at most {LONGEST_FIELD} characters")
    if not isinstance(op, str) or op not in OPS:
        raise ValueError(f"{path}.op: {_short(op)} is not one of {', '.join(OPS)}")
    if op == "in" and (not isinstance(value, list) or not value or len(value) > MOST_VALUES):
        raise ValueError(f"{path}.value: in needs a list of 1 to {MOST_VALUES} values")
    if op == "exists" and not isinstance(value, bool):
        raise ValueError(f"{path}.value: exists needs true or false")
    if op in ("lt", "lte", "gt", "gte") and not _is_ordered(value):
        raise ValueError(f"{path}.value: {op} needs a number or a text")
    if op == "contains" and not isinstance(value, str):
        raise ValueError(f"{path}.value: contains needs a text")


def _short(value: Any) -> str:
    return repr(value)[:80]


def _is_ordered(value: Any) -> bool:
    return isinstance(value, (int, float, str)) and not isinstance(value, bool)


def passes(body: Mapping[str, Any], facts: Mapping[str, Any]) -> bool:
    """Whether a task with these facts (`FIELDS`, and `metadata`) meets every condition."""
    return all(_meets(condition, facts) for condition in body["all"])


def _meets(condition: Mapping[str, Any], facts: Mapping[str, Any]) -> bool:
    field, op, wanted = condition["field"], condition["op"], condition.get("value")
    if field.startswith(METADATA):
        found = facts.get("metadata", {}).get(field.removeprefix(METADATA))
    else:
        found = facts.get(field)
    if op == "exists":
        return (found is not None) is bool(wanted)
    if op in ("eq", "ne"):
        return _same(found, wanted) is (op == "eq")
    if op == "in":
        return any(_same(found, value) for value in wanted or ())
    if op == "contains":
        return wanted in found if isinstance(found, (str, list)) else False
    return _compares(found, op, wanted)


def _same(found: Any, wanted: Any) -> bool:
    """As in JSON: true is not 1."""
    return isinstance(found, bool) is isinstance(wanted, bool) and bool(found == wanted)


def _compares(found: Any, op: str, wanted: Any) -> bool:
    """A number compares with numbers and a text with texts; anything else does not pass."""
    if not _is_ordered(found) or isinstance(found, str) is not isinstance(wanted, str):
        return False
    return bool({"lt": found < wanted, "lte": found <= wanted, "gt": found > wanted, "gte": found >= wanted}[op])
