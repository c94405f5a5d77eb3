"""The data browser, one task with everything about it, and changes to many tasks."""

import json
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from accounts.models import Actor
from accounts.selectors import get_member_for
from accounts.services import MANAGERS, REVIEWERS, role_of
from annotation import searching
from annotation.browsing import Browser, check_query, conditions_in, matching
from annotation.forms.tasks import (
    SORT_NAMES,
    ChangeForm,
    ConditionForm,
    State,
    ViewForm,
    condition_of,
    in_words,
    state_of,
)
from annotation.models import BulkEdit, Task
from annotation.selectors import tasks as reads
from annotation.selectors.queue import get_annotation_for
from annotation.services import bulk, slots, views
from annotation.services import tasks as task_services
from ground.errors import DomainError, Invalid
from ground.formats import number
from ground.forms import told
from jobs.services import request_cancel

LATEST_EDITS = 5
QUICK = (
    ("", "all"),
    ("state", "open"),
    ("state", "complete"),
    ("state", "archived"),
    ("resolution", "waiting"),
)


@login_required
def tasks(request: HttpRequest, slug: str) -> HttpResponse:
    """Tasks by filter, words and order; the address says all of it."""
    actor = get_member_for(request, slug, *REVIEWERS)
    state = state_of(request.GET)
    if "add" in request.GET:
        return _with_one_more(request, state)
    return _browser(request, actor, state)


def _with_one_more(request: HttpRequest, state: State) -> HttpResponse:
    asked = request.GET
    one = condition_of(asked.get("field", ""), asked.get("op", ""), asked.get("value", ""))
    return redirect(request.path + state.url(conditions=(*state.conditions, one)))


def _browser(request: HttpRequest, actor: Actor, state: State, **more: Any) -> HttpResponse:
    manages = role_of(actor) in MANAGERS
    try:
        reads.refuse_names_to_reviewers(actor, state.query)
        browser = Browser(actor.project, state.query, state.sort, gold=manages)
        page = browser.page(after=state.after, before=state.before)
    except Invalid as error:
        return redirect(request.path + state.url()) if state.after or state.before else _refused(error)
    keys = reads.columns_of(actor.project)
    rows = [reads.task_json(task) for task in page.tasks]
    context = {
        **_frame(actor),
        "state": state,
        "rows": [(row, [_cell(row["metadata"].get(name)) for name in state.columns]) for row in rows],
        "page": page,
        "count": browser.count(),
        "empty": not rows and not state.conditions and not state.search and not state.after,
        "next_url": state.url(after=page.next) if page.next else "",
        "previous_url": state.url(before=page.previous) if page.previous else "",
        "conditions": [(in_words(one), state.without(place)) for place, one in enumerate(state.conditions)],
        "sorts": SORT_NAMES.items(),
        "leaves_out": browser.column in ("agreement", "score"),
        "keys": sorted({*keys, *state.columns}),
        "quick": list(_quick(state)),
        "condition_form": ConditionForm(columns=keys, names=manages),
        "view_form": ViewForm(),
        "views": [(view, _view_url(view.query), _may_delete(actor, view)) for view in reads.views_for(actor)[:50]],
        "behind": searching.not_searchable(actor.project),
        "most_behind": searching.MOST_BEHIND,
        "kinds": BulkEdit.Kind.choices,
        "query": json.dumps(state.query, ensure_ascii=False),
        **_edits(actor),
        **more,
    }
    return render(request, "annotation/tasks.html", context, status=422 if more else 200)


def _refused(error: Invalid) -> HttpResponse:
    raise error


def _frame(actor: Actor) -> dict[str, Any]:
    return {"project": actor.project, "place": "queue", "manages": role_of(actor) in MANAGERS}


def _cell(value: Any) -> str:
    shown = value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
    return shown[:80]


def _quick(state: State) -> Any:
    """One-press filters: (words, address, whether it is on)."""
    names = {"all": _("All"), "open": _("Open"), "complete": _("Complete"), "archived": _("Archived")}
    names["waiting"] = _("Waits for review")
    rest = tuple(one for one in state.conditions if one["field"] not in ("state", "resolution"))
    for field, value in QUICK:
        one = {"field": field, "op": "eq", "value": value}
        here = one in state.conditions if field else rest == state.conditions
        yield names[value], state.url(conditions=(*rest, one) if field else rest), here


