"""Gold: the tasks, how people do on them, where people stand, and what could become gold."""

import json
from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from accounts.models import Actor
from accounts.selectors import get_member_for
from accounts.services import MANAGERS
from annotation.answer_words import summary_of
from annotation.forms.gold import ContentForm, KeyForm, ReasonForm
from annotation.models import Queue, Schema, Standing, Task
from annotation.page_form import can_be_asked, controls_of
from annotation.questions import POSITIONS
from annotation.router import main_queue
from annotation.selectors import gold as reads
from annotation.selectors import gold_page as shows
from annotation.services import gold_keys, standings
from ground.errors import DomainError, NotFound

PAGE = 50
MOST_PROMOTABLE = 10
MOST_STANDINGS = 200
ACTS: dict[str, Callable[..., Standing]] = {
    "lift": standings.lift,
    "block": standings.block,
    "admit": standings.let_in,
}


@login_required
def gold(request: HttpRequest, slug: str) -> HttpResponse:
    return _page(request, get_member_for(request, slug, *MANAGERS))


def _page(request: HttpRequest, actor: Actor, form: ReasonForm | None = None) -> HttpResponse:
    project = actor.project
    tasks = Paginator(reads.gold_of(project), PAGE).get_page(request.GET.get("page"))
    context = {
        "project": project,
        "place": "queue",
        "tasks": [_row(task) for task in tasks],
        "count": tasks.paginator.count,
        "previous_url": f"?page={tasks.previous_page_number()}" if tasks.has_previous() else "",
        "next_url": f"?page={tasks.next_page_number()}" if tasks.has_next() else "",
        "doubtful": shows.doubtful_count(project),
        "warnings": shows.gold_warnings(project),
        "promotable": [_candidate(task) for task in reads.promotable(project)[:MOST_PROMOTABLE]],
        "standings": [_standing(row) for row in reads.standings_of(project)[:MOST_STANDINGS]],
        "schemas": shows.schemas_for_gold(project),
        "form": form or _reason_form(actor),
    }
    return render(request, "annotation/gold.html", context, status=422 if form else 200)


def _row(task: Any) -> dict[str, Any]:
    retired = task.state == Task.State.ARCHIVED
    return {
        "id": task.public_id,
        "title": shows.title_of(task),
        "queue": task.queue,
        "key": _key_in_words(task, task.gold.answers),
        "tried": task.tried,
        "right": task.right,
        "doubtful": reads.is_doubtful(task) and not retired,
        "retired": retired,
    }


def _key_in_words(task: Task, answers: dict[str, Any]) -> str:
    return summary_of(task.schema.body["questions"], answers)


def _candidate(task: Task) -> dict[str, Any]:
    return {
        "id": task.public_id,
        "title": shows.title_of(task),
        "queue": task.queue,
        "answers": task.done,
        "agreement": task.agreement,
    }


def _standing(row: Standing) -> dict[str, Any]:
    stands = row.state in (Standing.State.GOOD, Standing.State.WARNED, Standing.State.PASSED)
    kinds = {Standing.State.GOOD: "good", Standing.State.PASSED: "good", Standing.State.WARNED: "wait"}
    return {
        "row": row,
        "label": row.get_state_display(),
        "kind": kinds.get(Standing.State(row.state), "bad"),
        "share": row.right / row.answered if row.answered else None,
        "lifts": row.state not in (Standing.State.GOOD, Standing.State.PASSED),
        "blocks": stands,
        "admits": row.queue.is_test and row.state != Standing.State.PASSED,
    }


def _reason_form(actor: Actor, data: Any = None) -> ReasonForm:
    people = [(person.public_id, str(person)) for person in shows.people_of(actor.project)]
    return ReasonForm(data, people=people, queues=_queues(actor))


def _queues(actor: Actor) -> list[tuple[str, str]]:
    rows = Queue.objects.filter(project=actor.project).exclude(state=Queue.State.ARCHIVED).order_by("position", "pk")
    return [(queue.public_id, _("%s (test)") % queue if queue.is_test else str(queue)) for queue in rows]


@login_required
def new_gold(request: HttpRequest, slug: str, schema: str) -> HttpResponse:
    """Write a gold task in two steps, which one page shows: what the task shows, then the key, given to what it shows."""
    actor = get_member_for(request, slug, *MANAGERS)
    row = reads.get_schema_for(actor, schema)
    main_queue(actor.project)  # gold may be the first thing a project holds, and it goes into a queue
    content = ContentForm(request.POST or None, body=row.body, queues=_queues(actor))
    giving_key = request.method == "POST" and "change" not in request.POST and _fits(actor, row, content)
    key = KeyForm(request.POST if "answers" in request.POST and giving_key else None)
    if key.is_bound and key.is_valid() and _written(actor, row, content, key):
        messages.success(request, _("It is handed out from now on, as any other task."))
        return redirect("gold", slug)
    context = {
        "project": actor.project,
        "place": "queue",
        "schema": row,
        "content": content,
        "key": key if giving_key else None,
        "shown": _content_shown(row, content) if giving_key else {},
        "form": controls_of(row.public_id, row.body["questions"]),
        "answers": request.POST.get("answers", ""),
    }
    wrong = bool(key.errors) if giving_key else bool(content.errors) and "change" not in request.POST
    return render(request, "annotation/gold_new.html", context, status=422 if wrong else 200)


