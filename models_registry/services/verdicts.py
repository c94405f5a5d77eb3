"""Measurements, and the judgements made on them."""

from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts.models import Actor, Project
from accounts.services import MANAGERS, record_event, require_role
from ground.errors import Conflict, Invalid
from jobs import notices
from jobs.models import Job
from models_registry.models import Alias, Evaluation, ModelVersion, Verdict

EVEN = 0.5
"""The win rate of a copy."""


def record_evaluation(
    *,
    project: Project,
    version: ModelVersion,
    judge: str,
    spec: dict[str, Any],
    metrics: dict[str, Any],
    baseline: ModelVersion | None = None,
    job: Job | None = None,
) -> Evaluation:
    """A measurement, once per job. A comparison keeps `metrics["win_rate"]` as measures.WinRate's fields."""
    values = {
        "project": project,
        "version": version,
        "baseline": baseline,
        "judge": judge,
        "spec": spec,
        "metrics": metrics,
    }
    if job is None:
        return Evaluation.objects.create(**values)
    try:
        with transaction.atomic():
            return Evaluation.objects.create(job=job, **values)
    except IntegrityError:
        return Evaluation.objects.get(job=job)


def outcome_of(metrics: dict[str, Any]) -> str:
    """Better or worse when the whole interval lies on one side of even; undecided when not, or with too few people.

    Errors: Invalid when the metrics hold no win rate with bounds.
    """
    rate = metrics.get("win_rate")
    low, high = (rate.get("low"), rate.get("high")) if isinstance(rate, dict) else (None, None)
    if not isinstance(rate, dict) or not isinstance(low, int | float) or not isinstance(high, int | float):
        raise Invalid(
            _("This evaluation holds no win rate with its interval."),
            hint=_("Evaluate the version against the champion."),
        )
    if rate.get("enough") is False:
        return Verdict.Outcome.UNDECIDED
    if low > EVEN:
        return Verdict.Outcome.BETTER
    return Verdict.Outcome.WORSE if high < EVEN else Verdict.Outcome.UNDECIDED


@transaction.atomic
def record_verdict(
    *,
    actor: Actor | None,
    project: Project,
    evaluation: Evaluation | None = None,
    version: ModelVersion | None = None,
    outcome: str = "",
    reason: str = "",
) -> Verdict:
    """The judgement of a challenger. Without `outcome` the evaluation's interval decides.

    `override` (a manager, with a reason) and `bootstrap` (a manager, while the model has no champion) are said, not
    measured. Errors: Invalid, Conflict, Forbidden.
    """
    version = version or (evaluation.version if evaluation else None)
    if version is None or (evaluation is not None and evaluation.version_id != version.pk):
        raise Invalid(_("Give an evaluation, or the version that the verdict is about."))
    champion = Alias.objects.filter(model_id=version.model_id, name=Alias.CHAMPION).select_related("version").first()
    if outcome:
        _check_said(actor, outcome, reason.strip(), champion)
    elif evaluation is None:
        raise Invalid(_("Without an evaluation a verdict must be an override or a bootstrap."))
    else:
        outcome = outcome_of(evaluation.metrics)
    compared = (
        evaluation.baseline if evaluation and evaluation.baseline_id else (champion.version if champion else None)
    )
    verdict = Verdict.objects.create(
        project=project,
        version=version,
        champion=compared,
        evaluation=evaluation,
        outcome=outcome,
        reason=reason.strip(),
        evidence=_evidence(evaluation),
        actor=actor,
    )
    record_event(
        project=project, actor=actor, verb="verdict.recorded", object_id=verdict.public_id, data={"outcome": outcome}
    )
    notices.tell(project_id=project.pk, topic="verdict.recorded", object_id=verdict.pk)
    return verdict


def _check_said(actor: Actor | None, outcome: str, reason: str, champion: Alias | None) -> None:
    if outcome not in (Verdict.Outcome.OVERRIDE, Verdict.Outcome.BOOTSTRAP):
        raise Invalid(_("Only override and bootstrap can be said; better and worse are measured."))
    if actor is not None:
        require_role(actor, *MANAGERS)
    if outcome == Verdict.Outcome.OVERRIDE and not reason:
        raise Invalid(_("An override needs a reason."), hint=_("Say why this version should serve all the same."))
    if outcome == Verdict.Outcome.BOOTSTRAP and champion is not None:
        raise Conflict(
            _("This model has a champion already: %s.") % champion.version,
            hint=_("Compare the version with it, or override with a reason."),
        )


def _evidence(evaluation: Evaluation | None) -> dict[str, Any]:
    if evaluation is None:
        return {"schema_version": 1}
    return {
        "schema_version": 1,
        "evaluation": evaluation.public_id,
        "judge": evaluation.judge,
        "win_rate": evaluation.metrics.get("win_rate"),
    }
