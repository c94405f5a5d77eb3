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
from annotation.errors import Barred
from annotation.models import Standing
from annotation.page_answers import feedback_in_words, from_page, page_kind, questions_of, to_page
from annotation.selectors.gold import feedback_on, standings_for, tells_at_once
from annotation.selectors.queue import (
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
    """The task in hand, and the next one already in the page; or why there is none."""
    actor = get_member_for(request, slug, *EVERYBODY)
    first, barred = _take(actor, [])
    second = _take(actor, [first.slot_id])[0] if first else None
    current = as_shown(served(actor, first)) if first else None
    done = done_by(actor)
    return render(
        request,
        "annotation/label.html",
        {
            "project": actor.project,
            "current": current,
            "upcoming": as_shown(served(actor, second)) if second else None,
            "barred": barred,
            "question": current["question"] if current else "",
            "guideline": current_guideline(actor.project),
            "warned": [] if barred else standings_for(actor).filter(state=Standing.State.WARNED),
            "waits": tells_at_once(actor.project),
            "done_count": done,
            "goal": _goal(actor, done),
            "lease_seconds": settings.SLOT_LEASE_SECONDS,
            "urls": _urls(slug),
        },
    )


def _take(actor: Actor, holding: list[int]) -> tuple[Claim | None, Barred | None]:
    try:
        return slots.take_next(actor=actor, holding=holding), None
    except Barred as barred:
        return None, barred


def _goal(actor: Actor, done: int) -> int:
    """What is done and what waits. Gold moves neither this number nor what it stands beside apart: it would give itself away."""
    counts = queue_counts(actor.project)
    return max(done, done_by(actor, production=True) + counts["open"] + counts["leased"])


def _urls(slug: str) -> dict[str, str]:
    one = {name: reverse(f"label-{name}", args=[slug, "SLOT"]) for name in ("submit", "skip", "heartbeat", "draft")}
    return {**one, "undo": reverse("label-undo", args=[slug]), "page": reverse("label", args=[slug])}


def as_shown(slot: ServedTask, answer: dict[str, Any] | None = None) -> dict[str, Any]:
    """The slot as its template reads it: sides a and b, fields with their words."""
    kind = page_kind(slot.questions)
    return {
        "id": slot.id,
        "lease": slot.lease,
        "lease_expires": slot.lease_expires_at,
        "kind": kind,
        "template": f"annotation/_task_{kind}.html",
        "question": slot.questions[0]["text"],
        "asked": slot.questions[0],
        "task": {
            "id": slot.task_id,
            "fields": [{"text": field["text"], "value": slot.data[field["name"]]} for field in slot.fields],
            "prompt": slot.prompt,
            "candidates": [
                {"side": side, "text": shown.text} for side, shown in zip("ab", slot.candidates, strict=False)
            ],
        },
        "answer": json.dumps(answer) if answer else "",
        "draft": json.dumps(slot.draft) if slot.draft else "",
    }


@small_request
def submit(request: HttpRequest, slug: str, slot: str) -> HttpResponse:
    """Answer. What the author is told at once stands before the next task."""
    actor = get_member_for(request, slug, *EVERYBODY)
    row = get_slot_for(actor, slot)
    annotation, _claim = slots.submit_answer(
        actor=actor,
        slot=row,
        token=_token(request),
        key=request.POST.get("key", ""),
        answers=from_page(questions_of(row.task), _json(request)),
        seconds=_seconds(request),
    )
    answer = _next_article(request, actor)
    told = feedback_on(annotation)
    if told is not None:
        shown = feedback_in_words(questions_of(row.task), told)
        answer.content = (
            render_to_string("annotation/_feedback.html", {"told": shown}, request).encode() + answer.content
        )
    answer["X-Annotation"] = annotation.public_id
    answer["X-Surplus"] = "1" if annotation.surplus else ""
    return answer


@small_request
def undo(request: HttpRequest, slug: str) -> HttpResponse:
    actor = get_member_for(request, slug, *EVERYBODY)
    annotation = get_annotation_for(actor, request.POST.get("annotation", ""))
    claim = slots.undo(actor=actor, annotation=annotation)
    answer = to_page(questions_of(annotation.task), answer_as_shown(actor, annotation))
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
    slots.keep_waiting(actor=actor, slot_ids=slot_ids_for(actor, request.POST.getlist("holding")))
    return JsonResponse({"lease_expires": claim.expires_at.isoformat()})


@small_request
def draft(request: HttpRequest, slug: str, slot: str) -> HttpResponse:
    actor = get_member_for(request, slug, *EVERYBODY)
    saved = slots.save_draft(actor=actor, task=get_slot_for(actor, slot).task, answers=_json(request))
    return JsonResponse({"saved_at": saved.saved_at.isoformat()})


def _next_article(request: HttpRequest, actor: Actor) -> HttpResponse:
    claim, barred = _take(actor, slot_ids_for(actor, request.POST.getlist("holding")))
    return _article(request, actor, claim, barred=barred)


def _article(
    request: HttpRequest,
    actor: Actor,
    claim: Claim | None,
    answer: dict[str, Any] | None = None,
    barred: Barred | None = None,
) -> HttpResponse:
    if claim is None:
        context = {"project": actor.project, "barred": barred}
        html = render_to_string("annotation/_empty.html", context, request)
    else:
        slot = as_shown(served(actor, claim), answer)
        html = render_to_string(slot["template"], {"slot": slot, "project": actor.project}, request)
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
