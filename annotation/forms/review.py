"""What reviewers and managers send from the review pages."""

import json
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext as now
from django.utils.translation import gettext_lazy as _

from annotation.data import NewRuling, Settlement
from annotation.services.reviews import LONGEST_REASON
from ground.errors import Invalid
from ground.forms import HouseForm

VERDICT, OWN = "verdict-", "own"


class WatchForm(HouseForm):
    annotator = forms.ChoiceField(label=_("Annotator"))
    share = forms.IntegerField(
        label=_("Answers reviewed, per cent"),
        min_value=0,
        max_value=100,
        initial=100,
        help_text=_("Of those given from now on. 0 ends it."),
    )
    reason = forms.CharField(label=_("Why (optional)"), max_length=LONGEST_REASON, required=False)

    def __init__(self, *args: Any, annotators: list[tuple[str, str]], **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["annotator"].choices = annotators  # type: ignore[attr-defined]


def decision_from(posted: QueryDict) -> Settlement:
    """The settlement that the case page's form means; what is wrong with it is found by the service. Errors: Invalid."""
    names = [field.removeprefix(VERDICT) for field in posted if field.startswith(VERDICT)]
    overall = posted.get("overall", "")
    return Settlement(
        rulings={
            name: NewRuling(posted.get(VERDICT + name, ""), posted.get(f"comment-{name}", "").strip()) for name in names
        },
        cause=posted.get("cause", ""),
        comment=posted.get("comment", "").strip(),
        adopt=overall if overall.startswith("ans_") else "",
        answers=_own(posted) if overall == "own" else None,
        ask_again=overall == "again",
    )


def _own(posted: QueryDict) -> Any:
    """What the controls of the questions wrote. Errors: Invalid."""
    try:
        return json.loads(posted.get(OWN, "") or "{}")
    except (ValueError, RecursionError) as error:
        raise Invalid(now("Your own answer did not arrive whole."), hint=now("Give it again, then settle.")) from error
