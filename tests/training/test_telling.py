"""What webhooks are told of runs and models."""

import json

import pytest

from jobs import notices, services
from jobs.data import Failure
from jobs.models import Delivery
from jobs.services import request_cancel
from jobs.webhooks import create_webhook
from models_registry.services import move_alias, record_verdict

pytestmark = pytest.mark.django_db


@pytest.fixture
def told(cast):
    """`told()`: what became of everything that happened, oldest first."""
    create_webhook(actor=cast.alice, url="https://example.org/hook", events=list(notices.events()))

    def look():
        notices.spread()
        bodies = [json.loads(row.body) for row in Delivery.objects.order_by("pk")]
        Delivery.objects.all().delete()
        return [(body["type"], body["data"]) for body in bodies]

    return look


def test_the_end_of_a_run_is_told_with_what_a_receiver_needs(told, cast, base, make_snapshot, start):
    run = start("dpo", base=base, snapshot=make_snapshot(preference_train=3))
    assert told() == []
    request_cancel(actor=cast.mona, job=run.job)
    [(event, data)] = told()
    assert (event, data["run"], data["method"], data["project"]) == (
        "run.stopped", run.public_id, "dpo", cast.project.slug,
    )  # fmt: skip
    assert data["path"] == f"/p/{cast.project.slug}/runs/{run.public_id}/"


@pytest.mark.parametrize(
    ("code", "events"),
    [("preflight_blocked", ["run.failed", "decision.needed"]), ("diverged", ["run.failed"])],
)
def test_a_run_that_somebody_must_decide_about_says_so(told, base, make_snapshot, start, code, events):
    run = start("dpo", base=base, snapshot=make_snapshot(preference_train=3))
    job = services.claim(job=run.job)
    services.fail(job=job, failure=Failure(code, "No.", "Do this."))
    found = told()
    assert [event for event, _ in found] == events
    assert found[0][1]["error"] == {"class": code, "message": "No.", "hint": "Do this."}


def test_an_attempt_that_is_tried_again_is_not_told(told, base, make_snapshot, start):
    run = start("dpo", base=base, snapshot=make_snapshot(preference_train=3))
    services.fail(job=services.claim(job=run.job), failure=Failure("lost", "Gone.", retryable=True))
    assert told() == []


def test_a_promotion_is_told(told, cast, base):
    verdict = record_verdict(actor=cast.mona, project=cast.project, version=base, outcome="bootstrap", reason="first")
    move_alias(actor=cast.mona, model=base.model, name="champion", version=base, verdict=verdict, expected_generation=0)
    [(event, data)] = told()
    assert (event, data["version"], data["before"]) == ("model.promoted", base.public_id, None)
