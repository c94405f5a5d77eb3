"""One's own answers: the list, one of them as it was, and changing it while that is allowed."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode

from accounts.models import Actor
from accounts.selectors import get_member_for
from accounts.services import EVERYBODY
from annotation.page_form import controls_of, modules_of
from annotation.selectors import history
from annotation.services.editing import replace_answer, why_fixed
from annotation.views.label import as_shown, posted_json, posted_seconds, small_request
from ground.errors import DomainError


@login_required
def answers(request: HttpRequest, slug: str) -> HttpResponse:
    actor = get_member_for(request, slug, *EVERYBODY)
    error = None
    try:
        asked = history.asked_from(request.GET)
    except DomainError as refused:
        asked, error = history.Asked(), refused
    rows, following = history.page_of(history.own_answers(actor, asked), before=request.GET.get("before", ""))
    filters = {name: str(value) for name, value in request.GET.items() if name != "before" and value}
    context = {
        "project": actor.project,
        "place": "work",
        "answers": history.listed(actor, rows),
        "asked": asked,
        "filtered": bool(filters),
        "states": history.STATES,
        "first_url": f"?{urlencode(filters)}" if request.GET.get("before") else "",
        "next_url": f"?{urlencode({**filters, 'before': following})}" if following else "",
        "error": error,
    }
    return render(request, "annotation/own_answers.html", context, status=error.status if error else 200)


@login_required
def answer(request: HttpRequest, slug: str, annotation: str) -> HttpResponse:
    """In the same rendering as when it was given, its controls filled and out of use until somebody changes them."""
    actor = get_member_for(request, slug, *EVERYBODY)
    row = history.get_own_answer(actor, annotation)
    slot = as_shown(history.opened(actor, row), history.opened(actor, row).answer)
    [listed] = history.listed(actor, [row])
    return render(
        request,
        "annotation/own_answer.html",
        {
            "project": actor.project,
            "slot": slot,
            "listed": listed,
            "fixed": why_fixed(row),
            "form": controls_of(slot["schema"], slot["questions"]),
            "modules": modules_of(slot["questions"]),
            "replace_url": reverse("own-answer-replace", args=[slug, row.public_id]),
            "back_url": reverse("own-answers", args=[slug]),
        },
    )


@small_request
def replace(request: HttpRequest, slug: str, annotation: str) -> HttpResponse:
    actor: Actor = get_member_for(request, slug, *EVERYBODY)
    new = replace_answer(
        actor=actor,
        annotation=history.get_own_answer(actor, annotation),
        key=request.POST.get("key", ""),
        answers=posted_json(request),
        seconds=posted_seconds(request),
    )
    said: dict[str, Any] = {"id": new.public_id, "url": reverse("own-answer", args=[slug, new.public_id])}
    return JsonResponse(said, status=201)
