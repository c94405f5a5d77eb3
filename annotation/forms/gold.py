"""What managers send from the gold pages."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from annotation.answer_words import chosen
from annotation.services.gold_keys import LONGEST_EXPLANATION
from annotation.services.standings import LONGEST_REASON
from ground.forms import HouseForm

SHOWN, ASKED = "shown-", "asked-"
PAIRWISE = (
    ("first", _("A is better")),
    ("second", _("B is better")),
    ("tie", _("About equal")),
    ("neither", _("Both bad")),
)


class KeyForm(HouseForm):
    """The key of a gold task: a choice for each question of its schema."""

    explanation = forms.CharField(
        label=_("Why (optional)"),
        required=False,
        max_length=LONGEST_EXPLANATION,
        widget=forms.Textarea(attrs={"rows": 2, "dir": "auto"}),
        help_text=_("Markdown. Shown after the answer where the queue says at once how it was."),
    )

    def __init__(self, *args: Any, body: Mapping[str, Any], **options: Any) -> None:
        super().__init__(*args, **options)
        self.questions = body["questions"]
        for question in self.questions:
            self.fields[ASKED + question["name"]] = _choice(question)
        self.order_fields([*(name for name in self.fields if name != "explanation"), "explanation"])

    @property
    def asked(self) -> list[forms.BoundField]:
        return [self[ASKED + question["name"]] for question in self.questions]

    def answers(self) -> dict[str, Any]:
        said = {}
        for question in self.questions:
            found = self.cleaned_data[ASKED + question["name"]]
            said[question["name"]] = chosen(question, found if isinstance(found, list) else [found])
        return said

    @staticmethod
    def start(body: Mapping[str, Any], answers: Mapping[str, Any], explanation: str) -> dict[str, Any]:
        """What the form shows for a key there is."""
        found: dict[str, Any] = {"explanation": explanation}
        for question in body["questions"]:
            answer = answers.get(question["name"], {})
            labels = answer.get("labels", [])
            one = labels if question.get("multiple") else next(iter(labels), "")
            found[ASKED + question["name"]] = one if question["kind"] == "labels" else answer.get("choice")
        return found


def _choice(question: Mapping[str, Any]) -> forms.Field:
    if question["kind"] == "pairwise":
        return forms.ChoiceField(label=question["text"], choices=PAIRWISE, widget=forms.RadioSelect)
    options = [(option["value"], option["text"]) for option in question.get("options", [])]
    if question.get("multiple"):
        return forms.MultipleChoiceField(
            label=question["text"], choices=options, widget=forms.CheckboxSelectMultiple, required=False
        )
    return forms.ChoiceField(label=question["text"], choices=options, widget=forms.RadioSelect)


class GoldForm(KeyForm):
    """A gold task of its own: the fields a schema shows, and the key."""

    queue = forms.ChoiceField(label=_("Checks the queue"))

    def __init__(self, *args: Any, body: Mapping[str, Any], queues: list[tuple[str, str]], **options: Any) -> None:
        super().__init__(*args, body=body, **options)
        self.fields["queue"].choices = queues  # type: ignore[attr-defined]
        self.shown_names = [field["name"] for field in body.get("fields", [])]
        for field in body.get("fields", []):
            self.fields[SHOWN + field["name"]] = forms.CharField(
                label=field["text"], strip=False, widget=forms.Textarea(attrs={"rows": 4, "dir": "auto"})
            )

    @property
    def shown(self) -> list[forms.BoundField]:
        return [self[SHOWN + name] for name in self.shown_names]

    def data_shown(self) -> dict[str, Any]:
        return {name: self.cleaned_data[SHOWN + name] for name in self.shown_names}


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
