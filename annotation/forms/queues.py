"""Forms of the pages of queues, groups and batches."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import Actor, Project
from annotation.filters import OPS, check_conditions
from annotation.models import Group, Queue
from annotation.models.task import MOST_OVERLAP
from annotation.services.batches import LONGEST_NAME, LONGEST_NOTE, MOST_BUDGET
from ground.forms import HouseForm

PER_CENT = 100


def conditions_from(text: str) -> dict[str, Any]:
    """One condition a line: field, operator, value (JSON, or plain text). Raises ValueError with the line's number."""
    conditions = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            parts = line.split(None, 2)
            if len(parts) < 3:
                raise ValueError(_("Line %d: write a field, an operator and a value.") % number)
            condition = {"field": parts[0], "op": parts[1], "value": _value(parts[2].strip())}
            try:
                check_conditions({"schema_version": 1, "all": [condition]})
            except ValueError as error:
                raise ValueError(
                    _("Line %(n)d: %(what)s") % {"n": number, "what": str(error).replace("all[0].", "")}
                ) from error
            conditions.append(condition)
    return {"schema_version": 1, "all": conditions}


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def text_of(filter: dict[str, Any]) -> str:
    return "\n".join(f"{row['field']} {row['op']} {_written(row['value'])}" for row in filter["all"])


def _written(value: Any) -> str:
    plain = (
        isinstance(value, str)
        and value == value.strip()
        and "\n" not in value
        and value != ""
        and _value(value) == value
    )
    return str(value) if plain else json.dumps(value, ensure_ascii=False)


class ShareField(forms.FloatField):
    """A share, written in per cent."""

    def __init__(self, **options: Any) -> None:
        super().__init__(min_value=0, max_value=100, step_size=None, **options)

    def prepare_value(self, value: Any) -> Any:
        return f"{value * PER_CENT:g}" if isinstance(value, float) else value

    def clean(self, value: Any) -> Any:
        share = super().clean(value)
        return None if share is None else share / PER_CENT


def _switch(label: Any) -> forms.BooleanField:
    return forms.BooleanField(label=label, required=False)


