"""Files of tasks: sent, watched while they are read, and what was wrong with their lines."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from accounts.models import Actor
from accounts.selectors import get_member_for
from accounts.services import MANAGERS, REVIEWERS, role_of
from annotation.forms.tasks import ImportForm
from annotation.selectors import tasks as reads
from annotation.services import adding, importing
from ground.errors import DomainError
from ground.forms import told

LATEST = 20
STOP_POLLING = 286


@login_required
def imports(request: HttpRequest, slug: str) -> HttpResponse:
    """Managers send files; everybody who reviews sees how far they are."""
    if request.method != "POST":
        actor = get_member_for(request, slug, *REVIEWERS)
        return _page(request, actor, _form(request, actor) if role_of(actor) in MANAGERS else None)
    actor = get_member_for(request, slug, *MANAGERS)
    form = ImportForm(actor, request.POST, request.FILES)
    if not form.is_valid():
        return _page(request, actor, form, status=422)
    asked = form.cleaned_data
    try:
        importing.start_import(
            actor=actor,
            blocks=asked["file"].chunks(),
            schema=adding.schema_for(actor=actor, **form.asks()),
            filename=asked["file"].name or "",
            overlap=asked["overlap"],
            priority=asked["priority"],
            batch=adding.batch_named(actor, asked["batch"]),
        )
    except DomainError as error:
        form.refuse(error)
        return _page(request, actor, form, status=error.status)
    messages.success(request, _("The file is here; its lines are being read."))
    return redirect("imports", slug)


def _form(request: HttpRequest, actor: Actor) -> ImportForm:
    """Empty, but for the schema that the address names."""
    named = request.GET.get("schema", "")
    return ImportForm(actor, initial={"schema": f"old:{named}"} if named else None)


def _page(request: HttpRequest, actor: Actor, form: ImportForm | None, status: int = 200) -> HttpResponse:
    context = {**_now(actor), "form": form, "wrong_form": bool(form and form.errors)}
    return render(request, "annotation/imports.html", context, status=status)


def _now(actor: Actor) -> dict[str, Any]:
    rows = list(reads.imports_of(actor.project).order_by("-pk")[:LATEST])
    found = [(row, reads.import_json(row), reads.first_errors(row)) for row in rows]
    return {
        "project": actor.project,
        "place": "queue",
        "manages": role_of(actor) in MANAGERS,
        "imports": found,
        "working": any(said["state"] in ("queued", "running") for _row, said, _errors in found),
    }


@login_required
def imports_now(request: HttpRequest, slug: str) -> HttpResponse:
    """The list while a file is being read; 286 tells htmx to ask no more."""
    found = _now(get_member_for(request, slug, *REVIEWERS))
    status = 200 if found["working"] else STOP_POLLING
    return render(request, "annotation/_imports.html", found, status=status)


@require_POST
@login_required
def import_action(request: HttpRequest, slug: str, row: str, action: str) -> HttpResponse:
    """Cancel one that is being read, or go on with one that stopped."""
    actor = get_member_for(request, slug, *MANAGERS)
    act = importing.cancel_import if action == "cancel" else importing.resume_import
    with told(request):
        act(actor=actor, row=reads.get_import_for(actor, row))
    return redirect("imports", slug)
