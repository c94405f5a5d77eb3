"""The page of what preflight found, of a run and of a check of its own, and the start in spite of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from accounts.models import Actor
from accounts.selectors import get_member_for
from accounts.services import MANAGERS, REVIEWERS, role_of
from ground.errors import DomainError
from jobs.models import Job
from training import preflight, selectors, services
from training.pages import preflights as preflight_pages
from training.pages import runs as pages

STOP_POLLING = 286


@login_required
def check(request: HttpRequest, slug: str, job: str) -> HttpResponse:
    """A check of its own: it shows that it reads, then what it found."""
    actor = get_member_for(request, slug, *REVIEWERS)
    found = selectors.get_check_for(actor, job)
    context = _context(actor, found, preflight.folder_of(found))
    context |= {"polls": reverse("check", args=[slug, job]), "starts": reverse("check-start", args=[slug, job])}
    return _answer(request, context, over=found.is_final)


@login_required
def of_run(request: HttpRequest, slug: str, run: str) -> HttpResponse:
    actor = get_member_for(request, slug, *REVIEWERS)
    found = selectors.get_run_for(actor, run)
    context = _context(actor, found.job, Path(found.folder)) | {"run": found}
    context["polls"] = reverse("run-preflight", args=[slug, run])
    blocked = found.job.state == Job.State.FAILED and (found.job.error or {}).get("class") == "preflight_blocked"
    context["starts"] = reverse("run-preflight-start", args=[slug, run]) if blocked else ""
    return _answer(request, context, over=found.job.is_final or context["report"] is not None)


def _context(actor: Actor, job: Job, folder: Path) -> dict[str, Any]:
    report = preflight.report_in(folder) if job.is_final or job.kind != preflight.KIND else None
    shown = preflight_pages.shown(report) if report else None
    words = {"heading": preflight_pages.heading(job), "can_manage": role_of(actor) in MANAGERS}
    far = {} if report else preflight_pages.how_far(preflight.progress_in(folder))
    return {"project": actor.project, "place": "runs", "job": job, "report": report, "shown": shown, **words, **far}


def _answer(request: HttpRequest, context: dict[str, Any], *, over: bool) -> HttpResponse:
    context["over"] = over
    if getattr(request, "htmx", False):
        return render(request, "training/_preflight.html", context, status=STOP_POLLING if over else 200)
    return render(request, "training/preflight.html", context)


@login_required
@require_POST
def start_checked(request: HttpRequest, slug: str, job: str) -> HttpResponse:
    actor = get_member_for(request, slug, *MANAGERS)
    return _start(request, actor, selectors.get_check_for(actor, job), reverse("check", args=[slug, job]))


@login_required
@require_POST
def override(request: HttpRequest, slug: str, run: str) -> HttpResponse:
    actor = get_member_for(request, slug, *MANAGERS)
    found = selectors.get_run_for(actor, run)
    return _start(request, actor, found.job, reverse("run-preflight", args=[slug, run]))


def _start(request: HttpRequest, actor: Actor, job: Job, back: str) -> HttpResponse:
    try:
        run = services.start_checked(actor=actor, job=job, override=request.POST.get("reason", ""))
    except DomainError as error:
        messages.error(request, error.told)
        return redirect(back)
    messages.success(request, _("Run %d is queued.") % run.number)
    return redirect(pages.run_url(run))
