"""From what people said in a round to a verdict."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import Actor
from accounts.services import MANAGERS, require_role
from feedback.selectors import human_win_rate, votes
from ground.errors import Invalid
from models_registry.models import Evaluation, Verdict
from models_registry.services import record_evaluation, record_verdict

PEOPLE = "people"


def voters(evaluation: Evaluation) -> Counter[str]:
    """Who has judged a round so far, counted by kind: people, simulated annotators, others."""
    who = {vote.actor for vote in votes(project=evaluation.project, evaluation=evaluation)}
    return Counter(Actor.objects.filter(pk__in=who).values_list("kind", flat=True))


@transaction.atomic
def record_verdict_of_people(*, actor: Actor, evaluation: Evaluation) -> Verdict:
    """Freeze the win rate as people stated it so far, and the verdict that follows from it. Managers only.

    An evaluation never changes, so the numbers become one of their own, which names the round it was taken from.
    Errors: Invalid before anybody could tell.
    """
    require_role(actor, *MANAGERS)
    rate = human_win_rate(evaluation)
    if rate is None:
        raise Invalid(_("Nobody has judged this comparison yet."), hint=_("Its pairs are in the labeling queue."))
    frozen = record_evaluation(
        project=evaluation.project,
        version=evaluation.version,
        baseline=evaluation.baseline,
        judge=PEOPLE,
        spec={**evaluation.spec, "evaluation": evaluation.public_id, "judges": dict(voters(evaluation))},
        metrics={"win_rate": asdict(rate)},
    )
    return record_verdict(actor=actor, project=evaluation.project, evaluation=frozen)