def _edits(actor: Actor) -> dict[str, Any]:
    rows = list(reads.edits_of(actor.project).order_by("-pk")[:LATEST_EDITS]) if role_of(actor) in MANAGERS else []
    found = [(row, reads.edit_json(row)) for row in rows]
    return {"edits": found, "working": any(row["state"] in ("queued", "running") for _row, row in found)}


def _view_url(query: dict[str, Any]) -> str:
    state = State(
        conditions=tuple(query.get("all", [])),
        search=query.get("search", ""),
        sort=query.get("sort", "-id"),
        columns=tuple(query.get("columns", [])),
    )
    return state.url()


def _may_delete(actor: Actor, view: Any) -> bool:
    return view.actor_id == actor.pk or role_of(actor) in MANAGERS


@login_required
def edits_now(request: HttpRequest, slug: str) -> HttpResponse:
    """The latest changes while one is at work; 286 tells htmx to ask no more."""
    actor = get_member_for(request, slug, *MANAGERS)
    found = _edits(actor)
    status = 200 if found["working"] else 286
    return render(request, "annotation/_edits.html", {**_frame(actor), **found}, status=status)


@require_POST
@login_required
def save_view(request: HttpRequest, slug: str) -> HttpResponse:
    actor = get_member_for(request, slug, *REVIEWERS)
    state = state_of(request.GET)
    form = ViewForm(request.POST)
    if form.is_valid():
        try:
            views.save_view(
                actor=actor,
                name=form.cleaned_data["name"],
                query=state.query,
                sort=state.sort,
                columns=list(state.columns),
                shared=form.cleaned_data["shared"],
            )
            messages.success(request, _("The view %s is saved.") % form.cleaned_data["name"])
            return redirect(reverse("tasks", args=[slug]) + state.url())
        except DomainError as error:
            form.refuse(error)
    return _browser(request, actor, state, view_form=form)


@require_POST
@login_required
def delete_view(request: HttpRequest, slug: str, view: str) -> HttpResponse:
    actor = get_member_for(request, slug, *REVIEWERS)
    row = reads.get_view_for(actor, view)
    views.delete_view(actor=actor, view=row)
    messages.success(request, _("The view %s is gone.") % row.name)
    return redirect("tasks", slug)


@require_POST
@login_required
def change(request: HttpRequest, slug: str) -> HttpResponse:
    """First a page that names how many tasks it would be, and asks for the value; then the change itself."""
    actor = get_member_for(request, slug, *MANAGERS)
    kind = request.POST.get("kind", "")
    back = reverse("tasks", args=[slug]) + (request.GET.urlencode() and f"?{request.GET.urlencode()}")
    try:
        query = _chosen(request)
    except Invalid as error:
        messages.error(request, error.detail)
        return redirect(back)
    if kind not in BulkEdit.Kind.values:
        messages.error(request, _("Choose what to change."))
        return redirect(back)
    form = ChangeForm(kind, actor, request.POST if "confirm" in request.POST else None)
    if "confirm" in request.POST and form.is_valid():
        try:
            bulk.start_edit(actor=actor, kind=kind, value=form.value(), query=query)
            messages.success(request, _("The change is at work; below is how far it is."))
            return redirect(back + "#changes")
        except DomainError as error:
            form.refuse(error)
    return _confirm(request, actor, kind, query, form, back)


def _chosen(request: HttpRequest) -> dict[str, Any]:
    """Which tasks: those that were ticked, or (asked for it) all that the filter finds. Errors: Invalid."""
    if request.POST.get("which") != "all":
        ids = request.POST.getlist("task")
        if not ids:
            raise Invalid(_("Tick at least one task, or choose all that the filter finds."))
        return check_query({"ids": ids})
    return check_query(conditions_in(request.POST.get("query", "{}")))


def _confirm(
    request: HttpRequest, actor: Actor, kind: str, query: dict[str, Any], form: ChangeForm, back: str
) -> HttpResponse:
    count = matching(actor.project, query).count()
    label = str(BulkEdit.Kind(kind).label)
    if kind == BulkEdit.Kind.DELETE:
        title = ngettext("Delete %s task?", "Delete %s tasks?", count) % number(count)
    else:
        title = ngettext("Change the %(what)s of %(n)s task?", "Change the %(what)s of %(n)s tasks?", count) % {
            "what": label,
            "n": number(count),
        }
    conditions = [in_words(one) for one in query.get("all", [])]
    context = {
        **_frame(actor),
        "kind": kind,
        "count": count,
        "title": title,
        "form": form,
        "back": back,
        "action": f"?{request.GET.urlencode()}" if request.GET else "",
        "which": "all" if "all" in query else "",
        "ids": query.get("ids", []),
        "query": json.dumps(query, ensure_ascii=False),
        "conditions": conditions,
        "search": query.get("search", ""),
        "days": settings.UNDO_WINDOW.days,
    }
    return render(request, "annotation/tasks_change.html", context, status=422 if form.errors else 200)


