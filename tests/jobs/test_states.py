"""A job's state machine: every race is decided by the database, every write by the lease token."""

from datetime import timedelta
from typing import Any

import pytest

from accounts.models import Event
from ground import clock
from ground.errors import Conflict, Forbidden, Invalid
from jobs import services
from jobs.data import Failure
from jobs.errors import JobError, LeaseLost
from jobs.models import Job, Outbox

pytestmark = [pytest.mark.store, pytest.mark.django_db]
LOST = Failure("process_gone", "It went away.", "It goes on.", retryable=True)
SPEC = {"schema_version": 1, "steps": 3}


def claimed(job: Job) -> Job:
    mine = services.claim(job=job)
    assert mine is not None
    return mine


def test_the_same_key_returns_the_first_job(make_job: Any) -> None:
    assert make_job(key="once") == make_job(key="once")
    assert Job.objects.count() == 1


def test_a_key_cannot_mean_two_things(make_job: Any) -> None:
    make_job(key="once", steps=3)
    with pytest.raises(Conflict):
        make_job(key="once", steps=4)


def test_jobs_without_a_key_are_all_different(make_job: Any) -> None:
    assert make_job() != make_job()


def test_a_wrong_spec_is_refused_with_its_path(make_job: Any) -> None:
    with pytest.raises(Invalid, match="steps: must be a whole number"):
        make_job(steps="many")


def test_an_unknown_kind_is_refused_with_the_known_ones(make_job: Any) -> None:
    with pytest.raises(Invalid, match="fake-run"):
        make_job(kind="alchemy")


def test_an_actor_of_another_project_may_not_submit(cast: Any) -> None:
    with pytest.raises(Forbidden):
        services.submit(actor=cast.mallory, project=cast.project, kind="fake-run", spec=SPEC)


def test_only_the_first_claim_wins(make_job: Any) -> None:
    job = make_job()
    mine = claimed(job)
    assert services.claim(job=job) is None
    assert (mine.state, mine.attempt) == (Job.State.RUNNING, 1)


def test_a_live_lease_cannot_be_taken_over(make_job: Any) -> None:
    assert services.take_over(job=claimed(make_job())) is None


def test_an_expired_lease_goes_to_one_successor(make_job: Any, stopped_clock: Any) -> None:
    mine = claimed(make_job())
    stopped_clock.advance(minutes=5)
    successor = services.take_over(job=mine, holder={"host": "here", "supervisor": {"pid": 2}})
    assert successor is not None
    assert successor.process == {"host": "here", "supervisor": {"pid": 2}}, "no look finds the dead holder's stamp"
    assert successor.lease_token != mine.lease_token
    assert services.take_over(job=mine) is None


def test_renewing_keeps_the_lease(make_job: Any, stopped_clock: Any) -> None:
    """20 s leases: renewed at 15 s, it holds until 35 s, so nobody may take it at 30 s."""
    mine = claimed(make_job())
    stopped_clock.advance(seconds=15)
    services.renew(job=mine)
    stopped_clock.advance(seconds=15)
    assert services.take_over(job=mine) is None


@pytest.mark.parametrize(
    "write",
    [
        lambda job: services.renew(job=job, progress={"step": 99}),
        lambda job: services.succeed(job=job, result={"steps": 99}),
        lambda job: services.fail(job=job, failure=LOST),
        lambda job: services.fail(job=job, failure=Failure("bad_spec", "No.")),
        lambda job: services.cancelled(job=job),
        lambda job: services.postpone(job=job, seconds=1, progress={}),
        lambda job: services.count_attempt(job=job, progressed=False),
    ],
)
def test_whoever_lost_the_lease_changes_nothing(make_job: Any, stopped_clock: Any, write: Any) -> None:
    late = claimed(make_job())
    stopped_clock.advance(minutes=5)
    holder = services.take_over(job=late)
    with pytest.raises(LeaseLost):
        write(late)
    assert Job.objects.filter(pk=late.pk).values().get() == Job.objects.filter(pk=holder.pk).values().get()
    now = Job.objects.get(pk=late.pk)
    assert (now.state, now.lease_token, now.progress, now.attempt) == ("running", holder.lease_token, {}, 1)
    assert not Outbox.objects.exists()


def test_success_keeps_what_finish_made(make_job: Any) -> None:
    job = services.succeed(job=claimed(make_job()), result={"steps": 3})
    assert (job.state, job.result, job.error) == ("succeeded", {"steps": 3, "text": ""}, None)
    assert Outbox.objects.filter(object_id=job.pk).count() == 1


def test_a_result_with_nul_and_half_characters_can_be_kept(make_job: Any) -> None:
    job = services.succeed(job=claimed(make_job()), result={"steps": 3, "text": "a\x00b\ud800"})
    assert job.result["text"] == "ab?"


def test_when_finish_fails_nothing_of_it_stays(make_job: Any) -> None:
    mine = claimed(make_job(finish_fails=True))
    with pytest.raises(JobError):
        services.succeed(job=mine, result={"steps": 3})
    mine.refresh_from_db()
    assert mine.state == "running"
    assert not Outbox.objects.exists()


def test_a_lost_attempt_is_queued_again_after_a_pause(make_job: Any, stopped_clock: Any, settings: Any) -> None:
    """Pauses are 2 s after the first attempt and 2 x 4 = 8 s after the second."""
    settings.JOB_RETRY_SECONDS = 2
    job = services.fail(job=claimed(make_job()), failure=LOST)
    assert (job.state, job.not_before) == ("queued", clock.now() + timedelta(seconds=2))
    assert job.error["message"] == "It went away."
    again = services.fail(job=claimed(job), failure=LOST)
    assert again.not_before == clock.now() + timedelta(seconds=8)


