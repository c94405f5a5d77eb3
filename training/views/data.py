"""The data page: prompts in, tasks out of responses, judgements frozen into snapshots."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from accounts.models import Actor, Project
from accounts.selectors import get_member_for
from accounts.services import MANAGERS, REVIEWERS, role_of
from annotation.pairs import pairs_from_job
from annotation.selectors.queue import queue_counts
from annotation.services.tasks import create_pairwise_tasks
from feedback import services as feedback
from feedback.models import Snapshot
from feedback.selectors import counts_of, get_snapshot_for, snapshots_of
from feedback.services.freezing import ANY, counts_by_resolution
from ground.errors import DomainError
from jobs.models import Job
from models_registry.models import Prompt
from models_registry.services.prompts import import_prompts
from training.forms.data import RESOLUTIONS, FreezeForm, PromptsForm, TasksForm
from training.prompt_lines import Line

STOP_POLLING = 286
LATEST_PROMPTS = 8
LATEST_SNAPSHOTS = 10
MOST_GENERATIONS = 30
MOST_WRONG = 50
CLASSIFIED = {
    "labels": _lazy("Labelled texts"),
    "spans": _lazy("Marked texts"),
    "relations": _lazy("Related spans"),
    "ratings": _lazy("Rated"),
    "texts": _lazy("Texts written"),
}
"""Files of `feedback.classified`, as people call what is in them."""
GOING = (Job.State.QUEUED, Job.State.RUNNING)


@login_required
def data(request: HttpRequest, slug: str) -> HttpResponse:
    return page(request, get_member_for(request, slug, *REVIEWERS))


@require_POST
@login_required
def add_prompts(request: HttpRequest, slug: str) -> HttpResponse:
    """Import what can be read; lines that cannot stay in the box with what is wrong with each."""
    actor = get_member_for(request, slug, *MANAGERS)
    form = PromptsForm(request.POST, request.FILES)
    if not form.is_valid():
        return page(request, actor, prompts_form=form)
    try:
        wrong = _import(request, actor, form.lines())
    except DomainError as error:
        form.refuse(error)
        return page(request, actor, prompts_form=form)
    if not wrong:
        return redirect(_at(slug, "#prompts"))
    left = "\n".join(line.text for line in wrong)
    again = PromptsForm(initial={"rows": left, "every_nth": form.cleaned_data["every_nth"]})
    return page(request, actor, prompts_form=again, wrong=wrong)


def _import(request: HttpRequest, actor: Actor, lines: list[Line]) -> list[Line]:
    """The lines that were not taken, each with its reason."""
    read = [line for line in lines if line.row is not None]
    results = import_prompts(actor=actor, project=actor.project, rows=[line.row for line in read])
    made = sum(result.status == "created" for result in results)
    known = sum(result.status == "existing" for result in results)
    if made or known:
        text = ngettext("%d new prompt.", "%d new prompts.", made) % made
        messages.success(request, f"{text} {_('%d were here already.') % known}" if known else text)
    refused = [
        Line(number=line.number, text=line.text, error=result.error)
        for line, result in zip(read, results, strict=True)
        if result.status == "invalid"
    ]
    return sorted([line for line in lines if line.row is None] + refused, key=lambda line: line.number)


@require_POST
@login_required
def make_tasks(request: HttpRequest, slug: str) -> HttpResponse:
    """A pair for every prompt of a generation whose samples differ."""
    actor = get_member_for(request, slug, *MANAGERS)
    form = TasksForm(request.POST, generations=generations(actor.project))
    if not form.is_valid():
        return page(request, actor, tasks_form=form)
    asked = form.cleaned_data
    try:
        pairs = pairs_from_job(actor, asked["job"])
        made = create_pairwise_tasks(actor=actor, pairs=pairs, overlap=asked["overlap"], question=asked["question"])
    except DomainError as error:
        form.refuse(error)
        return page(request, actor, tasks_form=form)
    if not pairs:
        form.add_error("job", _("It holds no prompt with two different responses. Generate two or more to each."))
        return page(request, actor, tasks_form=form)
    _say_made(request, len(made), len(pairs))
    return redirect(_at(slug, "#tasks"))


def _say_made(request: HttpRequest, made: int, pairs: int) -> None:
    if made:
        messages.success(request, ngettext("%d task is in the queue.", "%d tasks are in the queue.", made) % made)
    else:
        messages.warning(request, _("All %d pairs were in the queue already.") % pairs)


@require_POST
@login_required
def freeze(request: HttpRequest, slug: str) -> HttpResponse:
    """Queue a snapshot. The form's own key makes a second press the same request."""
    actor = get_member_for(request, slug, *MANAGERS)
    form = FreezeForm(request.POST, counts=counts_by_resolution(actor.project))
    if not form.is_valid():
        return page(request, actor, freeze_form=form)
    asked = form.cleaned_data
    share = asked["test_share"] / 100
    try:
        feedback.freeze(
            actor=actor,
            project=actor.project,
            name=asked["name"],
            test_share=share,
            seed=asked["seed"],
            resolution=asked["resolution"] or ANY,
            key=f"page:{asked['key']}",
        )
    except DomainError as error:
        form.refuse(error)
        return page(request, actor, freeze_form=form)
    return redirect(_at(slug, "#freeze"))


