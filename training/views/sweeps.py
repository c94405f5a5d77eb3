"""The pages of a sweep: start one around a run, and watch its trials."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.views.decorators.http import require_POST

from accounts.models import Actor
from accounts.selectors import get_member_for
from accounts.services import MANAGERS, REVIEWERS, role_of
from ground.errors import Invalid
from ground.forms import told
from jobs import services as job_services
from jobs.models import Job
from training import selectors, sweeps
from training.pages import runs as pages

STOP_POLLING = 286
EXAMPLE = '{"learning_rate": [1e-5, 3e-5, 1e-4]}'


class SweepForm(forms.Form):
    space = forms.JSONField(
        label=lazy("Settings to try"),
        widget=forms.Textarea(attrs={"rows": 6, "class": "input", "spellcheck": "false"}),
        help_text=lazy('JSON: each setting with a list of values; in a random search also {"low", "high", "log"}.'),
    )
    search = forms.ChoiceField(label=lazy("Search"), choices=[("grid", lazy("Grid")), ("random", lazy("Random"))])
    trials = forms.IntegerField(
        label=lazy("Trials"), required=False, min_value=1, help_text=lazy("Of a random search."),
        widget=forms.NumberInput(attrs={"class": "input"}),
    )  # fmt: skip
    budget_device_seconds = forms.FloatField(
        label=lazy("Budget in device-seconds"), initial=3600, min_value=1, widget=forms.NumberInput(attrs={"class": "input"}),
        help_text=lazy("No trial starts beyond it, and the one that reaches it is stopped."),
    )  # fmt: skip


@login_required
def new_sweep(request: HttpRequest, slug: str, run: str) -> HttpResponse:
    actor = get_member_for(request, slug, *MANAGERS)
    found = selectors.get_run_for(actor, run)
    initial = {"space": json.loads(EXAMPLE)}
    form = SweepForm(request.POST or None, initial=initial, label_suffix="")
    if request.method == "POST" and form.is_valid():
        try:
            job = sweeps.start_sweep(actor=actor, run=found, **form.cleaned_data)
        except Invalid as error:
            form.add_error(None, error.told)
        else:
            return redirect("sweep", slug, job.public_id)
    context = {"project": actor.project, "place": "runs", "run": found, "form": form}
    return render(request, "training/new_sweep.html", context, status=422 if form.errors else 200)


@login_required
def sweep(request: HttpRequest, slug: str, job: str) -> HttpResponse:
    """Its trials, renewed while it is at work."""
    actor = get_member_for(request, slug, *REVIEWERS)
    found = sweeps.get_sweep_for(actor, job)
    context = _context(actor, found)
    if getattr(request, "htmx", False):
        return render(request, "training/_sweep.html", context, status=STOP_POLLING if found.is_final else 200)
    return render(request, "training/sweep.html", context)


def _context(actor: Actor, job: Job) -> dict[str, Any]:
    trials = sweeps.trials(job)
    best = sweeps.best_of(job, trials)
    rows = [
        {
            "trial": one,
            "settings": ", ".join(f"{name} {value}" for name, value in one.settings.items()),
            "best": best is not None and one.number == best.number,
        }
        for one in trials
    ]
    words = {"tried": sum(one.run is not None for one in trials), "all": len(trials)}
    return {
        "project": actor.project,
        "place": "runs",
        "job": job,
        "rows": rows,
        "best": best,
        "spent": sweeps.spent(job),
        "sentence": _("%(tried)d of %(all)d trials were started.") % words,
        "done": sum(one.run is not None and one.run.job.is_final for one in trials),
        "all": len(trials),
        "left": _left(job, trials),
        "can_manage": role_of(actor) in MANAGERS,
    }


def _left(job: Job, trials: list[sweeps.Trial]) -> str:
    """About how long all trials still take: the mean of those that succeeded, for each that is not over. Empty before one did."""
    lengths = [
        pages.seconds_of(one.run) or 0.0 for one in trials if one.run and one.run.job.state == Job.State.SUCCEEDED
    ]
    if job.state != Job.State.RUNNING or not lengths:
        return ""
    mean = sum(lengths) / len(lengths)
    gone = {one.number: pages.seconds_of(one.run) or 0.0 for one in trials if one.run and not one.run.job.is_final}
    open_trials = [one for one in trials if one.run is None or not one.run.job.is_final]
    left = sum(max(0.0, mean - gone.get(one.number, 0.0)) for one in open_trials)
    return pages.roughly(left) if open_trials else ""


@login_required
@require_POST
def stop_sweep(request: HttpRequest, slug: str, job: str) -> HttpResponse:
    actor = get_member_for(request, slug, *MANAGERS)
    found = sweeps.get_sweep_for(actor, job)
    with told(request):
        job_services.request_cancel(actor=actor, job=found)
    return redirect("sweep", slug, found.public_id)
