"""The pages of batches."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from accounts.models import Actor
from accounts.selectors import get_member_for
from accounts.services import MANAGERS, REVIEWERS
from annotation.forms.queues import BatchForm
from annotation.models import Batch
from annotation.selectors import batches as reads
from annotation.services import batches as services
from annotation.views.queues import frame
from ground.errors import DomainError

PER_PAGE = 25
STATES = {Batch.State.RUNNING: "running", Batch.State.PAUSED: "paused", Batch.State.ARCHIVED: "archived"}
TURNS = {"pause": services.pause_batch, "resume": services.resume_batch, "archive": services.archive_batch}


@login_required
def batches(request: HttpRequest, slug: str) -> HttpResponse:
    """Running and paused batches; archived ones on their own list."""
    return _list(request, get_member_for(request, slug, *REVIEWERS))


def _list(request: HttpRequest, actor: Actor, form: BatchForm | None = None, status: int = 200) -> HttpResponse:
    put_away = request.GET.get("archived") == "1"
    rows = reads.batches_of(actor.project)
    archived = rows.filter(state=Batch.State.ARCHIVED)
    chosen = (archived if put_away else rows.exclude(state=Batch.State.ARCHIVED)).order_by("state", "due_on", "pk")
    page = Paginator(chosen, PER_PAGE).get_page(request.GET.get("page"))
    progress = reads.progress_of(page.object_list)
    context = {
        **frame(actor),
        "rows": [_shown(batch, progress[batch.pk]) for batch in page.object_list],
        "page": page,
        "put_away": put_away,
        "archived": archived.count(),
        "form": form or BatchForm(),
        **_pager(page, put_away),
    }
    return render(request, "annotation/batches.html", context, status=status)


def _pager(page: Any, put_away: bool) -> dict[str, Any]:
    more = "&archived=1" if put_away else ""
    return {
        "previous_url": f"?page={page.previous_page_number()}{more}" if page.has_previous() else "",
        "next_url": f"?page={page.next_page_number()}{more}" if page.has_next() else "",
    }


def _shown(batch: Batch, progress: reads.Progress) -> dict[str, Any]:
    forecast = reads.forecast_of(batch, progress)
    state = "complete" if progress.wanted and not progress.remaining else STATES[Batch.State(batch.state)]
    return {
        "batch": batch,
        "progress": progress,
        "state": state,
        "state_label": _("complete") if state == "complete" else batch.get_state_display(),
        "forecast": forecast,
        "sentence": reads.forecast_words(batch, progress, forecast),
        "short": reads.forecast_short(progress, forecast),
        "late": reads.is_late(batch, progress),
        "overshoot": services.overshoot(batch),
    }


@require_POST
@login_required
def batch_new(request: HttpRequest, slug: str) -> HttpResponse:
    actor = get_member_for(request, slug, *MANAGERS)
    form = BatchForm(request.POST)
    if not form.is_valid():
        return _list(request, actor, form, 422)
    try:
        batch = services.create_batch(actor=actor, **form.cleaned_data)
    except DomainError as error:
        form.refuse(error)
        return _list(request, actor, form, error.status)
    messages.success(
        request, _("The batch %s is there. Put tasks into it: import them, or choose them in Tasks.") % batch
    )
    return redirect("batch", slug, batch.public_id)


@login_required
def batch(request: HttpRequest, slug: str, batch: str) -> HttpResponse:
    """One batch: how far, how fast, till when; managers edit it here."""
    actor = get_member_for(request, slug, *(MANAGERS if request.method == "POST" else REVIEWERS))
    row = reads.get_batch_for(actor, batch)
    now = {"name": row.name, "note": row.note, "due_on": row.due_on, "budget": row.budget}
    if request.method != "POST":
        return _page(request, actor, row, BatchForm(initial=now))
    form = BatchForm(request.POST, initial=now)
    if not form.is_valid():
        return _page(request, actor, row, form, 422)
    try:
        over = services.edit_batch(actor=actor, batch=row, **form.cleaned_data)
    except DomainError as error:
        form.refuse(error)
        return _page(request, actor, row, form, error.status)
    messages.success(request, _("The batch is changed."))
    if over:
        messages.warning(request, _over(over))
    return redirect("batch", slug, row.public_id)


def _over(count: int) -> str:
    return (
        ngettext(
            "%d judgement beyond the budget was given already or is in somebody's hands. It is kept.",
            "%d judgements beyond the budget were given already or are in somebody's hands. They are kept.",
            count,
        )
        % count
    )


def _page(request: HttpRequest, actor: Actor, row: Batch, form: BatchForm, status: int = 200) -> HttpResponse:
    progress = reads.progress_of([row])[row.pk]
    shown = _shown(row, progress)
    chart = reads.burndown(row, progress, shown["forecast"])
    return render(
        request, "annotation/batch.html", {**frame(actor), **shown, "form": form, "chart": chart}, status=status
    )


@require_POST
@login_required
def batch_turn(request: HttpRequest, slug: str, batch: str, action: str) -> HttpResponse:
    """Pause, resume or archive."""
    actor = get_member_for(request, slug, *MANAGERS)
    row = reads.get_batch_for(actor, batch)
    try:
        TURNS[action](actor=actor, batch=row)
    except DomainError as error:
        messages.error(request, error.detail)
    else:
        messages.success(
            request, _("The batch %(name)s is %(state)s.") % {"name": row, "state": row.get_state_display()}
        )
    return redirect("batch", slug, row.public_id)