@require_POST
@login_required
def edit_action(request: HttpRequest, slug: str, edit: str, action: str) -> HttpResponse:
    """Undo a deletion, or stop a change that is at work."""
    actor = get_member_for(request, slug, *MANAGERS)
    row = reads.get_edit_for(actor, edit)
    with told(request):
        if action == "undo":
            bulk.undo_deletion(actor=actor, edit=row)
            messages.success(request, _("The deletion is being undone."))
        elif row.job is not None:
            request_cancel(actor=actor, job=row.job)
            messages.success(request, _("The change stops. What was changed so far stays changed."))
    return redirect(reverse("tasks", args=[slug]) + "#changes")


@login_required
def task(request: HttpRequest, slug: str, task: str) -> HttpResponse:
    """One task: what it shows, what everybody said, who had it and why, what can be done."""
    actor = get_member_for(request, slug, *REVIEWERS)
    row = reads.get_task_for(actor, task)
    found = reads.task_with_all(actor, row)
    fields = row.schema.body.get("fields", [])
    names = {field["name"] for field in fields}
    context = {
        **_frame(actor),
        "row": row,
        "task": found,
        "fields": fields,
        "others": [(name, _cell(value)) for name, value in found["data"].items() if name not in names],
        "metadata": [(name, _cell(value)) for name, value in row.metadata.items()],
        "forms": list(_forms(actor, row)),
        "archived": row.state == Task.State.ARCHIVED,
    }
    return render(request, "annotation/task.html", context)


def _forms(actor: Actor, row: Task) -> Iterator[tuple[str, ChangeForm]]:
    now = {"priority": row.priority, "overlap": row.overlap, "batch": row.batch.public_id if row.batch else ""}
    for action, value in now.items():
        if not (row.is_gold and action == "overlap"):
            yield action, ChangeForm(action, actor, initial={"value": value}, prefix=action)


@require_POST
@login_required
def task_action(request: HttpRequest, slug: str, task: str, action: str) -> HttpResponse:
    """Priority, overlap, batch, archive or restore of one task; done at once."""
    actor = get_member_for(request, slug, *MANAGERS)
    row = reads.get_task_for(actor, task)
    with told(request):
        messages.success(request, _act(actor, row, action, request))
    return redirect("task", slug, task)


def _act(actor: Actor, row: Task, action: str, request: HttpRequest) -> str:
    if action == "archive":
        task_services.archive_tasks(actor=actor, tasks=[row])
        return _("The task is archived. What people said of it stays.")
    if action == "restore":
        task_services.restore_tasks(actor=actor, tasks=[row])
        return _("The task is back in the queue.")
    form = ChangeForm(action, actor, request.POST, prefix=action)
    if action not in ("priority", "overlap", "batch") or not form.is_valid():
        raise Invalid(_("That value cannot be set."))
    target = bulk.target_of(actor, action, form.value())
    if action == "priority":
        task_services.set_priority(actor=actor, tasks=[row], priority=target)
        return _("The priority is %d.") % target
    if action == "batch":
        task_services.set_batch(actor=actor, tasks=[row], batch=target)
        return _("The batch is changed.")
    _changed, kept = task_services.set_overlap(actor=actor, tasks=[row], overlap=target)
    return _("It has more answers than that; it keeps as many places.") if kept else _("The overlap is %d.") % target


@require_POST
@login_required
def retract(request: HttpRequest, slug: str, task: str, annotation: str) -> HttpResponse:
    """Take an answer back, with a reason."""
    actor = get_member_for(request, slug, *MANAGERS)
    with told(request):
        found = get_annotation_for(actor, annotation)
        slots.retract(actor=actor, annotation=found, reason=request.POST.get("reason", "").replace("\x00", "")[:2000])
        messages.success(request, _("The answer is retracted; its place is open again."))
    return redirect("task", slug, task)
