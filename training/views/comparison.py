"""The page that shows runs beside one another; with fewer than two it lets the reader choose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.models import Actor
from accounts.selectors import get_member_for
from accounts.services import REVIEWERS
from feedback.models import Snapshot
from ground import formats
from ground.charts import Column, Numbers
from ground.errors import Invalid
from models_registry.selectors import versions_of
from training import comparing, selectors
from training.costs import costs_of
from training.models import Run
from training.pages import runs as pages
from training.panels import together

OFFERED = 30
"""Newest runs to choose from, those of the same method first."""


@login_required
def compare(request: HttpRequest, slug: str) -> HttpResponse:
    """`?runs=run_…`, once for each."""
    actor = get_member_for(request, slug, *REVIEWERS)
    frame = {"project": actor.project, "place": "runs", "most": comparing.MOST}
    try:
        runs = comparing.runs_named(actor, request.GET.getlist("runs"))
    except Invalid as error:
        return render(request, "training/compare.html", {**frame, "refused": error}, status=422)
    if len(runs) < 2:
        context = {**frame, "choices": _choices(actor, runs), "chosen": runs}
        return render(request, "training/compare.html", context)
    return render(request, "training/compare.html", {**frame, **_beside(actor, runs)})


def url_of(runs: Sequence[Run]) -> str:
    """The comparison of these, as many of them as it takes."""
    query = urlencode({"runs": [run.public_id for run in runs[: comparing.MOST]]}, doseq=True)
    return f"{reverse('runs-compare', args=[runs[0].project.slug])}?{query}"


def _choices(actor: Actor, chosen: Sequence[Run]) -> list[Run]:
    assert actor.project is not None
    newest = list(selectors.runs_of(actor.project)[:OFFERED])
    return sorted(newest, key=lambda run: bool(chosen) and run.method != chosen[0].method)


def _beside(actor: Actor, runs: Sequence[Run]) -> dict[str, Any]:
    found = [comparing.compared(run) for run in runs]
    names = [_("Run %d") % run.number for run in runs]
    costs = costs_of(runs)
    differing = comparing.differences(found)
    return {
        "rows": [
            {"run": run, "seconds": pages.seconds_of(run), "cost": costs[run.pk], "without": _without(runs, run)}
            for run in runs
        ],
        "panels": together(list(zip(names, (one.curves for one in found), strict=True))),
        "differences": _table(_("Setting"), names, [(row.name, _words(actor, row.values)) for row in differing]),
        "finals": _table(
            _("Metric"),
            names,
            [(row.name, [formats.number(value) for value in row.values]) for row in comparing.finals(found)],
        ),
    }


def _without(runs: Sequence[Run], run: Run) -> str:
    return url_of([one for one in runs if one.pk != run.pk])


def _table(first: str, names: Sequence[str], rows: Sequence[tuple[str, list[str]]]) -> Numbers:
    columns = (Column(first, numeric=False), *(Column(name) for name in names))
    return Numbers(columns, tuple((name, *values) for name, values in rows))


def _words(actor: Actor, values: Sequence[Any]) -> list[str]:
    """Ids of versions and snapshots become the names that people know."""
    assert actor.project is not None
    ids = [value for value in values if isinstance(value, str)]
    named = {row.public_id: str(row) for row in versions_of(actor.project).filter(public_id__in=ids)}
    frozen = Snapshot.objects.filter(project=actor.project, public_id__in=ids)
    named |= {row.public_id: str(row) for row in frozen}
    return [formats.NOTHING if value is None else named.get(value, pages.plain(value)) for value in map(_key, values)]


def _key(value: Any) -> Any:
    """Something that can be looked up: lists and objects cannot."""
    return value if isinstance(value, str | int | float | None) else pages.plain(value)
