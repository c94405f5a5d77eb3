"""The guidelines beside the task: opening them is remembered, and what changed since the last time is told."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.selectors import get_member_for
from accounts.services import EVERYBODY
from annotation.selectors.reading import reading_of
from annotation.services.guidelines import mark_read
from annotation.views.label import small_request


@small_request
def read_guidelines(request: HttpRequest, slug: str) -> HttpResponse:
    """What changed since this actor last read them, then marked as read: asked once, when the panel is opened."""
    actor = get_member_for(request, slug, *EVERYBODY)
    guideline, changes = reading_of(actor)
    if guideline is not None:
        mark_read(actor=actor, guideline=guideline)
    return render(request, "annotation/_guideline_changes.html", {"changes": changes, "guideline": guideline})
