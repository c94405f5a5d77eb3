"""Notes to the managers: everybody's own with their answers; a manager's all."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from accounts.models import Actor
from accounts.selectors import get_member_for
from accounts.services import EVERYBODY, MANAGERS
from annotation.models import Task
from annotation.selectors import notes as selectors
from annotation.selectors.reviews import get_task_for
from annotation.services import notes as services
from annotation.views.label import small_request
from ground.errors import DomainError
from ground.ids import new_public_id

PAGE = 30
STATES = ("open", "answered")


@small_request
def write(request: HttpRequest, slug: str) -> HttpResponse:
    """From the labeling page, maybe long after it was written: a retry carries the same key."""
    actor = get_member_for(request, slug, *EVERYBODY)
    note = services.write_note(
        actor=actor, text=request.POST.get("text", ""), key=request.POST.get("key", ""), task=_task(request, actor)
    )
    return JsonResponse({"id": note.public_id}, status=201)


def _task(request: HttpRequest, actor: Actor) -> Task | None:
    named = request.POST.get("task", "")
    return get_task_for(actor, named) if named else None


@login_required
def own_notes(request: HttpRequest, slug: str) -> HttpResponse:
    """What one wrote, newest first, and a box for more. Opening it marks the answers as seen."""
    actor = get_member_for(request, slug, *EVERYBODY)
    error = None
    if request.method == "POST":
        try:
            services.write_note(actor=actor, text=request.POST.get("text", ""), key=request.POST.get("key", ""))
        except DomainError as refused:
            error = refused
        else:
            messages.success(request, _("Your note is with the managers."))
            return redirect("own-notes", slug)
    rows, following = _page(request, selectors.notes_by(actor))
    unseen = [note.pk for note in rows if note.answered_at and not note.seen_at]
    services.mark_seen(actor=actor)
    context = _context(actor, rows, following, "work", error)
    return _rendered(request, "annotation/own_notes.html", {**context, "unseen": unseen, "key": new_public_id("key")})


@login_required
def notes(request: HttpRequest, slug: str) -> HttpResponse:
    """A manager's: open ones first come first."""
    actor = get_member_for(request, slug, *MANAGERS)
    return _notes(request, actor)


def _notes(request: HttpRequest, actor: Actor, error: DomainError | None = None, refused: str = "") -> HttpResponse:
    state = request.GET.get("state", "open")
    rows, following = _page(request, selectors.notes_of(actor.project, state=state if state in STATES else ""))
    more = {
        "state": state,
        "open_count": selectors.open_notes(actor.project),
        "refused": refused,
        "typed": request.POST.get("text", "") if refused else "",
    }
    return _rendered(request, "annotation/notes.html", {**_context(actor, rows, following, "queue", error), **more})


@require_POST
@login_required
def answer(request: HttpRequest, slug: str, note: str) -> HttpResponse:
    actor = get_member_for(request, slug, *MANAGERS)
    found = selectors.get_note_for(actor, note)
    try:
        services.answer_note(actor=actor, note=found, text=request.POST.get("text", ""))
    except DomainError as error:
        return _notes(request, actor, error, found.public_id)
    messages.success(request, _("%(who)s reads your answer on their next look.") % {"who": found.author})
    return redirect("notes", slug)


def _page(request: HttpRequest, rows: Any) -> tuple[list[Any], str]:
    asked = request.GET.get("page", "")
    page = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 5 else 0
    found = list(rows[page * PAGE : (page + 1) * PAGE + 1])
    return found[:PAGE], str(page + 1) if len(found) > PAGE else ""


def _context(actor: Actor, rows: list[Any], following: str, place: str, error: DomainError | None) -> dict[str, Any]:
    return {"project": actor.project, "place": place, "notes": rows, "following": following, "error": error}


def _rendered(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    error = context["error"]
    return render(request, template, context, status=error.status if error else 200)
