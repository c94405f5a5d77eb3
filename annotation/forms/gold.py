"""What managers send from the gold pages."""

import json
from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from annotation.questions import POSITIONS, needs
from annotation.questions.base import letter
from annotation.services.gold_keys import LONGEST_EXPLANATION
from annotation.services.standings import LONGEST_REASON
from ground.forms import HouseForm

SHOWN, RESPONSE = "shown-", "response-"
AS_JSON = {"chat": '[{"role": "user", "content": "…"}]', "passages": '[{"id": "1", "text": "…"}]'}
"""Kinds of field whose values are written as JSON, with how one looks."""


def _box(rows: int, **attrs: Any) -> forms.Textarea:
    return forms.Textarea(attrs={"rows": rows, "dir": "auto", **attrs})


class KeyForm(HouseForm):
    """The key of a gold task, as the controls of its questions wrote it."""

    answers = forms.CharField(widget=forms.HiddenInput, required=False, strip=False)
    explanation = forms.CharField(
        label=_("Why (optional)"),
        required=False,
        max_length=LONGEST_EXPLANATION,
        widget=_box(2),
        help_text=_("Markdown. Shown after the answer where the queue says at once how it was."),
    )

    def clean_answers(self) -> Any:
        try:
            return json.loads(self.cleaned_data["answers"] or "{}")
        except (ValueError, RecursionError) as error:
            raise forms.ValidationError(_("The key did not arrive whole. Give it again.")) from error


class ContentForm(HouseForm):
    """What a gold task of a schema shows: its fields, and the prompt and the responses its questions need."""

    queue = forms.ChoiceField(label=_("Checks the queue"))

    def __init__(self, *args: Any, body: Mapping[str, Any], queues: list[tuple[str, str]], **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["queue"].choices = queues  # type: ignore[attr-defined]
        self.shown_fields = {field["name"]: field for field in body.get("fields", [])}
        self.needed = needs(body)
        for name, field in self.shown_fields.items():
            self.fields[SHOWN + name] = _field(field)
        if self.needed.prompt:
            self.fields["prompt"] = forms.CharField(
                label=_("Prompt"),
                strip=False,
                widget=_box(3),
                help_text=_(
                    'Text, or a conversation as JSON: [{"role": "user", "content": "…"}], the last from the user.'
                ),
            )
        for place in range(self.needed.most):
            self.fields[f"{RESPONSE}{place}"] = forms.CharField(
                label=_("Response %s") % letter(POSITIONS[place]),
                required=place < self.needed.least,
                strip=False,
                widget=_box(3),
            )
        self.order_fields([*(name for name in self.fields if name != "queue"), "queue"])

    def clean(self) -> dict[str, Any]:
        found: dict[str, Any] = super().clean() or self.cleaned_data
        for name, field in self.shown_fields.items():
            if field.get("kind") in AS_JSON and found.get(SHOWN + name):
                found[SHOWN + name] = self._json(SHOWN + name, found[SHOWN + name])
        if str(found.get("prompt", "")).lstrip().startswith("["):
            found["prompt"] = self._json("prompt", found["prompt"])
        elif "prompt" in found:
            found["prompt"] = [{"role": "user", "content": found["prompt"]}]
        return found

    def _json(self, name: str, text: str) -> Any:
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            self.add_error(name, _("This is not JSON: %s.") % error)
            return None

    def content(self) -> dict[str, Any]:
        """As `services.gold_keys.make_gold` takes it."""
        found = self.cleaned_data
        shown = {name: found[SHOWN + name] for name in self.shown_fields if found.get(SHOWN + name) not in (None, "")}
        given = [found.get(f"{RESPONSE}{place}", "") for place in range(self.needed.most)]
        return {"data": shown, "prompt": found.get("prompt"), "responses": [text for text in given if text]}


def _field(field: Mapping[str, Any]) -> forms.Field:
    kind, hint = field.get("kind", "text"), field.get("hint", "")
    if kind in AS_JSON:
        hint = f"{hint} {_('JSON:')} {AS_JSON[kind]}".strip()
    elif kind in ("image", "audio", "video"):
        hint = f"{hint} {_('The id of an upload, as upl_….')}".strip()
    attrs = {"spellcheck": "false"} if kind not in ("text", "markdown") else {}
    return forms.CharField(
        label=field["text"], required=field.get("required", True), strip=False, help_text=hint, widget=_box(4, **attrs)
    )


class ReasonForm(HouseForm):
    """An action on somebody's standing, and why."""

    person = forms.ChoiceField(label=_("Person"))
    queue = forms.ChoiceField(label=_("Queue"))
    reason = forms.CharField(
        label=_("Why"), max_length=LONGEST_REASON, help_text=_("The person reads it, and the audit trail keeps it.")
    )

    def __init__(
        self, *args: Any, people: list[tuple[str, str]], queues: list[tuple[str, str]], **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self.fields["person"].choices = people  # type: ignore[attr-defined]
        self.fields["queue"].choices = queues  # type: ignore[attr-defined]
