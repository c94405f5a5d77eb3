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
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from accounts.models import Actor
from accounts.selectors import get_member_for
from accounts.services import EVERYBODY
from annotation.data import Claim, ServedTask
from annotation.display import questions_of
from annotation.errors import Barred, SchemaChanged
from annotation.models import Annotation, Schema, Slot, Standing
from annotation.page_form import controls_html, controls_of, feedback_in_words, modules_of
from annotation.selectors.gold import feedback_on, standings_for, tells_at_once
from annotation.selectors.notes import unseen_answers
from annotation.selectors.queue import (
    answer_as_shown,
    current_guideline,
    done_by,
    get_annotation_for,
    get_slot_for,
    goal_of,
    served,
    slot_ids_for,
)
from annotation.selectors.reading import is_unread
from annotation.services import sensitive, slots
from annotation.showing import opens_turns, shown_fields, shown_turns, texts_to_correct
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
    shown = [as_shown(served(actor, claim)) for claim in (first, second) if claim]
    done, guideline = done_by(actor), current_guideline(actor.project)
    goal, and_more = goal_of(actor, done)
    return render(
        request,
        "annotation/label.html",
        {
            "project": actor.project,
            "shown": shown,
            "forms": [controls_of(slot["schema"], slot["questions"]) for slot in _one_of_each_schema(shown)],
            "modules": modules_of(shown[0]["questions"]) if shown else [],
            "barred": barred,
            "question": shown[0]["question"] if shown else "",
            "guideline": guideline,
            "guideline_changed": is_unread(actor, guideline),
            "sensitive": sensitive.standing_of(actor),
            "unseen_answers": unseen_answers(actor),
            "warned": [] if barred else standings_for(actor).filter(state=Standing.State.WARNED),
            "waits": tells_at_once(actor.project),
            "done_count": done,
            "goal": goal,
            "goal_and_more": and_more,
            "lease_seconds": settings.SLOT_LEASE_SECONDS,
            "urls": _urls(slug),
        },
    )


