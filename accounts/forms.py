"""Forms about projects."""

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.models import Project


class ProjectForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Project
        fields = ["name", "slug", "description"]
        help_texts = {
            "slug": _("Letters, digits and hyphens: the project's part of every address."),
            "description": _("One sentence: what is judged here, and for which model."),
        }
        widgets = {"description": forms.Textarea(attrs={"rows": 3})}
