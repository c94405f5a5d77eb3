"""Conditions on tasks (`annotation.filters`) as database lookups, and those that only the data browser knows."""

import json
import math
from collections.abc import Mapping
from typing import Any

from django.db.models import Exists, Func, OuterRef, Q, QuerySet, TextField
from django.db.models.fields.json import KeyTextTransform, KeyTransform
from django.db.models.functions import Cast
from django.utils.translation import gettext_lazy as _

from accounts.models import Project
from annotation.filters import FIELDS, METADATA, check_conditions
from annotation.models import Annotation, Batch, Queue, Schema, Task
from ground.dialect import is_postgresql
from models_registry.texts import check_json

NUMBERS = ("agreement", "done", "overlap", "priority", "score")
CHOICES: dict[str, Any] = {"purpose": Task.Purpose, "resolution": Task.Resolution, "state": Task.State}
NAMED: dict[str, Any] = {"batch": Batch, "queue": Queue, "schema": Schema}
BROWSED = (*FIELDS, "agreement", "answered_by", "done", "flagged", "purpose", "queue", "resolution", "state")
OPS = {
    "eq": _("is"),
    "ne": _("is not"),
    "in": _("is one of"),
    "lt": _("is below"),
    "lte": _("is at most"),
    "gt": _("is above"),
    "gte": _("is at least"),
    "contains": _("contains"),
    "exists": _("is given"),
}
MOST_NUMBER = 1_000_000_000
# How an answer with flags reads as JSON text; a quotation mark inside a text would be escaped.
A_FLAG = '"flags": ["'


def check_browsed(body: dict[str, Any]) -> None:
    """Refuse conditions that the browser could not look up. Raises ValueError with the path."""
    check_conditions(body, BROWSED)
    for place, condition in enumerate(body["all"]):
        check_json(condition.get("value"), f"all[{place}].value")
        check_json(condition["field"], f"all[{place}].field")
        _check_one(condition, f"all[{place}]")


def _check_one(condition: Mapping[str, Any], path: str) -> None:
    field, op, value = condition["field"], condition["op"], condition.get("value")
    values: list[Any] = value if op == "in" else [value]  # type: ignore[assignment]
    if op == "exists" and (field in CHOICES or field in ("done", "overlap", "priority")):
        raise ValueError(f"{path}.op: every task has a {field}")
    if field in CHOICES:
        names = [choice.name.lower() for choice in CHOICES[field]]
        _allow(op, ("eq", "ne", "in"), path)
        if any(name not in names for name in values):
            raise ValueError(f"{path}.value: is one of {', '.join(names)}")
    elif field in NUMBERS and op != "exists":
        _allow(op, ("eq", "ne", "in", "lt", "lte", "gt", "gte"), path)
        if not all(_is_number(number) for number in values):
            raise ValueError(f"{path}.value: {field} needs a number")
    elif field in (*NAMED, "external_id") and op != "exists":
        _allow(op, ("eq", "ne", "in", "contains"), path)
        if not all(isinstance(name, str) for name in values):
            raise ValueError(f"{path}.value: {field} needs a text")
    elif field == "flagged":
        _allow(op, ("exists",), path)
    elif field == "answered_by":
        _allow(op, ("eq",), path)
        if not isinstance(value, str):
            raise ValueError(f"{path}.value: needs an actor's id")


def _allow(op: str, known: tuple[str, ...], path: str) -> None:
    if op not in known:
        raise ValueError(f"{path}.op: is one of {', '.join(known)} for this field")


def _is_number(value: Any) -> bool:
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return known and math.isfinite(value) and abs(value) <= MOST_NUMBER


def lookup(tasks: "QuerySet[Task]", project: Project, conditions: list[dict[str, Any]]) -> "QuerySet[Task]":
    """The tasks that meet every condition; checked before."""
    for place, condition in enumerate(conditions):
        field = condition["field"]
        if field.startswith(METADATA):
            tasks = _by_metadata(tasks, condition, f"of_metadata_{place}")
        else:
            tasks = tasks.filter(_by_column(project, condition))
    return tasks


