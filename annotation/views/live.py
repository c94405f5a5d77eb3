"""The queue as it is now."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from accounts.selectors import get_member_for
from accounts.services import REVIEWERS
from annotation.selectors.live import Live, live
from ground import charts


@login_required
def queue(request: HttpRequest, slug: str) -> HttpResponse:
    """The page; its fragment renews itself every few seconds."""
    actor = get_member_for(request, slug, *REVIEWERS)
    now = live(actor.project)
    context: dict[str, Any] = {"project": actor.project, "place": "queue", "live": now, "chart": _chart(now)}
    fragment = getattr(request, "htmx", False)
    return render(request, "annotation/_live.html" if fragment else "annotation/live.html", context)


def _chart(now: Live) -> charts.Chart | None:
    if not now.pace.total:
        return None
    return charts.bars(now.pace.steps, title=_("Answers per five minutes"), now=len(now.pace.steps) - 1)
