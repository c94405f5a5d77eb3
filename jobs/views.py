"""The page of webhooks: those there are, a new one, and what was delivered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from accounts.models import Actor, Role
from accounts.selectors import get_member_for
from accounts.services import MANAGERS, role_of
from ground.errors import DomainError
from jobs import notices
from jobs import webhooks as services
from jobs.forms import WebhookForm
from jobs.models import Delivery, Webhook

SHOWN = 30


@login_required
def webhooks(request: HttpRequest, slug: str) -> HttpResponse:
    """The answer to the request that makes one shows its secret; nothing else ever does."""
    actor = get_member_for(request, slug, *MANAGERS)
    form = WebhookForm(request.POST or None, initial={"events": list(notices.events())})
    made: Webhook | None = None
    if request.method == "POST" and form.is_valid():
        try:
            made = services.create_webhook(actor=actor, **form.cleaned_data)
            form = WebhookForm(initial={"events": list(notices.events())})
        except DomainError as error:
            form.refuse(error)
    answer = render(request, "jobs/webhooks.html", _context(actor, form, made), status=_status(form, made))
    answer["Cache-Control"] = "no-store"
    return answer


def _status(form: WebhookForm, made: Webhook | None) -> int:
    return 201 if made else 422 if form.errors else 200


def _context(actor: Actor, form: WebhookForm, made: Webhook | None) -> dict[str, Any]:
    assert actor.project is not None
    words = {**notices.events(), notices.TEST: _("test")}
    rows = list(services.deliveries_of(actor.project)[:SHOWN])
    return {
        "project": actor.project,
        "place": "settings",
        "hooks": [
            {"hook": hook, "events": [words.get(name, name) for name in hook.events]}
            for hook in services.webhooks_of(actor.project)
        ],
        "deliveries": [{"row": row, "event": words.get(row.event, row.event), "kind": _kind(row)} for row in rows],
        "form": form,
        "made": made,
        "is_owner": role_of(actor) == Role.OWNER,
    }


def _kind(row: Delivery) -> str:
    return {Delivery.State.DELIVERED: "good", Delivery.State.FAILED: "bad"}.get(Delivery.State(row.state), "wait")


@require_POST
@login_required
def pause(request: HttpRequest, slug: str, webhook: str) -> HttpResponse:
    def change(actor: Actor) -> str:
        found = services.get_webhook_for(actor, webhook)
        paused = services.change_webhook(actor=actor, webhook=found, paused=not found.paused).paused
        return _("It is told nothing until it goes on.") if paused else _("It is told what happens again.")

    return _done(request, slug, change)


@require_POST
@login_required
def remove(request: HttpRequest, slug: str, webhook: str) -> HttpResponse:
    def change(actor: Actor) -> str:
        services.retire_webhook(actor=actor, webhook=services.get_webhook_for(actor, webhook))
        return _("It is told nothing more.")

    return _done(request, slug, change)


@require_POST
@login_required
def test(request: HttpRequest, slug: str, webhook: str) -> HttpResponse:
    def change(actor: Actor) -> str:
        services.send_test(actor=actor, webhook=services.get_webhook_for(actor, webhook))
        return _("A test is on its way. Below it says how it went, after some seconds.")

    return _done(request, slug, change)


@require_POST
@login_required
def resend(request: HttpRequest, slug: str, delivery: str) -> HttpResponse:
    def change(actor: Actor) -> str:
        services.resend(actor=actor, delivery=services.get_delivery_for(actor, delivery))
        return _("It is sent again under the same id.")

    return _done(request, slug, change)


def _done(request: HttpRequest, slug: str, change: Callable[[Actor], str]) -> HttpResponse:
    try:
        messages.success(request, change(get_member_for(request, slug, *MANAGERS)))
    except DomainError as error:
        if error.status in (403, 404):
            raise
        messages.error(request, error.told)
    return redirect("webhooks", slug)
