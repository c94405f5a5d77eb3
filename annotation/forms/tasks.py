"""Forms of the data browser and of imports, and the browser's state as a URL."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import Actor
from annotation.browsing import LONGEST_SEARCH, SORTS, check_query, conditions_in
from annotation.conditions import CHOICES, NUMBERS, OPS
from annotation.filters import METADATA
from annotation.models import Batch, BulkEdit, Group, Schema
from annotation.services.views import MOST_COLUMNS
from ground.errors import Invalid
from ground.forms import HouseForm

FIELDS = {
    "state": gettext_lazy("State"),
    "queue": gettext_lazy("Queue"),
    "batch": gettext_lazy("Batch"),
    "schema": gettext_lazy("Schema"),
    "resolution": gettext_lazy("Review"),
    "priority": gettext_lazy("Priority"),
    "overlap": gettext_lazy("Overlap"),
    "done": gettext_lazy("Answers"),
    "agreement": gettext_lazy("Agreement"),
    "score": gettext_lazy("Score"),
    "flagged": gettext_lazy("Flags"),
    "external_id": gettext_lazy("External id"),
    "purpose": gettext_lazy("Purpose"),
    "answered_by": gettext_lazy("Answered by"),
}
SORT_NAMES = {
    "-id": gettext_lazy("newest first"),
    "id": gettext_lazy("oldest first"),
    "-priority": gettext_lazy("highest priority first"),
    "priority": gettext_lazy("lowest priority first"),
    "agreement": gettext_lazy("least agreement first"),
    "-agreement": gettext_lazy("most agreement first"),
    "-score": gettext_lazy("highest score first"),
    "score": gettext_lazy("lowest score first"),
}


@dataclass(frozen=True)
class State:
    """What the browser shows; its URL says all of it."""

    conditions: tuple[dict[str, Any], ...] = ()
    search: str = ""
    sort: str = "-id"
    columns: tuple[str, ...] = ()
    after: str = ""
    before: str = ""
    wrong: str = ""
    query: dict[str, Any] = field(default_factory=lambda: {"schema_version": 1, "all": [], "search": ""})

    def url(self, **changes: Any) -> str:
        """The query string of this state with some of it changed; whatever changes, the pages begin anew."""
        changed = replace(self, **{"after": "", "before": "", **changes})
        parts: list[tuple[str, str]] = []
        if changed.conditions:
            parts.append(("filter", json.dumps(list(changed.conditions), ensure_ascii=False)))
        parts += [("q", changed.search)] if changed.search else []
        parts += [("sort", changed.sort)] if changed.sort != "-id" else []
        parts += [("col", column) for column in changed.columns]
        parts += [(name, getattr(changed, name)) for name in ("after", "before") if getattr(changed, name)]
        return "?" + urlencode(parts)

    def without(self, place: int) -> str:
        return self.url(conditions=self.conditions[:place] + self.conditions[place + 1 :])

    @property
    def hidden(self) -> list[tuple[str, str]]:
        """The state as fields of a form that changes one part of it."""
        pairs = [("filter", json.dumps(list(self.conditions), ensure_ascii=False))] if self.conditions else []
        return [*pairs, ("sort", self.sort), *(("col", column) for column in self.columns)]


def state_of(asked: QueryDict) -> State:
    """The state a URL says; what is wrong with it stands in `wrong`, and is left out."""
    sort = asked.get("sort", "-id")
    plain = State(
        search=asked.get("q", "")[:LONGEST_SEARCH].strip(),
        sort=sort if sort in SORTS else "-id",
        columns=tuple(dict.fromkeys(column[:200] for column in asked.getlist("col")))[:MOST_COLUMNS],
        after=asked.get("after", ""),
        before=asked.get("before", ""),
    )
    try:
        conditions = _conditions(asked)
        query = check_query({"all": conditions, "search": plain.search})
    except Invalid as error:
        query = check_query({"search": plain.search})
        return replace(plain, wrong=error.detail, query=query, search=query["search"])
    return replace(plain, conditions=tuple(conditions), query=query, search=query["search"])


def _conditions(asked: QueryDict) -> list[Any]:
    found = conditions_in(asked.get("filter", ""))
    return found if isinstance(found, list) else [found]


def condition_of(name: str, op: str, typed: str) -> dict[str, Any]:
    """What somebody typed, as a condition."""
    return {"field": name, "op": op, "value": _value(name, op, typed.strip())}


def _value(name: str, op: str, typed: str) -> Any:
    if name == "flagged" or op == "exists":
        return typed.lower() not in ("no", "false", "0", _("no"))
    if op == "in":
        return [_one(name, part.strip()) for part in typed.split(",") if part.strip()]
    return _one(name, typed)


def _one(name: str, typed: str) -> Any:
    """Numbers are numbers; a metadata value in quotation marks is a text whatever it looks like."""
    if name not in NUMBERS and not name.startswith(METADATA):
        return typed.lower() if name in CHOICES else typed
    try:
        found = json.loads(typed)
    except (ValueError, RecursionError):
        return typed
    return found if isinstance(found, str | int | float | bool) or found is None else typed


def in_words(condition: dict[str, Any]) -> str:
    """`Priority is at least 5`"""
    name, op, value = condition["field"], condition["op"], condition.get("value")
    label = str(FIELDS.get(name, name.removeprefix(METADATA)))
    if op == "exists":
        return (_("%s: given") if value else _("%s: none")) % label
    shown = ", ".join(str(one) for one in value) if isinstance(value, list) else str(value)
    return f"{label} {OPS[op]} {shown}"


class ConditionForm(HouseForm):
    """One more condition; the fields of the state come along hidden."""

    field = forms.ChoiceField(label=gettext_lazy("Where"))
    op = forms.ChoiceField(label=gettext_lazy("is"), choices=[(op, words) for op, words in OPS.items()])
    value = forms.CharField(
        label=gettext_lazy("Value"),
        required=False,
        max_length=400,
        help_text=gettext_lazy("Several values: with commas. For “is given” and flags: yes or no."),
    )

    def __init__(self, *args: Any, columns: Iterable[str], names: bool, **options: Any) -> None:
        super().__init__(*args, **options)
        own = [(name, label) for name, label in FIELDS.items() if names or name not in ("answered_by", "purpose")]
        metadata = [(METADATA + column, column) for column in columns]
        self.fields["field"].choices = [*own, (_("Metadata"), metadata)] if metadata else own  # type: ignore[attr-defined]


class ViewForm(HouseForm):
    name = forms.CharField(label=gettext_lazy("Name"), max_length=80)
    shared = forms.BooleanField(label=gettext_lazy("Everybody in the project sees it"), required=False)


class ChangeForm(HouseForm):
    """The value of one change. `kind` decides which field there is."""

    def __init__(self, kind: str, actor: Actor, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        value = self._field(kind, actor)
        if value is not None:
            self.fields["value"] = value
            value.widget.attrs.setdefault("class", "input")

    def _field(self, kind: str, actor: Actor) -> forms.Field | None:
        if kind == BulkEdit.Kind.PRIORITY:
            hint = gettext_lazy("0 to 9; 9 comes first.")
            return forms.IntegerField(label=gettext_lazy("Priority"), min_value=0, max_value=9, help_text=hint)
        if kind == BulkEdit.Kind.OVERLAP:
            hint = gettext_lazy("Answers per task. A task never goes below the answers it has.")
            return forms.IntegerField(label=gettext_lazy("Overlap"), min_value=1, max_value=64, help_text=hint)
        if kind == BulkEdit.Kind.BATCH:
            batches = Batch.objects.filter(project=actor.project).order_by("name").values_list("public_id", "name")
            choices = [("", _("none"))]
            return forms.ChoiceField(label=gettext_lazy("Batch"), choices=[*choices, *batches], required=False)
        if kind == BulkEdit.Kind.ASSIGN:
            return forms.ChoiceField(label=gettext_lazy("Kept for"), choices=_pools(actor), required=False)
        return None

    def value(self) -> Any:
        return self.cleaned_data.get("value") if self.cleaned_data.get("value") != "" else None


def _pools(actor: Actor) -> list[Any]:
    groups = Group.objects.filter(project=actor.project).values_list("public_id", "name")
    people = Actor.objects.filter(project=actor.project, membership__isnull=False).order_by("pseudonym")
    named = [(person.public_id, str(person)) for person in people[:500]]
    return [("", _("everybody")), (_("Groups"), list(groups)), (_("People"), named)]


class ImportForm(HouseForm):
    file = forms.FileField(
        label=gettext_lazy("File"), help_text=gettext_lazy("JSON lines, UTF-8: one task a line. It may be large.")
    )
    schema = forms.ChoiceField(label=gettext_lazy("What is asked"))
    question = forms.CharField(label=gettext_lazy("Question"), max_length=500, required=False)
    options = forms.CharField(
        label=gettext_lazy("Labels, one a line"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "dir": "auto"}),
        help_text=gettext_lazy("For new labels only."),
    )
    multiple = forms.BooleanField(label=gettext_lazy("More than one label may hold"), required=False)
    overlap = forms.IntegerField(
        label=gettext_lazy("Answers per task"),
        min_value=1,
        max_value=64,
        initial=1,
        help_text=gettext_lazy("By as many different people. A line may say otherwise."),
    )
    priority = forms.IntegerField(
        label=gettext_lazy("Priority"), min_value=0, max_value=9, initial=5, help_text=gettext_lazy("9 comes first.")
    )
    batch = forms.ChoiceField(label=gettext_lazy("Batch"), required=False)

    def __init__(self, actor: Actor, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        names = Schema.objects.filter(project=actor.project).order_by("name").values_list("name", flat=True).distinct()
        new = [("new:labels", _("new labels")), ("new:pairwise", _("a new comparison of two responses"))]
        known = [(f"old:{name}", name) for name in names]
        choices = [(_("As before"), known), (_("New"), new)] if known else new
        self.fields["schema"].choices = choices  # type: ignore[attr-defined]
        batches = Batch.objects.filter(project=actor.project).order_by("name").values_list("public_id", "name")
        self.fields["batch"].choices = [("", _("none")), *batches]  # type: ignore[attr-defined]

    def asks(self) -> dict[str, Any]:
        """What `schema_for` takes."""
        found = self.cleaned_data
        age, _colon, name = found["schema"].partition(":")
        if age == "old":
            return {"schema": name}
        labels = [line.strip() for line in found["options"].splitlines() if line.strip()]
        return {
            "template": name,
            "question": found["question"],
            "options": labels,
            "multiple": found["multiple"],
        }
