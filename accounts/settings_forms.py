"""Forms of the settings page."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.models import Actor, Role, Scope
from accounts.services import role_of
from ground import clock
from ground.forms import HouseForm


class MemberForm(HouseForm):
    """Gives somebody who can sign in a role, or another role. Only an owner offers ownership."""

    email = forms.EmailField(label=_("Email"), help_text=_("Of somebody who can sign in here already."))
    role = forms.ChoiceField(label=_("Role"), choices=Role.choices, initial=Role.ANNOTATOR)

    def __init__(self, *args: Any, actor: Actor, **options: Any) -> None:
        super().__init__(*args, **options)
        if role_of(actor) != Role.OWNER:
            self.fields["role"].choices = [pair for pair in Role.choices if pair[0] != Role.OWNER]  # type: ignore[attr-defined]


class SimulatedForm(HouseForm):
    pseudonym = forms.CharField(
        label=_("Name"), max_length=80, help_text=_("Shown with every answer, always marked as simulated.")
    )


class TokenForm(HouseForm):
    name = forms.CharField(label=_("What it is for"), max_length=120)
    actor = forms.ChoiceField(label=_("Acts as"))
    scopes = forms.MultipleChoiceField(
        label=_("May"),
        choices=Scope.choices,
        widget=forms.CheckboxSelectMultiple,
        initial=[Scope.FEEDBACK, Scope.INVOKE],
    )
    days = forms.IntegerField(
        label=_("Ends after so many days"), required=False, min_value=1, max_value=3650, help_text=_("Empty: never.")
    )

    def __init__(self, *args: Any, subjects: list[Actor], **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["actor"].choices = [(row.public_id, str(row)) for row in subjects]  # type: ignore[attr-defined]

    def expires_at(self) -> datetime | None:
        days = self.cleaned_data["days"]
        return clock.now() + timedelta(days=days) if days else None