def _one_of_each_schema(shown: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return list({slot["schema"]: slot for slot in shown}.values())


def _take(actor: Actor, holding: list[int]) -> tuple[Claim | None, Barred | None]:
    try:
        return slots.take_next(actor=actor, holding=holding), None
    except Barred as barred:
        return None, barred


def _urls(slug: str) -> dict[str, str]:
    one = {
        name: reverse(f"label-{name}", args=[slug, "SLOT"])
        for name in ("submit", "skip", "unskip", "heartbeat", "draft", "again", "opened")
    }
    whole = {name: reverse(f"label-{name}", args=[slug]) for name in ("undo", "note", "read")}
    return {**one, **whole, "page": reverse("label", args=[slug])}


def as_shown(slot: ServedTask, answer: dict[str, Any] | None = None) -> dict[str, Any]:
    """The slot as `annotation/_task.html` reads it: fields with their words, candidates by position, no controls."""
    return {
        "id": slot.id,
        "schema": slot.schema,
        "questions": slot.questions,
        "layout": slot.layout,
        "open_turns": opens_turns(slot.questions),
        "sensitive": slot.sensitive,
        "lease": slot.lease,
        "lease_expires": slot.lease_expires_at,
        "question": slot.questions[0]["text"] if len(slot.questions) == 1 else "",
        "task": {
            "id": slot.task_id,
            "fields": shown_fields(slot.fields, slot.data, slot.questions),
            "turns": shown_turns(slot.prompt),
            "candidates": slot.candidates,
            "to_correct": texts_to_correct(
                slot.fields, slot.data, slot.questions, [one.text for one in slot.candidates]
            ),
        },
        "answer": json.dumps(answer) if answer else "",
        "draft": json.dumps(slot.draft) if slot.draft else "",
    }


@small_request
def submit(request: HttpRequest, slug: str, slot: str) -> HttpResponse:
    """Answer. What the author is told at once stands before the next task."""
    actor = get_member_for(request, slug, *EVERYBODY)
    row = get_slot_for(actor, slot)
    _refuse_other_schema(request, actor, row)
    annotation, _claim = slots.submit_answer(
        actor=actor,
        slot=row,
        token=_token(request),
        key=request.POST.get("key", ""),
        answers=posted_json(request),
        seconds=posted_seconds(request),
        schema=request.POST.get("schema", ""),
    )
    answer = _next_article(request, actor)
    told = feedback_on(annotation)
    if told is not None:
        shown = feedback_in_words(questions_of(row.task), told)
        answer.content = (
            render_to_string("annotation/_feedback.html", {"told": shown}, request).encode() + answer.content
        )
    answer["X-Annotation"] = annotation.public_id
    answer["X-Surplus"] = _why_surplus(annotation)
    return answer


def _refuse_other_schema(request: HttpRequest, actor: Actor, row: Slot) -> None:
    """Errors: SchemaChanged, where the page asked under another schema. A retry of an answer that was taken is none."""
    asked, (now, _body) = request.POST.get("schema"), Schema.known(row.task.schema_id)
    if asked and asked != now and not Annotation.objects.filter(actor=actor, key=request.POST.get("key", "")).exists():
        raise SchemaChanged(_("The questions of this task were changed while you had it open."))


def _why_surplus(annotation: Annotation) -> str:
    """`own`: the same person had answered the task already, in another tab for one."""
    if not annotation.surplus:
        return ""
    mine = Annotation.objects.filter(task=annotation.task_id, actor=annotation.actor_id, counted=True)
    return "own" if mine.exists() else "other"


@small_request
def undo(request: HttpRequest, slug: str) -> HttpResponse:
    actor = get_member_for(request, slug, *EVERYBODY)
    annotation = get_annotation_for(actor, request.POST.get("annotation", ""))
    claim = slots.undo(actor=actor, annotation=annotation)
    return _article(request, actor, claim, answer_as_shown(actor, annotation))


@small_request
def again(request: HttpRequest, slug: str, slot: str) -> HttpResponse:
    """A task that is still the actor's, as it stands now: after the server refused an answer, or the schema changed."""
    actor = get_member_for(request, slug, *EVERYBODY)
    return _article(request, actor, slots.heartbeat(actor=actor, slot=get_slot_for(actor, slot), token=_token(request)))


@small_request
def skip(request: HttpRequest, slug: str, slot: str) -> HttpResponse:
    actor = get_member_for(request, slug, *EVERYBODY)
    slots.skip(
        actor=actor, slot=get_slot_for(actor, slot), token=_token(request), reason=request.POST.get("reason", "")
    )
    return _next_article(request, actor)


@small_request
def unskip(request: HttpRequest, slug: str, slot: str) -> HttpResponse:
    """The task passed over last, back again."""
    actor = get_member_for(request, slug, *EVERYBODY)
    return _article(request, actor, slots.unskip(actor=actor, slot=get_slot_for(actor, slot)))


@small_request
def heartbeat(request: HttpRequest, slug: str, slot: str) -> HttpResponse:
    actor = get_member_for(request, slug, *EVERYBODY)
    row = get_slot_for(actor, slot)
    claim = slots.heartbeat(actor=actor, slot=row, token=_token(request))
    slots.keep_waiting(actor=actor, slot_ids=slot_ids_for(actor, request.POST.getlist("holding")))
    schema, _body = Schema.known(row.task.schema_id)
    return JsonResponse({"lease_expires": claim.expires_at.isoformat(), "schema": schema})


@small_request
def draft(request: HttpRequest, slug: str, slot: str) -> HttpResponse:
    actor = get_member_for(request, slug, *EVERYBODY)
    saved = slots.save_draft(actor=actor, task=get_slot_for(actor, slot).task, answers=posted_json(request))
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
        context = {"project": actor.project, "barred": barred, "sensitive": sensitive.standing_of(actor)}
        parts: list[str] = [render_to_string("annotation/_empty.html", context, request)]
    else:
        slot = as_shown(served(actor, claim), answer)
        known = slot["schema"] in request.POST.getlist("knows")
        parts = [] if known else [controls_html(slot["schema"], slot["questions"])]
        parts.append(render_to_string("annotation/_task.html", {"slot": slot, "project": actor.project}, request))
    response = HttpResponse("".join(parts))
    response["X-Done-Count"] = str(done_by(actor))
    return response


def _token(request: HttpRequest) -> uuid.UUID:
    try:
        return uuid.UUID(request.POST.get("lease", ""))
    except ValueError as error:
        raise Invalid("lease: needs the token that came with the task") from error


def posted_json(request: HttpRequest) -> Any:
    try:
        return json.loads(request.POST.get("answer", ""))
    except (ValueError, RecursionError) as error:
        raise Invalid("answer: is not JSON") from error


def posted_seconds(request: HttpRequest) -> float | None:
    try:
        seconds = float(request.POST.get("seconds", ""))
    except ValueError:
        return None
    return seconds if 0 <= seconds <= 86_400 else None
