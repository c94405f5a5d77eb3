"""The pages of runs: the list, a new one, and one that is watched while it works."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from accounts.models import Actor, Project
from accounts.selectors import get_member_for
from accounts.services import MANAGERS, REVIEWERS, role_of
from annotation.models import Task
from feedback.models import Snapshot
from ground.errors import DomainError, Invalid
from ground.forms import told
from models_registry.models import ModelVersion, Prompt
from models_registry.selectors import versions_of
from training import event_files, logs, preflight, selectors, services
from training.again import go_on, newest_step, start_again
from training.corpora import corpora_of
from training.costs import costs_of
from training.engine.methods import TRAINED
from training.forms.runs import NewRunForm
from training.methods import OFFERS
from training.models import Run
from training.pages import runs as pages
from training.panels import panels
from training.sweeps import start_sweep
from training.views.comparison import url_of
from training.views.sweeps import EXAMPLE, SweepForm

STOP_POLLING = 286
"""The status at which htmx stops asking."""
A_PAGE = 50
MOST_SAMPLES = 8


@login_required
def runs(request: HttpRequest, slug: str) -> HttpResponse:
    """Every run, newest first; the table renews itself while one is at work."""
    actor = get_member_for(request, slug, *REVIEWERS)
    page = Paginator(selectors.runs_of(actor.project), A_PAGE).get_page(request.GET.get("page"))
    live = any(not run.job.is_final for run in page.object_list)
    costs = costs_of(list(page.object_list))
    context = {
        "project": actor.project, "place": "runs", "can_manage": role_of(actor) in MANAGERS, "live": live, "page": page,
        "rows": [
            {"run": run, "seconds": pages.seconds_of(run), "cost": costs[run.pk], "left": pages.left_of(run)}
            for run in page.object_list
        ],
        "previous_url": f"?page={page.previous_page_number()}" if page.has_previous() else "",
        "next_url": f"?page={page.next_page_number()}" if page.has_next() else "",
        "summary": _("%(first)d to %(last)d of %(all)d")
        % {"first": page.start_index(), "last": page.end_index(), "all": page.paginator.count},
    }  # fmt: skip
    if getattr(request, "htmx", False):
        return render(request, "training/_runs.html", context, status=200 if live else STOP_POLLING)
    return render(request, "training/runs.html", context)


@login_required
def new_run(request: HttpRequest, slug: str) -> HttpResponse:
    """First the method, then its form; a refusal of the engine stands beside the field it is about."""
    actor = get_member_for(request, slug, *MANAGERS)
    method = request.POST.get("method") or request.GET.get("method") or ""
    if method not in OFFERS:
        return render(request, "training/new_run.html", _frame(actor, methods=_methods(actor.project)))
    form = NewRunForm(method, actor.project, request.POST or None, initial=_initial(request, method))
    sweep = _sweep_form(request) if method in TRAINED else None
    if request.method == "POST" and form.is_valid() and not (sweep and sweep.is_bound and not sweep.is_valid()):
        try:
            if sweep and sweep.is_bound:
                job = start_sweep(actor=actor, asked=form.asked_for(), **sweep.cleaned_data)
                return redirect("sweep", slug, job.public_id)
            if "check" in request.POST:
                check = services.start_check(actor=actor, project=actor.project, asked=form.asked_for())
                return redirect("check", slug, check.public_id)
            run = services.start_run(actor=actor, project=actor.project, method=method, **form.asked())
        except Invalid as error:
            form.refuse(error)
        else:
            messages.success(request, _("Run %d is queued.") % run.number)
            return redirect(pages.run_url(run))
    words = {"label": str(Run.Method(method).label), "what": OFFERS[method].what}
    context = _frame(actor, form=form, sweep=sweep, method=method, can_check=preflight.applies(method), **words)
    wrong = form.errors or (sweep and sweep.errors)
    return render(request, "training/new_run.html", context, status=422 if wrong else 200)


def _sweep_form(request: HttpRequest) -> SweepForm:
    """Bound when the button below it was pressed."""
    said = request.POST if "sweep" in request.POST else None
    return SweepForm(said, prefix="sweep", initial={"space": json.loads(EXAMPLE)}, label_suffix="")


def _frame(actor: Actor, **more: Any) -> dict[str, Any]:
    return {"project": actor.project, "place": "runs", **more}


def _initial(request: HttpRequest, method: str) -> dict[str, str]:
    """What the link that led here already knows, such as ?base=ver_…"""
    return {name: request.GET[name] for name in OFFERS[method].uses if name in request.GET}


def _methods(project: Project) -> Iterable[dict[str, str]]:
    for method in OFFERS:
        yield {
            "name": method,
            "label": str(Run.Method(method).label).capitalize(),
            "what": str(OFFERS[method].what),
            "missing": _missing(project, method),
        }


def _missing(project: Project, method: str) -> str:
    """Why a method cannot start yet; empty when it can."""
    offer = OFFERS[method]
    uses = offer.uses
    if "base" in uses and not versions_of(project).filter(kind__in=offer.bases).exists():
        if ModelVersion.Kind.CAUSAL in offer.bases:
            return _("Import a base model first.")
        return _("It needs %s first.") % offer.base
    rewards = versions_of(project).filter(kind=ModelVersion.Kind.REWARD)
    if method in TRAINED and "reward" in uses and not rewards.exists():
        return _("Train a reward model first.")
    if OFFERS[method].train and not Snapshot.objects.filter(project=project).exists():
        return _("Freeze a snapshot of judgements first.")
    if method == "pretrain" and corpora_of(project):
        return ""
    if "texts" in uses and not Task.objects.filter(project=project).exists():
        return _("Import tasks first.")
    if method == "generate" and not Prompt.objects.filter(project=project).exists():
        return _("Import prompts first.")
    training_prompts = Prompt.objects.filter(project=project, held_out=False)
    if method in TRAINED and "prompts" in uses and not training_prompts.exists():
        return _("Import prompts that are not held out first.")
    return ""


@login_required
def run(request: HttpRequest, slug: str, run: str) -> HttpResponse:
    actor = get_member_for(request, slug, *REVIEWERS)
    found = selectors.get_run_for(actor, run)
    return render(request, "training/run.html", {**_live(actor, found), **_log(request, found)})


@login_required
def run_live(request: HttpRequest, slug: str, run: str) -> HttpResponse:
    """What changes while a run works. The last look says that there is nothing more to ask."""
    actor = get_member_for(request, slug, *REVIEWERS)
    found = selectors.get_run_for(actor, run)
    status = STOP_POLLING if found.job.is_final else 200
    return render(request, "training/_run_live.html", _live(actor, found), status=status)


@login_required
def run_log(request: HttpRequest, slug: str, run: str) -> HttpResponse:
    """The end of a log, or those of all its lines that hold ?q="""
    found = selectors.get_run_for(get_member_for(request, slug, *REVIEWERS), run)
    status = STOP_POLLING if found.job.is_final else 200
    return render(request, "training/_log.html", {"run": found, **_log(request, found)}, status=status)


def _log(request: HttpRequest, found: Run) -> dict[str, Any]:
    """A name that is no log of this run shows the first: it may come yet."""
    files = logs.files_of(found)
    asked = request.GET.get("file", "")
    name = asked if asked in files else (*files, logs.FIRST)[0]
    wanted = request.GET.get("q", "").strip()
    look = logs.look(Path(found.folder) / name, wanted)
    words = {"log": look, "log_files": files, "log_file": name, "wanted": wanted}
    return {**words, "log_says": pages.log_says(look, wanted)}


@login_required
def run_log_file(request: HttpRequest, slug: str, run: str) -> HttpResponseBase:
    """The whole of one log, to keep."""
    found = selectors.get_run_for(get_member_for(request, slug, *REVIEWERS), run)
    return log_file(found, request.GET.get("file") or logs.FIRST)


def log_file(found: Run, name: str) -> HttpResponseBase:
    """Errors: NotFound. Plain text to save, never to show: it may hold anything."""
    blocks, size = logs.whole(logs.path_of(found, name))
    answer = StreamingHttpResponse(blocks, content_type="text/plain; charset=utf-8")
    answer["Content-Length"] = str(size)
    answer["Content-Disposition"] = content_disposition_header(True, f"run-{found.number}-{name}") or "attachment"
    return answer


@login_required
def run_tensorboard(request: HttpRequest, slug: str, run: str) -> HttpResponseBase:
    return event_file(selectors.get_run_for(get_member_for(request, slug, *REVIEWERS), run))


def event_file(found: Run) -> HttpResponseBase:
    """As of now. Errors: NotFound before the run has a folder."""
    path = event_files.write_file(found)
    return FileResponse(path.open("rb"), as_attachment=True, content_type="application/octet-stream")


def _live(actor: Actor, found: Run) -> dict[str, Any]:
    step, steps = pages.steps_of(found)
    return _frame(
        actor,
        run=found,
        job=found.job,
        heading=pages.heading(found),
        sentence=pages.sentence(found),
        phases=pages.phase_line(found),
        panels=panels(selectors.curves(found)),
        samples=_samples(found),
        shown=pages.spread(selectors.shown_of(found)),
        warnings=selectors.warnings_of(found),
        evaluation=selectors.evaluation_of(found),
        facts=pages.facts(found),
        settings=pages.settings_of(found),
        files=pages.files_of(found),
        step=step,
        steps=steps,
        share=pages.share_of(found),
        left=pages.left_of(found),
        kept=pages.kept_after_stop(found),
        preflight=preflight.report_in(Path(found.folder)),
        compare_url=url_of([found]),
        mlflow=selectors.mlflow_of(found),
        checkpoint=newest_step(found) if found.job.is_final else None,
        sweepable=found.method in TRAINED,
        can_manage=role_of(actor) in MANAGERS,
    )


def _samples(found: Run) -> list[dict[str, Any]]:
    """The texts it wrote, each with the words of its prompt where the prompt is one of the project's."""
    samples = selectors.samples_of(found, MOST_SAMPLES)
    prompts = Prompt.objects.filter(project=found.project, public_id__in={sample.prompt for sample in samples})
    words = {prompt.public_id: str(prompt) for prompt in prompts}
    return [{"step": one.step, "prompt": words.get(one.prompt, one.prompt), "text": one.text} for one in samples]


