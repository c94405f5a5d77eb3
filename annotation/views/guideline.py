"""The guidelines: every version stays, a change is a new one."""

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import Actor
from accounts.selectors import get_member_for
from accounts.services import EVERYBODY, MANAGERS, role_of
from annotation.models import Guideline
from annotation.selectors.queue import current_guideline
from annotation.services.guidelines import publish_guideline
from ground.errors import DomainError
from ground.forms import HouseForm

EARLIER = 10


class GuidelineForm(HouseForm):
    """`after` is the version the writer began from: somebody else's newer one is not overwritten unseen."""

    body = forms.CharField(
        label=gettext_lazy("How to judge"),
        max_length=100_000,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 16, "dir": "auto"}),
        help_text=gettext_lazy("Markdown. Annotators see it beside the task, and are told when it changed."),
    )
    after = forms.IntegerField(widget=forms.HiddenInput, min_value=0)


@login_required
def guidelines(request: HttpRequest, slug: str) -> HttpResponse:
    """Everybody reads; managers preview and publish."""
    actor = get_member_for(request, slug, *(MANAGERS if request.method == "POST" else EVERYBODY))
    current = current_guideline(actor.project)
    version = current.version if current else 0
    if request.method != "POST":
        start = GuidelineForm(initial={"body": current.body if current else "", "after": version})
        return _page(request, actor, current, start)
    form = GuidelineForm(request.POST)
    if not form.is_valid():
        return _page(request, actor, current, form, status=422)
    if "preview" in request.POST:
        return _page(request, actor, current, form, preview=form.cleaned_data["body"])
    if form.cleaned_data["after"] != version:
        again = GuidelineForm({"body": form.cleaned_data["body"], "after": version})
        again.add_error(
            None, _("Version %d was published since you began. Read it, then publish yours again.") % version
        )
        return _page(request, actor, current, again, status=409)
    return _publish(request, actor, current, form)


def _publish(request: HttpRequest, actor: Actor, current: Guideline | None, form: GuidelineForm) -> HttpResponse:
    try:
        published = publish_guideline(actor=actor, body=form.cleaned_data["body"])
    except DomainError as error:
        form.refuse(error)
        return _page(request, actor, current, form, status=error.status)
    messages.success(request, _("Version %d is in force. Annotators are shown the change.") % published.version)
    return redirect("guidelines", actor.project.slug)


def _page(
    request: HttpRequest,
    actor: Actor,
    current: Guideline | None,
    form: GuidelineForm,
    *,
    preview: str = "",
    status: int = 200,
) -> HttpResponse:
    context: dict[str, Any] = {
        "project": actor.project,
        "place": "settings",
        "manages": role_of(actor) in MANAGERS,
        "current": current,
        "earlier": actor.project.guidelines.all()[1 : 1 + EARLIER],
        "form": form,
        "preview": preview,
    }
    return render(request, "annotation/guidelines.html", context, status=status)
