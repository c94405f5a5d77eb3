"""What runs cost: the time in which they held devices, and the energy that this is thought to be."""

import uuid
from datetime import timedelta

import pytest
from django.urls import reverse

from ground import clock
from jobs.models import Device, Job, JobEvent
from training.costs import cost_of, costs_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def ran(start, base, make_snapshot, stopped_clock):
    """`ran()`: a run that was claimed 100 s ago. Its first attempt computed from 90 to 70 s ago, the second from 30 to 10 s ago."""

    def make(**asked):
        run = start("dpo", base=base, snapshot=make_snapshot(preference_train=3), **asked)
        ago = lambda seconds: clock.now() - timedelta(seconds=seconds)  # noqa: E731
        for seq, (seconds, kind, name) in enumerate(
            [(90, "phase", "starting"), (70, "metric", ""), (30, "phase", "starting"), (20, "metric", "")], 1
        ):
            JobEvent.objects.create(job=run.job, seq=seq, at=ago(seconds), kind=kind, data={"name": name})
        changed = {"state": "failed", "started_at": ago(100), "finished_at": ago(10), "process": {"host": "big"}}
        Job.objects.filter(pk=run.job_id).update(**changed)
        run.job.refresh_from_db()
        return run

    return make


TWO = {"world_size": 2, "zero_stage": 2}


def test_time_between_attempts_costs_nothing(ran):
    """20 s and 20 s of 90: 40 s. At 100 W that is 4000 J = 1.11 Wh."""
    cost = cost_of(ran())
    assert (cost.devices, cost.kind, cost.device_seconds) == (1, "cpu", 40.0)
    assert cost.kilowatt_hours == pytest.approx(4000 / 3.6e6)


def test_processes_share_a_cpu_and_have_a_gpu_each(ran, settings):
    settings.GPU_WATTS = 700.0
    run = ran(parallelism=TWO)
    assert cost_of(run).device_seconds == 40.0
    Device.objects.create(host="big", kind="gpu", ordinal=0)
    cost = cost_of(run)
    assert (cost.devices, cost.kind, cost.device_seconds, cost.watts) == (2, "gpu", 80.0, 700.0)
    assert cost_of(ran(parallelism={**TWO, "device": "cpu"})).kind == "cpu"


def test_a_run_at_work_costs_until_now_and_one_that_waits_again_does_not(ran):
    """At work: 20 s, and 30 s since its second start. Queued again: its last event was 20 s ago, 10 s after that start."""
    run = ran()
    Job.objects.filter(pk=run.job_id).update(state="queued", finished_at=None)
    run.job.refresh_from_db()
    assert cost_of(run).seconds == pytest.approx(30)
    run.job.state = "running"
    assert cost_of(run).seconds == pytest.approx(50)


def test_before_the_engine_speaks_it_costs_since_it_was_claimed(start, base, make_snapshot, stopped_clock):
    run = start("dpo", base=base, snapshot=make_snapshot(preference_train=3))
    assert cost_of(run).seconds == 0.0
    run.job.state, run.job.started_at = "running", clock.now() - timedelta(seconds=7)
    assert cost_of(run).seconds == 7.0
    run.job.progress = {"phase": "preflight"}
    assert cost_of(run).seconds == 0.0


def test_the_api_says_how_long_a_run_still_takes(ran, cast, api):
    """It began step 0 of 24 a minute ago and did 12: another minute."""
    run = ran()
    at = clock.now() - timedelta(seconds=60)
    JobEvent.objects.create(job=run.job, seq=9, at=at, kind="phase", data={"name": "training", "step": 0, "steps": 24})
    Job.objects.filter(pk=run.job_id).update(
        state="running", finished_at=None, lease_token=uuid.uuid4(), progress={"step": 12, "steps": 24}
    )
    path = f"/api/v1/projects/{cast.project.slug}/runs/{run.public_id}"
    assert api(cast.mona).get(path).json()["seconds_left"] == 60.0
    Job.objects.filter(pk=run.job_id).update(state="failed", finished_at=clock.now(), lease_token=None)
    assert api(cast.mona).get(path).json()["seconds_left"] is None


def test_a_list_of_runs_asks_no_more_than_one_run(ran, start, base, make_snapshot, django_assert_num_queries):
    alone = [start("dpo", base=base, snapshot=make_snapshot(preference_train=3)) for _ in range(3)]
    with django_assert_num_queries(2):
        costs_of(alone)


def test_the_page_the_list_and_the_api_say_what_it_cost(ran, cast, client, api):
    run = ran()
    client.force_login(cast.carol.user)
    page = client.get(reverse("run", args=[cast.project.slug, run.public_id])).content.decode()
    assert "about 1.1 Wh, at 100 W a CPU" in page
    assert '<td class="num">40</td>' in client.get(reverse("runs", args=[cast.project.slug])).content.decode()
    path = f"/api/v1/projects/{cast.project.slug}/runs"
    (listed,) = api(cast.mona).get(path).json()["results"]
    assert listed["cost"] == {
        "device_seconds": 40.0, "devices": 1, "kind": "cpu", "watts": 100.0, "kilowatt_hours": pytest.approx(0.00111, rel=0.01),
    }  # fmt: skip
    assert api(cast.mona).get(f"{path}/{run.public_id}").json()["cost"] == listed["cost"]
