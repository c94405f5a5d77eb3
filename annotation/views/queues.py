"""The pages of queues and of groups of people."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from accounts.models import Actor
from accounts.selectors import get_member_for
from accounts.services import MANAGERS, REVIEWERS, role_of
from annotation.forms.queues import GroupForm, MemberForm, QueueForm, text_of
from annotation.models import Group, Queue
from annotation.router import main_queue
from annotation.selectors import queues as reads
from annotation.services import groups as group_services
from annotation.services import queues as services
from ground.errors import DomainError, NotFound

STATES = {Queue.State.RUNNING: "running", Queue.State.PAUSED: "paused", Queue.State.ARCHIVED: "archived"}
TURNS = {"pause": services.pause_queue, "resume": services.resume_queue, "archive": services.archive_queue}


def frame(actor: Actor) -> dict[str, Any]:
    return {"project": actor.project, "place": "queue", "manages": role_of(actor) in MANAGERS}


@login_required
def queues(request: HttpRequest, slug: str) -> HttpResponse:
    """Every queue in the order in which it is served, archived ones last."""
    actor = get_member_for(request, slug, *REVIEWERS)
    main_queue(actor.project)
    loads = reads.load_of(actor.project)
    rows = [_shown(queue, loads.get(queue.pk, reads.Load())) for queue in reads.queues_of(actor.project)]
    context = {
        **frame(actor),
        "rows": [row for row in rows if row["queue"].state != Queue.State.ARCHIVED],
        "archived": [row for row in rows if row["queue"].state == Queue.State.ARCHIVED],
        "refiling": reads.refiling_of(actor.project),
    }
    return render(request, "annotation/queues.html", context)


def _shown(queue: Queue, load: reads.Load) -> dict[str, Any]:
    return {
        "queue": queue,
        "state": STATES[Queue.State(queue.state)],
        "load": load,
        "conditions": text_of(queue.filter).splitlines(),
        "warnings": reads.warnings_of(queue),
    }


@login_required
def queue_new(request: HttpRequest, slug: str) -> HttpResponse:
    actor = get_member_for(request, slug, *MANAGERS)
    form = QueueForm(request.POST or None, project=actor.project)
    if request.method != "POST":
        return _queue_page(request, actor, form)
    if not form.is_valid():
        return _queue_page(request, actor, form, status=422)
    try:
        queue = services.create_queue(actor=actor, **form.settings())
    except DomainError as error:
        form.refuse(error)
        return _queue_page(request, actor, form, status=error.status)
    messages.success(request, _("The queue %s is there. Waiting tasks that fit it are moved into it now.") % queue)
    return redirect("queues", slug)


@login_required
def queue_settings(request: HttpRequest, slug: str, queue: str) -> HttpResponse:
    actor = get_member_for(request, slug, *MANAGERS)
    row = reads.get_queue_by_id_for(actor, queue)
    form = QueueForm(request.POST or None, project=actor.project, queue=row)
    if request.method != "POST":
        return _queue_page(request, actor, form, queue=row)
    if not form.is_valid():
        return _queue_page(request, actor, form, queue=row, status=422)
    try:
        files = services.update_queue(actor=actor, queue=row, **form.settings())
    except DomainError as error:
        form.refuse(error)
        return _queue_page(request, actor, form, queue=row, status=error.status)
    moved = _("Waiting tasks are filed anew; people go on working meanwhile.") if files else ""
    messages.success(request, " ".join([_("The queue %s is changed.") % row, moved]).strip())
    return redirect("queues", slug)


def _queue_page(
    request: HttpRequest, actor: Actor, form: QueueForm, *, queue: Queue | None = None, status: int = 200
) -> HttpResponse:
    context = {**frame(actor), "form": form, "queue": queue, "state": STATES[Queue.State(queue.state)] if queue else ""}
    return render(request, "annotation/queue_settings.html", context, status=status)


@require_POST
@login_required
def queue_turn(request: HttpRequest, slug: str, queue: str, action: str) -> HttpResponse:
    """Pause, resume or archive."""
    actor = get_member_for(request, slug, *MANAGERS)
    row = reads.get_queue_by_id_for(actor, queue)
    try:
        TURNS[action](actor=actor, queue=row)
    except DomainError as error:
        messages.error(request, error.told)
    else:
        messages.success(
            request, _("The queue %(name)s is %(state)s.") % {"name": row, "state": Queue.State(row.state).label}
        )
    return redirect("queues", slug)


@login_required
def groups(request: HttpRequest, slug: str) -> HttpResponse:
    return _groups_page(request, get_member_for(request, slug, *REVIEWERS))


def _groups_page(request: HttpRequest, actor: Actor, status: int = 200, **more: Any) -> HttpResponse:
    project, manages = actor.project, role_of(actor) in MANAGERS
    people = list(reads.people_of(project)) if manages else [actor]
    member_of = reads.groups_by_person(project)
    rows = [{"person": person, "groups": member_of.get(person.pk, [])} for person in people]
    context = {
        **frame(actor),
        "rows": rows,
        "groups": [_group_row(group, rows) for group in reads.groups_of(project)],
        "form": GroupForm(),
        **more,
    }
    return render(request, "annotation/groups.html", context, status=status)


def _group_row(group: Group, rows: list[dict[str, Any]]) -> dict[str, Any]:
    outside = [row["person"] for row in rows if group not in row["groups"]]
    return {
        "group": group,
        "members": [row["person"] for row in rows if group in row["groups"]],
        "use": group_services.use_of(group),
        "form": MemberForm(people=outside, auto_id=f"id_{group.public_id}_%s") if outside else None,
    }


@require_POST
@login_required
def group_new(request: HttpRequest, slug: str) -> HttpResponse:
    actor = get_member_for(request, slug, *MANAGERS)
    form = GroupForm(request.POST)
    if not form.is_valid():
        return _groups_page(request, actor, 422, form=form)
    try:
        group = group_services.create_group(actor=actor, **form.cleaned_data)
    except DomainError as error:
        form.refuse(error)
        return _groups_page(request, actor, error.status, form=form)
    messages.success(request, _("The group %s is there. Add people to it.") % group)
    return redirect("groups", slug)


@require_POST
@login_required
def group_turn(request: HttpRequest, slug: str, group: str, action: str) -> HttpResponse:
    """Add or remove somebody, or delete the group."""
    actor = get_member_for(request, slug, *MANAGERS)
    row = reads.get_group_for(actor, group)
    try:
        messages.success(request, _turn_group(request, actor, row, action))
    except NotFound as error:
        messages.error(request, error.detail)
    except DomainError as error:
        messages.error(request, error.told)
    return redirect("groups", slug)


def _turn_group(request: HttpRequest, actor: Actor, group: Group, action: str) -> str:
    if action == "delete":
        group_services.delete_group(actor=actor, group=group)
        return _("The group %s is deleted.") % group
    person = reads.get_person_for(actor, request.POST.get("actor", "").replace("\x00", ""))
    words = {"person": person, "group": group}
    if action == "add":
        group_services.add_to_group(actor=actor, group=group, member=person)
        return _("%(person)s is in %(group)s.") % words
    group_services.remove_from_group(actor=actor, group=group, member=person)
    return _("%(person)s is no longer in %(group)s.") % words