@login_required
def snapshots_now(request: HttpRequest, slug: str) -> HttpResponse:
    """The list of snapshots while one is being written; 286 tells htmx to ask no more."""
    actor = get_member_for(request, slug, *REVIEWERS)
    found = frozen(actor.project)
    status = 200 if found["freezing"] else STOP_POLLING
    return render(request, "training/_snapshots.html", {"project": actor.project, **found}, status=status)


@require_POST
@login_required
def verify(request: HttpRequest, slug: str, snapshot: str) -> HttpResponse:
    """Hash every file again."""
    row = get_snapshot_for(get_member_for(request, slug, *REVIEWERS), snapshot)
    changed = feedback.verify_snapshot(row)
    if changed:
        messages.error(
            request,
            _("%(snapshot)s is not as it was frozen: %(files)s.")
            % {"snapshot": str(row).capitalize(), "files": ", ".join(changed)},
        )
    else:
        messages.success(request, _("%s is as it was frozen: every file has its digest.") % str(row).capitalize())
    return redirect(_at(slug, f"#{row.public_id}"))


def page(request: HttpRequest, actor: Actor, **more: Any) -> HttpResponse:
    """The whole page; a form that was refused comes back with what was typed, under 422."""
    project = actor.project
    known = generations(project)
    context = {
        "project": project,
        "place": "data",
        "manages": role_of(actor) in MANAGERS,
        "prompts": prompts_of(project),
        "prompts_form": PromptsForm(),
        "tasks": tasks_of(project),
        "generations": known,
        "tasks_form": TasksForm(generations=known),
        "counts": counts_of(project),
        "freeze_form": FreezeForm(counts=counts_by_resolution(project)),
        **frozen(project),
        **more,
    }
    if "wrong" in more:
        context |= {"wrong": more["wrong"][:MOST_WRONG], "wrong_count": len(more["wrong"])}
    return render(request, "training/data.html", context, status=422 if more else 200)


def prompts_of(project: Project) -> dict[str, Any]:
    rows = Prompt.objects.filter(project=project)
    return {
        "count": rows.count(),
        "held_out": rows.filter(held_out=True).count(),
        "latest": rows.order_by("-pk")[:LATEST_PROMPTS],
    }


def tasks_of(project: Project) -> dict[str, int]:
    counts = queue_counts(project)
    slots = {f"slots_{name}": counts[name] for name in ("open", "leased", "done")}
    return {**{name: counts[name] for name in ("untouched", "begun", "complete", "archived")}, **slots}


def generations(project: Project) -> list[tuple[str, str]]:
    """Finished generations by job id, newest first. Those of a round made their tasks themselves."""
    jobs = Job.objects.filter(project=project, kind="generate", state=Job.State.SUCCEEDED)
    jobs = jobs.exclude(spec__purpose__startswith="round:").select_related("run__base__model")
    counted = jobs.annotate(responses=Count("completions"), prompts=Count("completions__prompt", distinct=True))
    return [(job.public_id, _generation(job)) for job in counted.order_by("-pk")[:MOST_GENERATIONS] if job.responses]


def _generation(job: Any) -> str:
    run = getattr(job, "run", None)
    words = {
        "name": str(run).capitalize() if run else job.public_id,
        "version": run.base if run and run.base else _("a model"),
        "responses": job.responses,
        "prompts": job.prompts,
    }
    return _("%(name)s: %(version)s, %(responses)d responses to %(prompts)d prompts") % words


def frozen(project: Project) -> dict[str, Any]:
    jobs = Job.objects.filter(project=project, kind="freeze").order_by("-pk")
    last = jobs.first()
    return {
        "freezing": list(jobs.filter(state__in=GOING)),
        "failed_freeze": last if last and last.state == Job.State.FAILED else None,
        "snapshots": [shown(row) for row in snapshots_of(project)[:LATEST_SNAPSHOTS]],
    }


def shown(snapshot: Snapshot) -> dict[str, Any]:
    rows = {name: int(entry.get("rows") or 0) for name, entry in snapshot.files.items()}
    reasons = {
        "tie": _("ties"),
        "both_bad": _("both bad"),
        "split_vote": _("no majority"),
        "identical_texts": _("same text twice"),
        "repeated": _("judged again by the same person"),
        "withdrawn": _("taken back"),
        "overruled": _("overruled in review"),
        "unresolved": _("not that far in review"),
    }
    dropped = snapshot.counts.get("dropped") or {}
    return {
        "row": snapshot,
        "pairs": (rows.get("preference_train.jsonl", 0), rows.get("preference_test.jsonl", 0)),
        "examples": (rows.get("sft_train.jsonl", 0), rows.get("sft_test.jsonl", 0)),
        "classified": [
            (words, rows.get(f"{name}_train.jsonl", 0), rows.get(f"{name}_test.jsonl", 0))
            for name, words in CLASSIFIED.items()
            if rows.get(f"{name}_train.jsonl") or rows.get(f"{name}_test.jsonl")
        ],
        "resolution": RESOLUTIONS.get(snapshot.spec.get("resolution", ANY), ""),
        "simulated": (snapshot.counts.get("judgements_by") or {}).get("simulated", 0),
        "dropped": [(reasons.get(name, name), count) for name, count in dropped.items()],
        "files": [(name, rows[name], entry.get("sha256", "")) for name, entry in sorted(snapshot.files.items())],
    }


def _at(slug: str, place: str) -> str:
    return reverse("data", args=[slug]) + place
