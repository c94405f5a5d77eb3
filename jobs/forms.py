"""Forms of this floor's pages."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from ground.errors import DomainError
from ground.forms import HouseForm
from jobs import notices
from jobs.posting import LONGEST_URL


class WebhookForm(HouseForm):
    url = forms.CharField(
        label=_("Address"), max_length=LONGEST_URL, widget=forms.TextInput(attrs={"inputmode": "url", "class": "input"})
    )
    events = forms.MultipleChoiceField(label=_("What it is told"), widget=forms.CheckboxSelectMultiple)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["events"].choices = list(notices.events().items())  # type: ignore[attr-defined]

    def refuse(self, error: DomainError) -> None:
        """Each problem beside its field."""
        for name, text in (error.extra.get("problems") or {}).items():
            self.add_error(name, text)
        if not self.errors:
            super().refuse(error)
