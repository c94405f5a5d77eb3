"""A stopped or failed run goes on from its newest checkpoint."""

from pathlib import Path

import pytest
from django.urls import reverse

from ground.errors import Conflict, Forbidden
from jobs import services as jobs
from training.again import go_on, newest_step
from training.engine.checkpoints import Layout, name_of, seal

pytestmark = pytest.mark.django_db


@pytest.fixture
def stopped(cast, start, base, make_snapshot):
    """A run that was stopped after step 12."""
    run = start("sft", base=base, snapshot=make_snapshot(sft_train=3))
    mine = jobs.claim(job=run.job)
    for step in (5, 12):
        staging = Path(run.folder) / "work" / str(step)
        staging.mkdir(parents=True)
        seal(staging, Path(run.folder) / "checkpoints" / name_of(step), step=step, layout=Layout(2, 2, "s"))
    jobs.request_cancel(actor=cast.mona, job=mine)
    jobs.cancelled(job=mine, result={"checkpoint": name_of(12)})
    run.job.refresh_from_db()
    return run


def test_the_run_itself_is_queued_again(cast, stopped):
    assert newest_step(stopped) == 12
    assert go_on(actor=cast.mona, run=stopped).job.state == "queued"
    with pytest.raises(Conflict):
        go_on(actor=cast.mona, run=stopped)


def test_a_run_without_a_checkpoint_is_to_be_started_again(cast, start, base, make_snapshot):
    run = start("sft", base=base, snapshot=make_snapshot(sft_train=3))
    jobs.request_cancel(actor=cast.mona, job=run.job)
    run.job.refresh_from_db()
    with pytest.raises(Conflict, match="left no checkpoint"):
        go_on(actor=cast.mona, run=run)


def test_only_managers_let_it_go_on(cast, stopped):
    with pytest.raises(Forbidden):
        go_on(actor=cast.bob, run=stopped)


def test_over_http_and_on_its_page(cast, api, stopped, client):
    client.force_login(cast.mona.user)
    page = client.get(reverse("run", args=[cast.project.slug, stopped.public_id])).content.decode()
    assert "Go on from step 12" in page
    answer = api(cast.mona).post(f"/api/v1/projects/{cast.project.slug}/runs/{stopped.public_id}:resume")
    assert (answer.status_code, answer.json()["state"]) == (202, "queued"), answer.content
    again = client.post(reverse("run-resume", args=[cast.project.slug, stopped.public_id]), follow=True)
    assert "It cannot go on: it is queued." in again.content.decode()


def test_it_goes_on_with_its_own_number_of_processes(cast, api, stopped):
    """Checkpoints are in as many parts as there were processes; a body that asks for others is not passed over."""
    address = f"/api/v1/projects/{cast.project.slug}/runs/{stopped.public_id}:resume"
    answer = api(cast.mona).post(address, {"parallelism": {"world_size": 4}})
    assert answer.status_code == 422
    assert "parallelism cannot change" in answer.json()["detail"]
    assert "start a new run with other settings" in answer.json()["hint"]
    stopped.job.refresh_from_db()
    assert stopped.job.state == "cancelled"
