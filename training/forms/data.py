"""Forms of the data page."""

from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext_lazy as _

from annotation.services.tasks import DEFAULT_QUESTION
from feedback.services.freezing import ANY, LONGEST_NAME, NOT_WAITING, REVIEWED, WIDEST_SHARE
from ground.formats import number
from ground.forms import HouseForm
from training.prompt_lines import Line, read_lines

LARGEST_FILE = 20 * 1024 * 1024
EXAMPLE = '{"prompt": "How do I descale a kettle?", "held_out": true}'


class PromptsForm(HouseForm):
    rows = forms.CharField(
        label=_("Prompts"),
        required=False,
        strip=False,
        help_text=_(
            "One a line. A line that begins with { is read as JSON: prompt or messages, external_id, held_out, metadata."
        ),
        widget=forms.Textarea(attrs={"rows": 6, "dir": "auto", "placeholder": EXAMPLE, "spellcheck": "false"}),
    )
    file = forms.FileField(label=_("Or a file of such lines"), required=False, help_text=_("UTF-8, up to 20 MB."))
    every_nth = forms.IntegerField(
        label=_("Keep out every n-th for evaluation"),
        min_value=0,
        max_value=1000,
        initial=5,
        help_text=_("Held-out prompts are never trained on. 0 keeps none, but for those whose line says so."),
    )

    def clean_file(self) -> str:
        upload: UploadedFile | None = self.cleaned_data["file"]
        if upload is None:
            return ""
        if (upload.size or 0) > LARGEST_FILE:
            raise forms.ValidationError(_("The file is larger than 20 MB. Split it."))
        try:
            return str(upload.read().decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            raise forms.ValidationError(_("The file is not UTF-8. Save it as UTF-8, then try again.")) from error

    def clean(self) -> dict[str, Any]:
        found: dict[str, Any] = super().clean() or self.cleaned_data
        typed, uploaded = found.get("rows", "").strip(), found.get("file", "").strip()
        if not self.errors and bool(typed) == bool(uploaded):
            raise forms.ValidationError(
                _("Paste prompts or choose a file, not both.")
                if typed
                else _("Paste at least one prompt, or choose a file.")
            )
        return found

    def lines(self) -> list[Line]:
        found = self.cleaned_data
        return read_lines(found["rows"].strip() or found["file"], every_nth=found["every_nth"])


class TasksForm(HouseForm):
    job = forms.ChoiceField(label=_("Responses of"))
    overlap = forms.IntegerField(
        label=_("Judgements for each pair"),
        min_value=1,
        max_value=64,
        initial=3,
        help_text=_("By as many different annotators."),
    )
    question = forms.CharField(label=_("Question"), max_length=500, initial=DEFAULT_QUESTION)

    def __init__(self, *args: Any, generations: list[tuple[str, str]], **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["job"].choices = generations  # type: ignore[attr-defined]


RESOLUTIONS = {
    ANY: _("Everything said"),
    NOT_WAITING: _("All but what waits for review"),
    REVIEWED: _("Agreed or settled in review only"),
}


class FreezeForm(HouseForm):
    name = forms.CharField(label=_("Name (optional)"), max_length=LONGEST_NAME, required=False)
    test_share = forms.IntegerField(
        label=_("Kept for testing, per cent"),
        min_value=0,
        max_value=round(WIDEST_SHARE * 100),
        initial=20,
        help_text=_("Of the prompts, drawn by content. Held-out prompts are always among them."),
    )
    seed = forms.IntegerField(
        label=_("Seed"), initial=0, min_value=0, max_value=2**31 - 1, help_text=_("Another one draws other prompts.")
    )
    resolution = forms.ChoiceField(
        label=_("Judgements of"),
        choices=list(RESOLUTIONS.items()),
        initial=ANY,
        required=False,
        help_text=_("Of tasks that came so far in review. Feedback from applications is always in."),
    )
    key = forms.CharField(widget=forms.HiddenInput, max_length=80, initial=lambda: uuid.uuid4().hex)

    def __init__(self, *args: Any, counts: dict[str, int] | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        if counts:
            told = [(name, f"{label} ({number(counts.get(name, 0))})") for name, label in RESOLUTIONS.items()]
            self.fields["resolution"].choices = told  # type: ignore[attr-defined]
