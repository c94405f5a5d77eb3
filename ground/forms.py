"""Forms in the looks of the house."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django import forms
from django.contrib import messages
from django.forms.widgets import CheckboxInput, CheckboxSelectMultiple, FileInput, HiddenInput, RadioSelect, Textarea
from django.http import HttpRequest

from ground.errors import DomainError

NOT_BOXES = (CheckboxInput, CheckboxSelectMultiple, FileInput, HiddenInput, RadioSelect, Textarea)


class HouseForm(forms.Form):
    """Gives text boxes their class, and can say what a service refused."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **options})
        for field in self.fields.values():
            if not isinstance(field.widget, NOT_BOXES):
                field.widget.attrs.setdefault("class", "input")

    def refuse(self, error: DomainError) -> None:
        """Show a domain error above the fields, with how to mend it."""
        self.add_error(None, error.told)


@contextmanager
def told(request: HttpRequest) -> Iterator[None]:
    """A button that leads back to a page: what a service refuses is said there, with how to mend it."""
    try:
        yield
    except DomainError as error:
        messages.error(request, error.told)
