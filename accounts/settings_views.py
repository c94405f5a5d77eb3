"""A project's settings: who works here, and the tokens that programs carry."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Case, QuerySet, When
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from accounts import services
from accounts.models import Actor, ApiToken, Role, User
from accounts.selectors import get_member_for
from accounts.services import EVERYBODY, MANAGERS, role_of
from accounts.settings_forms import MemberForm, SimulatedForm, TokenForm
from ground.errors import DomainError, Invalid, NotFound


@login_required
def settings(request: HttpRequest, slug: str) -> HttpResponse:
    return page(request, get_member_for(request, slug, *EVERYBODY))


@require_POST
@login_required
def add_member(request: HttpRequest, slug: str) -> HttpResponse:
    """The role of a member, new or not."""
    actor = get_member_for(request, slug, *MANAGERS)
    form = MemberForm(request.POST, actor=actor)
    if not form.is_valid():
        return page(request, actor, member_form=form)
    try:
        user = _person(form.cleaned_data["email"])
        member = services.add_member(actor=actor, user=user, role=form.cleaned_data["role"])
    except DomainError as error:
        form.refuse(error)
        return page(request, actor, member_form=form)
    messages.success(
        request, _("%(name)s is %(role)s here.") % {"name": member, "role": Role(form.cleaned_data["role"]).label}
    )
    return redirect("settings", slug)


def _person(email: str) -> User:
    user = User.objects.filter(email=email.lower()).first()
    if user is None:
        raise Invalid(
            _("Nobody signs in as %(email)s.") % {"email": email},
            hint=_("An operator adds people: manage.py add_person."),
        )
    return user


@require_POST
@login_required
def add_simulated(request: HttpRequest, slug: str) -> HttpResponse:
    actor = get_member_for(request, slug, *MANAGERS)
    form = SimulatedForm(request.POST)
    if not form.is_valid():
        return page(request, actor, simulated_form=form)
    name = form.cleaned_data["pseudonym"]
    services.add_simulated_annotator(actor=actor, external_id=name, pseudonym=name)
    messages.success(request, _("%s may label, marked as simulated. Give it a token next.") % name)
    return redirect("settings", slug)


@require_POST
@login_required
def issue_token(request: HttpRequest, slug: str) -> HttpResponse:
    """The answer to this very request shows the secret; nothing else ever does."""
    actor = get_member_for(request, slug, *EVERYBODY)
    form = TokenForm(request.POST, subjects=subjects_for(actor))
    if not form.is_valid():
        return page(request, actor, token_form=form)
    asked = form.cleaned_data
    subject = next(row for row in subjects_for(actor) if row.public_id == asked["actor"])
    try:
        token, secret = services.issue_token(
            actor=actor, subject=subject, name=asked["name"], scopes=asked["scopes"], expires_at=form.expires_at()
        )
    except DomainError as error:
        form.refuse(error)
        return page(request, actor, token_form=form)
    answer = page(request, actor, issued={"token": token, "secret": secret})
    answer.status_code = 201
    return answer


@require_POST
@login_required
def revoke_token(request: HttpRequest, slug: str, token: str) -> HttpResponse:
    actor = get_member_for(request, slug, *EVERYBODY)
    row = tokens_for(actor).filter(public_id=token).first()
    if row is None:
        raise NotFound(_("There is no such token here."))
    services.revoke_token(actor=actor, token=row)
    messages.success(request, _("The token %s is refused from now on.") % row.name)
    return redirect("settings", slug)


def page(request: HttpRequest, actor: Actor, **more: Any) -> HttpResponse:
    """The whole page; a refused form comes back with what was typed, under 422. Never kept by a cache: it may show a secret."""
    context = {
        "project": actor.project,
        "place": "settings",
        "manages": role_of(actor) in MANAGERS,
        "me": actor,
        "members": members_of(actor, Actor.Kind.PERSON),
        "simulated": members_of(actor, Actor.Kind.SIMULATED),
        "tokens": tokens_for(actor).filter(revoked_at=None),
        "revoked": tokens_for(actor).exclude(revoked_at=None).count(),
        "member_form": MemberForm(actor=actor),
        "simulated_form": SimulatedForm(),
        "token_form": TokenForm(subjects=subjects_for(actor)),
        **more,
    }
    answer = render(request, "accounts/settings.html", context, status=422 if more else 200)
    answer["Cache-Control"] = "no-store"
    return answer


def members_of(actor: Actor, kind: str) -> QuerySet[Actor]:
    """Who works here, owners first. To annotators and reviewers the list shows only themselves."""
    rows = Actor.objects.filter(project=actor.project, kind=kind, membership__isnull=False)
    rank = Case(*(When(membership__role=role, then=place) for place, role in enumerate(Role.values)), default=9)
    rows = rows.select_related("membership", "user").order_by(rank, "pseudonym", "pk")
    return rows if role_of(actor) in MANAGERS else rows.filter(pk=actor.pk)


def subjects_for(actor: Actor) -> list[Actor]:
    """For whom this actor may issue a token, oneself first."""
    if role_of(actor) not in MANAGERS:
        return [actor]
    others = Actor.objects.filter(project=actor.project, membership__isnull=False).exclude(pk=actor.pk)
    return [actor, *others.select_related("project", "membership").order_by("kind", "pseudonym", "pk")]


def tokens_for(actor: Actor) -> QuerySet[ApiToken]:
    rows = ApiToken.objects.filter(project=actor.project).select_related("actor", "project").order_by("-pk")
    return rows if role_of(actor) in MANAGERS else rows.filter(actor=actor)