def _fits(actor: Actor, schema: Schema, form: ContentForm) -> bool:
    if not form.is_valid():
        return False
    try:
        gold_keys.check_content(actor=actor, schema=schema, **form.content())
    except DomainError as error:
        form.refuse(error)
    return not form.errors


def _content_shown(schema: Schema, form: ContentForm) -> dict[str, Any]:
    """As `annotation/_case_content.html` reads it."""
    content = form.content()
    return {
        "fields_shown": schema.body.get("fields", []),
        "data": content["data"],
        "prompt": content["prompt"] or [],
        "candidates": [
            {"side": side, "text": text} for side, text in zip(POSITIONS, content["responses"], strict=False)
        ],
    }


def _written(actor: Actor, schema: Schema, content: ContentForm, key: KeyForm) -> bool:
    try:
        gold_keys.make_gold(
            actor=actor,
            queue=reads.get_queue_of(actor, content.cleaned_data["queue"]),
            schema=schema,
            answers=key.cleaned_data["answers"],
            explanation=key.cleaned_data["explanation"],
            **content.content(),
        )
    except DomainError as error:
        key.refuse(error)
        return False
    return True


@login_required
def gold_one(request: HttpRequest, slug: str, task: str) -> HttpResponse:
    """A gold task, what people said, and its key, which can be corrected."""
    actor = get_member_for(request, slug, *MANAGERS)
    row = reads.get_gold_for(actor, task)
    questions = row.schema.body["questions"]
    key = KeyForm(request.POST or None, initial={"explanation": row.gold.explanation})
    if request.method == "POST" and key.is_valid() and _corrected(actor, row, key):
        messages.success(request, _("The key is corrected. Earlier answers were scored again."))
        return redirect("gold-task", slug, task)
    context = {
        "project": actor.project,
        "place": "queue",
        "task": row,
        "title": shows.title_of(row),
        "shown": _row(row),
        "said": [(_key_in_words(row, answers), count) for answers, count in shows.said_to(row)],
        "content": shows.content_of(row),
        "key": key,
        "form": controls_of(row.schema.public_id, questions) if can_be_asked(questions) else None,
        "answers": request.POST.get("answers") or json.dumps(row.gold.answers),
    }
    return render(request, "annotation/gold_task.html", context, status=422 if key.is_bound else 200)


def _corrected(actor: Actor, task: Task, key: KeyForm) -> bool:
    try:
        gold_keys.edit_key(actor=actor, task=task, **key.cleaned_data)
    except DomainError as error:
        key.refuse(error)
        return False
    return True


@require_POST
@login_required
def act_on_gold(request: HttpRequest, slug: str, task: str, action: str) -> HttpResponse:
    """Retire, put back, or promote a task that people agree on; what is refused is said on the page."""
    actor = get_member_for(request, slug, *MANAGERS)
    try:
        said = _act(actor, task, action)
    except DomainError as error:
        if isinstance(error, NotFound):
            raise
        messages.error(request, error.told)
    else:
        messages.success(request, said)
    return redirect(reverse("gold", args=[slug]))


def _act(actor: Actor, task: str, action: str) -> str:
    if action == "promote":
        gold_keys.promote(actor=actor, task=reads.get_task_for(actor, task))
        return _("It is gold now. Whoever met the original never gets the copy.")
    if action == "retire":
        gold_keys.retire(actor=actor, task=reads.get_gold_for(actor, task))
        return _("It is handed out no more, and what people said to it counts for nobody.")
    if action == "restore":
        gold_keys.put_back(actor=actor, task=reads.get_gold_for(actor, task))
        return _("It is handed out again, and what people said to it counts.")
    raise NotFound(_("There is no such action."))


@require_POST
@login_required
def act_on_standing(request: HttpRequest, slug: str, action: str) -> HttpResponse:
    """Lift, block, or let somebody in, with a reason."""
    actor = get_member_for(request, slug, *MANAGERS)
    if action not in ACTS:
        raise NotFound(_("There is no such action."))
    form = _reason_form(actor, request.POST)
    if not form.is_valid():
        return _page(request, actor, form)
    asked = form.cleaned_data
    try:
        ACTS[action](
            actor=actor,
            person=reads.get_person_for(actor, asked["person"]),
            queue=reads.get_queue_of(actor, asked["queue"]),
            reason=asked["reason"],
        )
    except DomainError as error:
        form.refuse(error)
        return _page(request, actor, form)
    messages.success(request, _("Done. The person and the audit trail have the reason."))
    return redirect(reverse("gold", args=[slug]) + "#people")