@login_required
@require_POST
def stop_run(request: HttpRequest, slug: str, run: str) -> HttpResponse:
    actor = get_member_for(request, slug, *MANAGERS)
    found = selectors.get_run_for(actor, run)
    with told(request):
        services.cancel_run(actor=actor, run=found)
        messages.success(request, _("Run %d stops. What it has so far is kept.") % found.number)
    return redirect(pages.run_url(found))


@login_required
@require_POST
def resume_run(request: HttpRequest, slug: str, run: str) -> HttpResponse:
    """The same run, on from its newest checkpoint."""
    actor = get_member_for(request, slug, *MANAGERS)
    found = selectors.get_run_for(actor, run)
    with told(request):
        go_on(actor=actor, run=found)
        messages.success(request, _("Run %d goes on from its newest checkpoint.") % found.number)
    return redirect(pages.run_url(found))


@login_required
@require_POST
def repeat_run(request: HttpRequest, slug: str, run: str) -> HttpResponse:
    """The same inputs and settings as a run of their own."""
    actor = get_member_for(request, slug, *MANAGERS)
    found = selectors.get_run_for(actor, run)
    try:
        repeated = start_again(actor=actor, run=found)
    except DomainError as error:
        messages.error(request, error.told)
        return redirect(pages.run_url(found))
    messages.success(request, _("Run %d is queued.") % repeated.number)
    return redirect(pages.run_url(repeated))
