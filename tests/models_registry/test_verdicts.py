"""A verdict follows its evidence, or says who overrode it and why."""

from typing import Any

import pytest

from ground.errors import Conflict, Forbidden, Invalid
from models_registry.models import Evaluation
from models_registry.services import move_alias, record_evaluation, record_verdict
from models_registry.services.verdicts import outcome_of
from tests.models_registry.conftest import win_rate

pytestmark = [pytest.mark.django_db, pytest.mark.store]


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (0.51, 0.9, "better"),
        (0.1, 0.49, "worse"),
        (0.4, 0.6, "undecided"),
        (0.5, 0.9, "undecided"),
        (0.2, 0.5, "undecided"),
    ],
)
def test_the_interval_decides(low: float, high: float, outcome: str) -> None:
    """Better needs low > 0.5, worse needs high < 0.5; a bound at exactly 0.5 decides nothing."""
    assert outcome_of(win_rate(low, high)) == outcome


def test_too_few_people_decide_nothing() -> None:
    assert outcome_of(win_rate(0.9, 1.0, enough=False)) == "undecided"


@pytest.mark.parametrize(
    "metrics", [{}, {"win_rate": None}, {"win_rate": {"estimate": 0.9}}, {"win_rate": {"low": "a"}}]
)
def test_metrics_without_an_interval_are_refused(metrics: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        outcome_of(metrics)


def test_a_verdict_keeps_its_evidence(cast: Any, first: Any, second: Any, measured: Any) -> None:
    evaluation = measured(second, first, 0.55, 0.75)
    verdict = record_verdict(actor=None, project=cast.project, evaluation=evaluation)
    assert (verdict.outcome, verdict.version, verdict.champion) == ("better", second, first)
    assert verdict.evidence["win_rate"]["low"] == 0.55
    assert verdict.evidence["evaluation"] == evaluation.public_id


def test_better_cannot_be_said(cast: Any, first: Any) -> None:
    with pytest.raises(Invalid):
        record_verdict(actor=cast.mona, project=cast.project, version=first, outcome="better")


def test_an_override_needs_a_reason(cast: Any, first: Any) -> None:
    with pytest.raises(Invalid, match="reason"):
        record_verdict(actor=cast.mona, project=cast.project, version=first, outcome="override", reason="  ")


def test_an_override_needs_a_manager(cast: Any, first: Any) -> None:
    with pytest.raises(Forbidden):
        record_verdict(actor=cast.carol, project=cast.project, version=first, outcome="override", reason="I like it")


def test_bootstrap_ends_with_the_first_champion(cast: Any, model: Any, first: Any, second: Any) -> None:
    verdict = record_verdict(actor=cast.mona, project=cast.project, version=first, outcome="bootstrap")
    move_alias(actor=cast.mona, model=model, name="champion", version=first, verdict=verdict, expected_generation=0)
    with pytest.raises(Conflict):
        record_verdict(actor=cast.mona, project=cast.project, version=second, outcome="bootstrap")


def test_a_job_records_one_evaluation(cast: Any, first: Any) -> None:
    from jobs.models import Job

    job = Job.objects.create(project=cast.project, kind="evaluate", spec={"schema_version": 1})
    values: dict[str, Any] = {
        "project": cast.project,
        "version": first,
        "judge": "people",
        "spec": {"schema_version": 1},
    }
    once = record_evaluation(job=job, metrics={"a": 1}, **values)
    again = record_evaluation(job=job, metrics={"a": 2}, **values)
    assert once == again
    assert Evaluation.objects.get().metrics == {"a": 1}