def _by_column(project: Project, condition: Mapping[str, Any]) -> Q:
    field, op = condition["field"], condition["op"]
    value: Any = condition.get("value")
    if field == "flagged":
        said = Annotation.objects.filter(task=OuterRef("pk")).annotate(said=Cast("answers", TextField()))
        found = Exists(said.filter(said__contains=A_FLAG))
        return Q(found) if value else ~Q(found)
    if field == "answered_by":
        return Q(Exists(Annotation.objects.filter(task=OuterRef("pk"), actor__public_id=value)))
    if field in CHOICES:
        values = [CHOICES[field][name.upper()].value for name in (value if op == "in" else [value])]
        return ~Q(**{field: values[0]}) if op == "ne" else Q(**{f"{field}__in": values})
    if field in NAMED:
        return _by_name(project, NAMED[field], field, op, value)
    if op == "exists":
        given = ~Q(external_id="") if field == "external_id" else Q(**{f"{field}__isnull": False})
        return given if value else ~given
    return _compared(field, op, value)


def _by_name(project: Project, model: Any, field: str, op: str, value: Any) -> Q:
    if op == "exists":
        return Q(**{f"{field}__isnull": not value})
    named = {"eq": "name", "ne": "name", "in": "name__in", "contains": "name__contains"}[op]
    keys = list(model.objects.filter(project=project, **{named: value}).values_list("pk", flat=True))
    if op == "ne":
        return ~Q(**{f"{field}_id__in": keys}) | Q(**{f"{field}__isnull": True})
    return Q(**{f"{field}_id__in": keys})


def _compared(field: str, op: str, value: Any) -> Q:
    if op == "ne":
        return ~_compared(field, "eq", value) | Q(**{f"{field}__isnull": True})
    if op == "in":
        found = Q(pk__in=[])
        for one in value:
            found |= _compared(field, "eq", one)
        return found
    if op == "eq" and isinstance(value, float) and not value.is_integer() and field not in ("agreement", "score"):
        return Q(pk__in=[])
    return Q(**{field if op == "eq" else f"{field}__{op}": value})


class _Kind(Func):
    """What a JSON value is: number, string, array, … (null where there is none)."""

    output_field = TextField()

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return super().as_sql(compiler, connection, function="jsonb_typeof", **context)

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        source = self.get_source_expressions()[0]
        column, params, keys = source.preprocess_lhs(compiler, connection)
        path = "$" + "".join(f".{json.dumps(str(key))}" for key in keys)
        return f"JSON_TYPE({column}, %s)", (*params, path)


NUMBER_KINDS, TEXT_KINDS = ("number", "integer", "real"), ("string", "text")


def _by_metadata(tasks: "QuerySet[Task]", condition: Mapping[str, Any], alias: str) -> "QuerySet[Task]":
    key, op = condition["field"].removeprefix(METADATA), condition["op"]
    value: Any = condition.get("value")
    kind, text = f"{alias}_kind", f"{alias}_text"
    found = tasks.alias(
        **{
            alias: KeyTransform(key, "metadata"),
            kind: _Kind(KeyTransform(key, "metadata")),
            text: KeyTextTransform(key, "metadata"),
        }
    )
    if op == "exists":
        missing = Q(**{f"{kind}__isnull": True}) | Q(**{kind: "null"})
        return found.filter(~missing if value else missing)
    if op in ("eq", "in", "ne"):
        same = Q(pk__in=[])
        for one in value if op == "in" else [value]:
            same |= Q(**{f"{kind}__isnull": True}) | Q(**{kind: "null"}) if one is None else Q(**{alias: one})
        if op != "ne":
            return found.filter(same)
        return found.filter(~same if value is None else _not(same, kind))
    if op == "contains":
        quoted = json.dumps(value, ensure_ascii=not is_postgresql())
        within = Q(**{f"{kind}__in": TEXT_KINDS, f"{text}__contains": value})
        return found.filter(within | Q(**{kind: "array", f"{text}__contains": quoted}))
    kinds = TEXT_KINDS if isinstance(value, str) else NUMBER_KINDS
    return found.filter(**{f"{kind}__in": kinds, f"{alias}__{op}": value})


def _not(same: Q, kind: str) -> Q:
    """What is missing is not the same as anything."""
    return Q(**{f"{kind}__isnull": True}) | ~same