def test_after_the_last_attempt_the_job_has_failed(make_job: Any) -> None:
    job = make_job()
    for _attempt in range(3):
        job = services.fail(job=claimed(job), failure=LOST)
    assert (job.state, job.attempt, job.error["class"]) == ("failed", 3, "process_gone")


def test_an_attempt_that_left_a_newer_checkpoint_does_not_count(make_job: Any) -> None:
    """Five kills with progress, then three without: it fails at attempt 8, not at 3."""
    job = make_job()
    for _attempt in range(5):
        job = services.fail(job=claimed(job), failure=LOST, progressed=True)
    for _attempt in range(2):
        job = services.fail(job=claimed(job), failure=LOST)
    assert job.state == "queued"
    assert services.fail(job=claimed(job), failure=LOST).state == "failed"


def test_a_failure_that_repeats_is_final_at_once(make_job: Any) -> None:
    job = services.fail(job=claimed(make_job()), failure=Failure("bad_spec", "Wrong.", "Mend it."))
    assert (job.state, job.attempt) == ("failed", 1)
    assert job.error == {"class": "bad_spec", "message": "Wrong.", "hint": "Mend it.", "attempt": 1}


def test_waiting_for_a_device_costs_no_attempt(make_job: Any) -> None:
    job = make_job()
    services.postpone(job=claimed(job), seconds=3, progress={"phase": "waiting_for_device"})
    job.refresh_from_db()
    assert (job.state, job.attempt, job.lease_token) == ("queued", 0, None)


def test_a_queued_job_is_cancelled_at_once(make_job: Any, cast: Any) -> None:
    job = services.request_cancel(actor=cast.mona, job=make_job())
    assert job.state == "cancelled"
    assert services.claim(job=job) is None


def test_a_running_job_is_asked_to_stop(make_job: Any, cast: Any) -> None:
    mine = claimed(make_job())
    asked = services.request_cancel(actor=cast.alice, job=mine)
    assert asked.state == "running"
    assert asked.cancel_requested_at is not None


def test_a_job_asked_to_stop_is_not_tried_again(make_job: Any, cast: Any) -> None:
    mine = claimed(make_job())
    services.request_cancel(actor=cast.mona, job=mine)
    assert services.fail(job=mine, failure=LOST).state == "cancelled"


def test_a_job_asked_to_stop_does_not_wait_for_a_device(make_job: Any, cast: Any) -> None:
    mine = claimed(make_job())
    services.request_cancel(actor=cast.mona, job=mine)
    services.postpone(job=mine, seconds=3, progress={})
    mine.refresh_from_db()
    assert mine.state == "cancelled"


def test_cancelling_twice_is_as_good_as_once(make_job: Any, cast: Any) -> None:
    job = make_job()
    services.request_cancel(actor=cast.mona, job=job)
    assert services.request_cancel(actor=cast.mona, job=job).state == "cancelled"
    assert Event.objects.filter(verb="job.cancel_requested").count() == 1


def test_what_is_over_cannot_be_cancelled(make_job: Any, cast: Any) -> None:
    job = services.succeed(job=claimed(make_job()), result={"steps": 3})
    with pytest.raises(Conflict):
        services.request_cancel(actor=cast.mona, job=job)


def test_an_annotator_cannot_cancel_a_managers_job(make_job: Any, cast: Any) -> None:
    with pytest.raises(Forbidden):
        services.request_cancel(actor=cast.bob, job=make_job())


@pytest.mark.parametrize("end", ["cancelled", "failed"])
def test_a_run_that_ended_early_goes_on_with_its_attempts_anew(make_job: Any, cast: Any, end: str) -> None:
    """Three attempts are used; three more are there afterwards: 3 + 3 = 6."""
    job = make_job()
    if end == "failed":
        for _attempt in range(3):
            job = services.fail(job=claimed(job), failure=LOST)
    else:
        mine = claimed(job)
        services.request_cancel(actor=cast.mona, job=mine)
        job = services.cancelled(job=mine, result={"checkpoint": "step-000004"})
    used = job.attempt
    again = services.go_on(actor=cast.mona, job=job)
    assert (again.state, again.max_attempts, again.result, again.error) == ("queued", used + 3, None, None)
    assert claimed(again).cancel_requested_at is None, "the old wish to stop would stop it at once"
    assert Event.objects.get(verb="job.resumed").object_id == job.public_id


def test_only_what_ended_early_goes_on(make_job: Any, cast: Any) -> None:
    working, done = claimed(make_job()), claimed(make_job())
    services.succeed(job=done, result={"steps": 3})
    for job in (working, done):
        with pytest.raises(Conflict):
            services.go_on(actor=cast.mona, job=job)
    with pytest.raises(Forbidden):
        services.go_on(actor=cast.bob, job=working)


def test_work_without_a_run_directory_cannot_go_on(make_job: Any, cast: Any) -> None:
    job = services.request_cancel(actor=cast.mona, job=make_job(kind="fake-short"))
    with pytest.raises(Conflict, match="nothing to go on from"):
        services.go_on(actor=cast.mona, job=job)


def test_submitting_leaves_an_audit_event(make_job: Any, cast: Any) -> None:
    job = make_job()
    event = Event.objects.get(verb="job.submitted")
    assert (event.object_id, event.actor, event.data) == (job.public_id, cast.mona, {"kind": "fake-run"})
