"""The pages of models. They look at runs and at what people said, so they stand on the top floor; the registry's own
views do the writing."""

from __future__ import annotations

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
from ground.forms import told
from models_registry.models import Alias, AliasMove, Model, ModelVersion
from models_registry.selectors import get_evaluation_for, get_model_for, get_version_for, models_of
from training.models import Run
from training.pages import models as pages
from training.pages.labels import labels_of
from training.verdicts import record_verdict_of_people

MOST_MOVES = 12


@login_required
def models(request: HttpRequest, slug: str) -> HttpResponse:
    """Every model the project sees, its own first, each with its champion and newest versions."""
    actor = get_member_for(request, slug, *REVIEWERS)
    rows = models_of(actor.project).prefetch_related("versions", "aliases__version", "aliases__verdict")
    context = _frame(actor, rows=[_row(model) for model in rows])
    return render(request, "models_registry/models.html", context)


def _row(model: Model) -> dict[str, Any]:
    versions = sorted(model.versions.all(), key=lambda version: version.number)
    champion = next((alias for alias in model.aliases.all() if alias.name == Alias.CHAMPION), None)
    kinds = sorted({str(version.get_kind_display()) for version in versions})
    return {
        "model": model,
        "versions": len(versions),
        "newest": versions[-1] if versions else None,
        "kinds": ", ".join(kinds),
        "champion": champion,
    }


def _frame(actor: Actor, **more: Any) -> dict[str, Any]:
    return {"project": actor.project, "place": "models", "can_manage": role_of(actor) in MANAGERS, **more}


@login_required
def model(request: HttpRequest, slug: str, model: str) -> HttpResponse:
    """The model by its newest version: that is the one to decide about."""
    actor = get_member_for(request, slug, *REVIEWERS)
    found = get_model_for(actor, model)
    newest = found.versions.order_by("-number").first()
    if newest is None:
        return render(request, "models_registry/models.html", _frame(actor, rows=[_row(found)]))
    return _page(request, actor, get_version_for(actor, newest.public_id))


@login_required
def version(request: HttpRequest, slug: str, version: str) -> HttpResponse:
    actor = get_member_for(request, slug, *REVIEWERS)
    return _page(request, actor, get_version_for(actor, version))


def _page(request: HttpRequest, actor: Actor, found: ModelVersion) -> HttpResponse:
    manages = role_of(actor) in MANAGERS
    measured = pages.measured_of(found, actor.project)
    moves = AliasMove.objects.filter(alias__model=found.model).order_by("-pk")
    context = _frame(
        actor,
        version=found,
        model=found.model,
        run=Run.objects.filter(output=found, project=actor.project).select_related("snapshot").first(),
        aliases=list(found.aliases.all()),
        gate=pages.gate_of(found, actor.project, measured, manages=manages),
        measured=measured,
        labels=labels_of(found),
        chain=pages.chain_of(found),
        deployment=pages.deployment_of(found, actor.project),
        can_serve=found.kind == ModelVersion.Kind.CAUSAL,
        versions=pages.versions_with_marks(found.model.versions.all()),
        moves=moves.select_related("alias", "from_version__model", "to_version__model", "actor")[:MOST_MOVES],
        files=sorted(found.files.items()),
    )
    return render(request, "models_registry/model.html", context)


@login_required
@require_POST
def judge_by_people(request: HttpRequest, slug: str, version: str) -> HttpResponse:
    """Freeze what people said until now, and the verdict that follows."""
    actor = get_member_for(request, slug, *MANAGERS)
    found = get_version_for(actor, version)
    with told(request):
        evaluation = get_evaluation_for(actor, request.POST.get("evaluation", ""))
        verdict = record_verdict_of_people(actor=actor, evaluation=evaluation)
        messages.success(request, _("Recorded: %s.") % verdict.get_outcome_display())
    return redirect("version", slug, found.public_id)