class QueueForm(HouseForm):
    """Every setting of a queue. The main queue keeps its name and takes what no other takes."""

    PARTS = (
        ("tasks", gettext_lazy("Which tasks"), ("name", "position", "filter")),
        ("who", gettext_lazy("Who"), ("group", "reserved_group", "reserved_slots")),
        ("order", gettext_lazy("In which order"), ("order", "order_key", "descending", "breadth_first")),
        (
            "gold",
            gettext_lazy("Gold"),
            ("gold_rate", "judged_over", "warn_below", "pause_below", "block_below", "gold_feedback"),
        ),
        ("test", gettext_lazy("A test"), ("qualifies_for", "pass_after", "pass_share")),
        ("review", gettext_lazy("Review"), ("review_below", "review_rate", "review_flags")),
    )
    NOT_IN_MAIN = ("name", "filter", "qualifies_for", "pass_after", "pass_share")

    name = forms.SlugField(label=gettext_lazy("Name"), max_length=80)
    position = forms.IntegerField(
        label=gettext_lazy("Position"),
        min_value=0,
        max_value=32_767,
        help_text=gettext_lazy(
            "Low first. A task goes to the first queue it fits, and people are given its work first."
        ),
    )
    filter = forms.CharField(
        label=gettext_lazy("Conditions"),
        required=False,
        max_length=20_000,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 3, "dir": "ltr", "class": "mono"}),
        help_text=gettext_lazy(
            "One a line, all must hold: metadata.language eq de. Fields: batch, external_id, overlap, priority, schema, score, "
            "metadata.name. Operators: "
        )
        + ", ".join(OPS),
    )
    group = forms.ChoiceField(label=gettext_lazy("Who may work here"), required=False)
    reserved_group = forms.ChoiceField(label=gettext_lazy("Keep places of each task for"), required=False)
    reserved_slots = forms.IntegerField(
        label=gettext_lazy("Answers of each task kept for them"), min_value=0, max_value=MOST_OVERLAP, initial=0
    )
    order = forms.ChoiceField(label=gettext_lazy("Order"), choices=Queue.Order.choices)
    order_key = forms.CharField(
        label=gettext_lazy("Metadata value"),
        max_length=80,
        required=False,
        help_text=gettext_lazy(
            "For the order by a metadata value: numbers, ISO dates or texts. Tasks without it come last."
        ),
    )
    descending = _switch(gettext_lazy("Greatest value first"))
    breadth_first = _switch(gettext_lazy("Every task's first answer before any task's second"))
    gold_rate = ShareField(label=gettext_lazy("Share of gold tasks (%)"))
    judged_over = forms.IntegerField(label=gettext_lazy("Latest gold answers looked at"), min_value=1, max_value=1000)
    warn_below = ShareField(label=gettext_lazy("Warn below (% right)"), required=False)
    pause_below = ShareField(label=gettext_lazy("Pause below (% right)"), required=False)
    block_below = ShareField(label=gettext_lazy("Block below (% right)"), required=False)
    gold_feedback = _switch(gettext_lazy("Say at once whether a gold answer was right"))
    qualifies_for = forms.ChoiceField(
        label=gettext_lazy("Whoever passes joins"),
        required=False,
        help_text=gettext_lazy("Makes this queue a test: it hands out gold alone."),
    )
    pass_after = forms.IntegerField(label=gettext_lazy("Gold answers in the test"), min_value=1, max_value=1000)
    pass_share = ShareField(label=gettext_lazy("Of them right to pass (%)"))
    review_below = ShareField(label=gettext_lazy("Review when agreement is below (%)"), required=False)
    review_rate = ShareField(label=gettext_lazy("Review this share anyhow (%)"))
    review_flags = _switch(gettext_lazy("Review what somebody flagged"))

    def __init__(self, *args: Any, project: Project, queue: Queue | None = None, **options: Any) -> None:
        self.project, self.queue = project, queue or Queue(project=project)
        super().__init__(*args, **{"initial": self._now(), **options})
        for name in ("group", "reserved_group", "qualifies_for"):
            none = _("everybody") if name == "group" else _("no group")
            groups = [(group.public_id, str(group)) for group in Group.objects.filter(project=project)]
            self.fields[name].choices = [("", none), *groups]  # type: ignore[attr-defined]
        if self.is_main:
            for name in self.NOT_IN_MAIN:
                del self.fields[name]

    @property
    def is_main(self) -> bool:
        return self.queue.pk is not None and self.queue.name == Queue.MAIN

    def _now(self) -> dict[str, Any]:
        queue = self.queue
        now = {name: getattr(queue, name) for _part, _label, names in self.PARTS for name in names}
        for name in ("group", "reserved_group", "qualifies_for"):
            now[name] = now[name].public_id if now[name] else ""
        for name, field in self.base_fields.items():
            if isinstance(field, ShareField) and now[name] is not None:
                now[name] = float(now[name])
        return {**now, "filter": text_of(queue.filter)}

    def clean_filter(self) -> dict[str, Any]:
        try:
            return conditions_from(self.cleaned_data["filter"])
        except ValueError as error:
            raise forms.ValidationError(str(error)) from error

    def settings(self) -> dict[str, Any]:
        """What the services want."""
        asked = dict(self.cleaned_data)
        groups = {group.public_id: group for group in Group.objects.filter(project=self.project)}
        for name in ("group", "reserved_group", "qualifies_for"):
            if name in asked:
                asked[name] = groups.get(asked[name])
        return asked

    def parts(self) -> Iterable[dict[str, Any]]:
        for name, label, fields in self.PARTS:
            bound = [self[field] for field in fields if field in self.fields]
            if bound:
                yield {"name": name, "label": label, "fields": bound}


class BatchForm(HouseForm):
    name = forms.CharField(label=gettext_lazy("Name"), max_length=LONGEST_NAME)
    due_on = forms.DateField(
        label=gettext_lazy("Due"), required=False, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )
    budget = forms.IntegerField(
        label=gettext_lazy("Budget"),
        required=False,
        min_value=0,
        max_value=MOST_BUDGET,
        help_text=gettext_lazy("Judgements to collect at most. Empty: as many as its tasks want."),
    )
    note = forms.CharField(
        label=gettext_lazy("Note"),
        required=False,
        max_length=LONGEST_NOTE,
        widget=forms.Textarea(attrs={"rows": 2, "dir": "auto"}),
    )


class GroupForm(HouseForm):
    name = forms.CharField(label=gettext_lazy("Name"), max_length=80)
    kind = forms.ChoiceField(label=gettext_lazy("Kind"), choices=Group.Kind.choices)


class MemberForm(HouseForm):
    """Adds somebody to a group; `people` are those who are not in it."""

    actor = forms.ChoiceField(label=gettext_lazy("Person"))

    def __init__(self, *args: Any, people: Iterable[Actor], **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["actor"].choices = [(row.public_id, str(row)) for row in people]  # type: ignore[attr-defined]
