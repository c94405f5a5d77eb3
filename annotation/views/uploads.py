"""Uploads: sent and found by managers, and their bytes for whoever works in the project."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET

from accounts.selectors import get_member_for
from accounts.services import EVERYBODY, MANAGERS, REVIEWERS, role_of
from annotation.files import answer_with
from annotation.media import TYPES
from annotation.models import Upload
from annotation.selectors.uploads import get_upload_for, upload_json, uploads_of
from annotation.services.uploads import keep_upload
from ground.errors import DomainError

PAGE = 48
EXTENSIONS = ".png,.jpg,.jpeg,.gif,.webp,.avif,.mp3,.ogg,.oga,.wav,.flac,.m4a,.mp4,.webm,.vtt"


@login_required
def uploads(request: HttpRequest, slug: str) -> HttpResponse:
    """Managers send files; everybody who reviews finds them. Without a script the form sends them all at once."""
    if request.method == "POST":
        return _send(request, slug)
    actor = get_member_for(request, slug, *REVIEWERS)
    kind = request.GET.get("kind", "")
    rows = uploads_of(actor.project).order_by("-pk")
    if kind in Upload.Kind.values:
        rows = rows.filter(kind=kind)
    before = request.GET.get("before", "")
    if before.isascii() and before.isdigit() and len(before) < 19:
        rows = rows.filter(pk__lt=int(before))
    found = list(rows[: PAGE + 1])
    context = {
        "project": actor.project,
        "place": "queue",
        "manages": role_of(actor) in MANAGERS,
        "uploads": [upload_json(row) for row in found[:PAGE]],
        "kinds": Upload.Kind.choices,
        "kind": kind,
        "accept": ",".join([*TYPES, EXTENSIONS]),
        "next_url": f"?kind={kind}&before={found[PAGE - 1].pk}"
        if len(found) > PAGE and kind in ("", *Upload.Kind.values)
        else "",
    }
    return render(request, "annotation/uploads.html", context)


def _send(request: HttpRequest, slug: str) -> HttpResponse:
    actor = get_member_for(request, slug, *MANAGERS)
    kept = 0
    for file in request.FILES.getlist("file"):
        try:
            keep_upload(actor=actor, blocks=file.chunks(), name=file.name or "")
            kept += 1
        except DomainError as error:
            messages.error(request, f"{file.name}: {error.told}")
    if kept:
        messages.success(request, ngettext("%d file is here.", "%d files are here.", kept) % kept)
    elif not request.FILES:
        messages.error(request, _("No file was chosen."))
    return redirect("uploads", slug)


@require_GET
@login_required
def upload(request: HttpRequest, slug: str, upload: str) -> HttpResponseBase:
    """The bytes, for everybody who works in the project; 404 for everybody else."""
    actor = get_member_for(request, slug, *EVERYBODY)
    return answer_with(request, get_upload_for(actor, upload))
