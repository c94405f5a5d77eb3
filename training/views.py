"""The pages of runs: the list, a new one, and one that is watched while it works."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from accounts.models import Actor, Project
from accounts.selectors import get_member_for
from accounts.services import MANAGERS, REVIEWERS, role_of
from feedback.models import Snapshot
from ground.errors import DomainError, Invalid
from models_registry.models import ModelVersion, Prompt
from models_registry.selectors import versions_of
from training import pages, selectors, services
from training.again import start_again
from training.forms import NewRunForm
from training.models import Run

STOP_POLLING = 286
"""The status at which htmx stops asking."""
A_PAGE = 50
MOST_SAMPLES = 8
WHAT = {
    "import": "Bring in a model to start from.",
    "generate": "Let a model answer prompts; the answers can then be judged.",
    "sft": "Teach a model to write like the answers that were chosen or corrected.",
    "reward": "Learn to score answers as people did, to judge many more.",
    "dpo": "Move a model towards what was preferred and away from what was not.",
    "evaluate": "Measure a model on prompts it never learned from.",
}


@login_required
def runs(request: HttpRequest, slug: str) -> HttpResponse:
    """Every run, newest first; the table renews itself while one is at work."""
    actor = get_member_for(request, slug, *REVIEWERS)
    page = Paginator(selectors.runs_of(actor.project), A_PAGE).get_page(request.GET.get("page"))
    live = any(not run.job.is_final for run in page.object_list)
    context = {
        "project": actor.project, "place": "runs", "can_manage": role_of(actor) in MANAGERS, "live": live, "page": page,
        "rows": [{"run": run, "seconds": pages.seconds_of(run)} for run in page.object_list],
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
    if method not in services.USES:
        return render(request, "training/new_run.html", _frame(actor, methods=_methods(actor.project)))
    form = NewRunForm(method, actor.project, request.POST or None, initial=_initial(request, method))
    if request.method == "POST" and form.is_valid():
        try:
            run = services.start_run(actor=actor, project=actor.project, method=method, **form.asked())
        except Invalid as error:
            form.refuse(error)
        else:
            messages.success(request, _("Run %d is queued.") % run.number)
            return redirect(pages.run_url(run))
    context = _frame(actor, form=form, method=method, label=str(Run.Method(method).label), what=_(WHAT[method]))
    return render(request, "training/new_run.html", context, status=422 if form.errors else 200)


def _frame(actor: Actor, **more: Any) -> dict[str, Any]:
    return {"project": actor.project, "place": "runs", **more}


def _initial(request: HttpRequest, method: str) -> dict[str, str]:
    """What the link that led here already knows, such as ?base=ver_…"""
    return {name: request.GET[name] for name in services.USES[method] if name in request.GET}


def _methods(project: Project) -> Iterable[dict[str, str]]:
    for method in services.USES:
        yield {
            "name": method,
            "label": str(Run.Method(method).label).capitalize(),
            "what": _(WHAT[method]),
            "missing": _missing(project, method),
        }


def _missing(project: Project, method: str) -> str:
    """Why a method cannot start yet; empty when it can."""
    uses = services.USES[method]
    if "base" in uses and not versions_of(project).filter(kind=ModelVersion.Kind.CAUSAL).exists():
        return _("Import a base model first.")
    if method in services.TRAIN_FILES and not Snapshot.objects.filter(project=project).exists():
        return _("Freeze a snapshot of judgements first.")
    if method == "generate" and not Prompt.objects.filter(project=project).exists():
        return _("Import prompts first.")
    return ""


@login_required
def run(request: HttpRequest, slug: str, run: str) -> HttpResponse:
    actor = get_member_for(request, slug, *REVIEWERS)
    found = selectors.get_run_for(actor, run)
    context = {**_live(actor, found), "log": _log(request, found), "wanted": request.GET.get("q", "")}
    return render(request, "training/run.html", context)


@login_required
def run_live(request: HttpRequest, slug: str, run: str) -> HttpResponse:
    """What changes while a run works. The last look says that there is nothing more to ask."""
    actor = get_member_for(request, slug, *REVIEWERS)
    found = selectors.get_run_for(actor, run)
    status = STOP_POLLING if found.job.is_final else 200
    return render(request, "training/_run_live.html", _live(actor, found), status=status)


@login_required
def run_log(request: HttpRequest, slug: str, run: str) -> HttpResponse:
    """The end of the log, or those of its lines that hold ?q="""
    found = selectors.get_run_for(get_member_for(request, slug, *REVIEWERS), run)
    context = {"log": _log(request, found), "wanted": request.GET.get("q", "")}
    return render(request, "training/_log.html", context, status=STOP_POLLING if found.job.is_final else 200)


def _log(request: HttpRequest, found: Run) -> str:
    return "\n".join(pages.found_lines(selectors.log_tail(found), request.GET.get("q", "").strip()))


def _live(actor: Actor, found: Run) -> dict[str, Any]:
    step, steps = pages.steps_of(found)
    return _frame(
        actor,
        run=found,
        job=found.job,
        heading=pages.heading(found),
        sentence=pages.sentence(found),
        phases=pages.phase_line(found),
        panels=pages.panels(found),
        samples=_samples(found),
        warnings=selectors.warnings_of(found),
        evaluation=selectors.evaluation_of(found),
        facts=pages.facts(found),
        settings=pages.settings_of(found),
        files=pages.files_of(found),
        step=step,
        steps=steps,
        kept=pages.kept_after_stop(found),
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
    try:
        services.cancel_run(actor=actor, run=found)
        messages.success(request, _("Run %d stops. What it has so far is kept.") % found.number)
    except DomainError as error:
        messages.error(request, f"{error.detail} {error.hint}".strip())
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
        messages.error(request, f"{error.detail} {error.hint}".strip())
        return redirect(pages.run_url(found))
    messages.success(request, _("Run %d is queued.") % repeated.number)
    return redirect(pages.run_url(repeated))
