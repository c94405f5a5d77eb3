"""One's own work in calm numbers, and what one can bear."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from accounts.models import Actor
from accounts.selectors import get_member_for
from accounts.services import EVERYBODY, MANAGERS, role_of
from annotation.models import SensitiveChoice, SensitiveLimit
from annotation.selectors.own_work import own_work
from annotation.selectors.queue import get_slot_for
from annotation.services import sensitive
from annotation.views.label import small_request
from ground.errors import DomainError, Invalid


@login_required
def own(request: HttpRequest, slug: str) -> HttpResponse:
    actor = get_member_for(request, slug, *EVERYBODY)
    work = own_work(actor)
    worked = [day for day in work.days if day.answers]
    context = {"project": actor.project, "place": "work", "work": work, "worked": worked}
    return render(request, "annotation/own_work.html", context)


@login_required
def sensitive_settings(request: HttpRequest, slug: str) -> HttpResponse:
    """Whether one works on sensitive tasks here; for managers also how many of them anybody is handed."""
    actor = get_member_for(request, slug, *EVERYBODY)
    if request.method != "POST":
        return _page(request, actor)
    try:
        if "limit" in request.POST:
            sensitive.set_limit(actor=actor, per_hour=_number(request, "per_hour"), per_day=_number(request, "per_day"))
            messages.success(request, _("Saved. It holds from the next task that is handed out."))
        else:
            sensitive.choose(actor=actor, spared="spared" in request.POST)
            messages.success(request, _("Saved. Nobody is told, and it counts for nothing."))
    except DomainError as error:
        return _page(request, actor, error)
    return redirect("sensitive", slug)


def _number(request: HttpRequest, name: str) -> int | None:
    said = request.POST.get(name, "").strip()
    if not said:
        return None
    if not (said.isascii() and said.isdigit() and len(said) < 7):
        raise Invalid(_("%(name)s: is a number, or empty for no limit.") % {"name": name})
    return int(said)


def _page(request: HttpRequest, actor: Actor, error: DomainError | None = None) -> HttpResponse:
    context: dict[str, Any] = {
        "project": actor.project,
        "place": "work",
        "spared": SensitiveChoice.objects.filter(actor=actor, spared=True).exists(),
        "standing": sensitive.standing_of(actor),
        "limit": SensitiveLimit.objects.filter(project=actor.project).first(),
        "manages": role_of(actor) in MANAGERS,
        "error": error,
    }
    return render(request, "annotation/sensitive.html", context, status=error.status if error else 200)


@small_request
def opened(request: HttpRequest, slug: str, slot: str) -> HttpResponse:
    """The person asked to see a sensitive task."""
    actor = get_member_for(request, slug, *EVERYBODY)
    sensitive.open_task(actor=actor, task=get_slot_for(actor, slot).task)
    return JsonResponse({})
