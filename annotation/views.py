"""The labeling page and the small requests it sends."""

import json
import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.http import require_POST

from accounts.models import Actor
from accounts.selectors import get_member_for
from accounts.services import EVERYBODY
from annotation.data import Claim, ServedTask
from annotation.selectors import (
    answer_as_shown,
    current_guideline,
    done_by,
    get_annotation_for,
    get_slot_for,
    queue_counts,
    served,
    slot_ids_for,
)
from annotation.services import slots
from ground.errors import DomainError, Invalid

# The page speaks of the sides a and b; the queue's contract of first and second.
CHOICES = {"a": "first", "b": "second", "tie": "tie", "neither": "neither"}
SIDES = {choice: side for side, choice in CHOICES.items()}


View = Callable[..., HttpResponse]


def small_request(view: View) -> View:
    """A POST from the page's script: a lost session is 401 and an error is JSON, never a page."""

    @require_POST
    @wraps(view)
    def guarded(request: HttpRequest, slug: str, **parts: str) -> HttpResponse:
        if not request.user.is_authenticated:
            return JsonResponse({"code": "signed_out"}, status=401)
        try:
            return view(request, slug, **parts)
        except DomainError as error:
            return JsonResponse({"code": error.code, "detail": error.detail, "hint": error.hint}, status=error.status)

    return guarded


@login_required
def label(request: HttpRequest, slug: str) -> HttpResponse:
    """The task in hand, and the next one already in the page."""
    actor = get_member_for(request, slug, *EVERYBODY)
    first = slots.take_next(actor=actor)
    second = slots.take_next(actor=actor, holding=[first.slot_id]) if first else None
    guideline = current_guideline(actor.project)
    current = served(actor, first) if first else None
    counts = queue_counts(actor.project)
    done = done_by(actor)
    return render(
        request,
        "annotation/label.html",
        {
            "project": actor.project,
            "current": as_shown(current) if current else None,
            "upcoming": as_shown(served(actor, second)) if second else None,
            "question": current.questions[0]["text"] if current else "",
            "guideline": guideline,
            "done_count": done,
            "goal": done + counts["open"] + counts["leased"],
            "lease_seconds": settings.SLOT_LEASE_SECONDS,
            "urls": _urls(slug),
        },
    )


def _urls(slug: str) -> dict[str, str]:
    one = {name: reverse(f"label-{name}", args=[slug, "SLOT"]) for name in ("submit", "skip", "heartbeat", "draft")}
    return {**one, "undo": reverse("label-undo", args=[slug]), "page": reverse("label", args=[slug])}


def as_shown(slot: ServedTask, answer: dict[str, Any] | None = None) -> dict[str, Any]:
    """The slot as the template reads it: sides a and b."""
    return {
        "id": slot.id,
        "lease": slot.lease,
        "lease_expires": slot.lease_expires_at,
        "task": {
            "id": slot.task_id,
            "prompt": slot.prompt,
            "candidates": [
                {"side": side, "text": shown.text} for side, shown in zip("ab", slot.candidates, strict=True)
            ],
        },
        "answer": json.dumps(answer) if answer else "",
        "draft": json.dumps(slot.draft) if slot.draft else "",
    }


@small_request
def submit(request: HttpRequest, slug: str, slot: str) -> HttpResponse:
    actor = get_member_for(request, slug, *EVERYBODY)
    annotation, _claim = slots.submit_answer(
        actor=actor,
        slot=get_slot_for(actor, slot),
        token=_token(request),
        key=request.POST.get("key", ""),
        answers=_answers(request),
        seconds=_seconds(request),
    )
    answer = _next_article(request, actor)
    answer["X-Annotation"] = annotation.public_id
    answer["X-Surplus"] = "1" if annotation.surplus else ""
    return answer


@small_request
def undo(request: HttpRequest, slug: str) -> HttpResponse:
    actor = get_member_for(request, slug, *EVERYBODY)
    annotation = get_annotation_for(actor, request.POST.get("annotation", ""))
    claim = slots.undo(actor=actor, annotation=annotation)
    answer = _from_answers(answer_as_shown(actor, annotation))
    return _article(request, actor, claim, answer)


@small_request
def skip(request: HttpRequest, slug: str, slot: str) -> HttpResponse:
    actor = get_member_for(request, slug, *EVERYBODY)
    slots.skip(
        actor=actor, slot=get_slot_for(actor, slot), token=_token(request), reason=request.POST.get("reason", "")
    )
    return _next_article(request, actor)


@small_request
def heartbeat(request: HttpRequest, slug: str, slot: str) -> HttpResponse:
    actor = get_member_for(request, slug, *EVERYBODY)
    claim = slots.heartbeat(actor=actor, slot=get_slot_for(actor, slot), token=_token(request))
    return JsonResponse({"lease_expires": claim.expires_at.isoformat()})


@small_request
def draft(request: HttpRequest, slug: str, slot: str) -> HttpResponse:
    actor = get_member_for(request, slug, *EVERYBODY)
    saved = slots.save_draft(actor=actor, task=get_slot_for(actor, slot).task, answers=_json(request))
    return JsonResponse({"saved_at": saved.saved_at.isoformat()})


def _next_article(request: HttpRequest, actor: Actor) -> HttpResponse:
    holding = slot_ids_for(actor, request.POST.getlist("holding"))
    return _article(request, actor, slots.take_next(actor=actor, holding=holding))


def _article(
    request: HttpRequest, actor: Actor, claim: Claim | None, answer: dict[str, Any] | None = None
) -> HttpResponse:
    if claim is None:
        html = render_to_string("annotation/_empty.html", {"project": actor.project}, request)
    else:
        slot = as_shown(served(actor, claim), answer)
        html = render_to_string("annotation/_task_pairwise.html", {"slot": slot, "project": actor.project}, request)
    response = HttpResponse(html)
    response["X-Done-Count"] = str(done_by(actor))
    return response


def _token(request: HttpRequest) -> uuid.UUID:
    try:
        return uuid.UUID(request.POST.get("lease", ""))
    except ValueError as error:
        raise Invalid("lease: needs the token that came with the task") from error


def _json(request: HttpRequest) -> Any:
    try:
        return json.loads(request.POST.get("answer", ""))
    except (ValueError, RecursionError) as error:
        raise Invalid("answer: is not JSON") from error


def _seconds(request: HttpRequest) -> float | None:
    try:
        seconds = float(request.POST.get("seconds", ""))
    except ValueError:
        return None
    return seconds if 0 <= seconds <= 86_400 else None


def _answers(request: HttpRequest) -> dict[str, Any]:
    """The page's answer in the words of the queue's contract; what is wrong with it is found there."""
    said = _json(request)
    preference = said.get("preference") if isinstance(said, dict) else None
    if not isinstance(preference, dict):
        raise Invalid("answer.preference: is required")
    choice = preference.get("choice")
    return {
        "preference": {
            "choice": CHOICES.get(choice) if isinstance(choice, str) else choice,
            "strength": preference.get("strength"),
            "reason": said.get("reason") or "",
            "flags": said.get("flags") or [],
        }
    }


def _from_answers(answers: dict[str, Any]) -> dict[str, Any]:
    said = answers["preference"]
    preference = {"choice": SIDES[said["choice"]], "strength": said["strength"]}
    return {"preference": preference, "reason": said["reason"], "flags": said["flags"]}
