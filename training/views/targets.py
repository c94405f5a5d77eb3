"""The page of targets: those there are, and a new one by its kind."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from accounts.models import Role
from accounts.selectors import get_member_for
from accounts.services import MANAGERS, role_of
from ground.errors import DomainError
from ground.forms import told
from training import targets as services
from training.clusters import SHAPES
from training.engine.fields import describe
from training.forms.runs import dress, field_of
from training.models import Target


class TargetForm(forms.Form):
    """The settings of one kind, made from the plan's own."""

    name = forms.SlugField(max_length=80)

    def __init__(self, kind: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})
        self.fields["name"].label = _("Name")
        self.known = [row for row in describe(SHAPES[kind]) if row["name"] not in services.OURS]
        for row in self.known:
            is_lines = row["type"] == "list"
            self.fields[row["name"]] = _lines(row) if is_lines else field_of(row)
        for field in self.fields.values():
            dress(field)

    def settings(self) -> dict[str, Any]:
        """What differs from the defaults, after is_valid."""
        said = self.cleaned_data
        found = {
            row["name"]: said[row["name"]] for row in self.known if said[row["name"]] not in (None, "", row["default"])
        }
        if "hosts" in found:
            found["hosts"] = [" ".join(line.split()) for line in found["hosts"].splitlines() if line.strip()]
        return found

    def refuse(self, error: DomainError) -> None:
        """Each problem beside its field."""
        for name, text in (error.extra.get("problems") or {}).items():
            self.add_error(name if name in self.fields else None, text)
        if not self.errors:
            self.add_error(None, error.told)


def _lines(row: dict[str, Any]) -> forms.Field:
    return forms.CharField(
        label=_("Hosts"), help_text=_(row["help"]), required=False, widget=forms.Textarea(attrs={"rows": 3})
    )


@login_required
def targets(request: HttpRequest, slug: str) -> HttpResponse:
    actor = get_member_for(request, slug, *MANAGERS)
    kind = request.POST.get("kind") or request.GET.get("kind") or ""
    form = TargetForm(kind, request.POST or None) if kind in SHAPES else None
    if request.method == "POST" and form is not None and form.is_valid():
        try:
            made = services.create_target(
                actor=actor, project=actor.project, name=form.cleaned_data["name"], kind=kind, settings=form.settings()
            )
        except DomainError as error:
            form.refuse(error)
        else:
            messages.success(request, _("Runs may go to %s now.") % made)
            return redirect("targets", slug)
    context = {
        "project": actor.project, "place": "runs", "rows": list(services.targets_of(actor.project)), "form": form,
        "kind": kind, "label": Target.Kind(kind).label if form else "", "kinds": Target.Kind.choices,
        "is_owner": role_of(actor) == Role.OWNER,
    }  # fmt: skip
    return render(request, "training/targets.html", context, status=422 if form and form.errors else 200)


@login_required
@require_POST
def retire(request: HttpRequest, slug: str, target: str) -> HttpResponse:
    actor = get_member_for(request, slug, *MANAGERS)
    with told(request):
        services.retire_target(actor=actor, target=services.get_target_for(actor, target))
        messages.success(request, _("No new run goes there."))
    return redirect("targets", slug)
