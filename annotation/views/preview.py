"""How a text will look, while it is written."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST

from ground.rendering import render_markdown


@login_required
@require_POST
def markdown(request: HttpRequest) -> HttpResponse:
    """Safe HTML of `text`; nothing is kept."""
    return HttpResponse(render_markdown(request.POST.get("text", "")))
