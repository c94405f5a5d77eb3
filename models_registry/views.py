"""The buttons of a model's page. Each is gate, form, one service, and back to the page with what happened."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from accounts.models import Actor
from accounts.selectors import get_member_for
from accounts.services import MANAGERS
from ground.errors import Invalid
from ground.forms import told
from models_registry import selectors, services
from models_registry.forms import MoveForm, VerdictForm
from models_registry.models import Alias, Deployment, ModelVersion

Deed = Callable[[HttpRequest, Actor, ModelVersion], str]


def button(deed: Deed) -> Callable[..., HttpResponse]:
    """A POST by a manager about one version. The deed returns the sentence for the next page; a refusal is one too."""

    @login_required
    @require_POST
    @wraps(deed)
    def pressed(request: HttpRequest, slug: str, version: str) -> HttpResponse:
        actor = get_member_for(request, slug, *MANAGERS)
        found = selectors.get_version_for(actor, version)
        with told(request):
            messages.success(request, deed(request, actor, found))
        return redirect("version", slug, found.public_id)

    return pressed


def _said(form: forms.Form) -> dict[str, str]:
    if not form.is_valid():
        raise Invalid(" ".join(f"{name}: {errors[0]}" for name, errors in form.errors.items()))
    return form.cleaned_data


@button
def judge(request: HttpRequest, actor: Actor, version: ModelVersion) -> str:
    """Record a verdict: from an evaluation, or said by a manager with a reason."""
    said = _said(VerdictForm(request.POST))
    evaluation = selectors.get_evaluation_for(actor, said["evaluation"]) if said["evaluation"] else None
    verdict = services.record_verdict(
        actor=actor,
        project=actor.project,
        evaluation=evaluation,
        version=version,
        outcome=said["outcome"],
        reason=said["reason"],
    )
    return _("Recorded: %s.") % verdict.get_outcome_display()


@button
def promote(request: HttpRequest, actor: Actor, version: ModelVersion) -> str:
    said = _said(form := MoveForm(request.POST))
    alias = services.move_alias(
        actor=actor,
        model=version.model,
        name=Alias.CHAMPION,
        version=version,
        verdict=selectors.get_verdict_for(actor, said["verdict"]) if said["verdict"] else None,
        expected_generation=form.cleaned_data["generation"],
        reason=said["reason"],
    )
    return _("%(alias)s is now %(version)s.") % {"alias": alias, "version": alias.version}


@button
def roll_back(request: HttpRequest, actor: Actor, version: ModelVersion) -> str:
    said = _said(form := MoveForm(request.POST))
    alias = selectors.get_alias_for(actor, version.model, Alias.CHAMPION)
    generation = form.cleaned_data["generation"]
    moved = services.roll_back(actor=actor, alias=alias, expected_generation=generation, reason=said["reason"])
    return _("%(alias)s is %(version)s again.") % {"alias": moved, "version": moved.version}


@button
def deploy(request: HttpRequest, actor: Actor, version: ModelVersion) -> str:
    backend = Deployment.Backend.TRANSFORMERS
    services.deploy(actor=actor, project=actor.project, backend=backend, version=version)
    return _("%s is starting behind the gateway.") % version


@button
def stop_serving(request: HttpRequest, actor: Actor, version: ModelVersion) -> str:
    wanted = selectors.deployments_of(actor.project).filter(version=version, wanted=True)
    for deployment in wanted:
        services.stop_deployment(actor=actor, deployment=deployment)
    return _("%s is no longer asked.") % version
