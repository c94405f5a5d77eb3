"""The first page: the projects one belongs to."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.forms import ProjectForm
from accounts.models import User
from accounts.selectors import memberships_of
from accounts.services import create_project


@login_required
def home(request: HttpRequest) -> HttpResponse:
    """Every project with the asker's role in it."""
    assert isinstance(request.user, User)
    return render(request, "accounts/home.html", {"memberships": memberships_of(request.user)})


@login_required
def new_project(request: HttpRequest) -> HttpResponse:
    assert isinstance(request.user, User)
    form = ProjectForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        project = create_project(user=request.user, **form.cleaned_data)
        return redirect(reverse("project", args=[project.slug]))
    return render(request, "accounts/new_project.html", {"form": form, "title": _("New project")})
