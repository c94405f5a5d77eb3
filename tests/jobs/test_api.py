"""Jobs over HTTP."""

from typing import Any

import pytest

from jobs import services
from jobs.models import JobEvent

pytestmark = pytest.mark.django_db


@pytest.fixture
def base(cast: Any) -> str:
    return f"/api/v1/projects/{cast.project.slug}/jobs"


def test_the_list_is_newest_first_and_can_be_narrowed(api: Any, cast: Any, make_job: Any, base: str) -> None:
    older, newer = make_job(), make_job(kind="fake-short")
    client = api(cast.bob)
    assert [row["id"] for row in client.get(base).json()["results"]] == [newer.public_id, older.public_id]
    assert [row["id"] for row in client.get(base, {"kind": "fake-run"}).json()["results"]] == [older.public_id]


def test_an_unknown_filter_is_refused(api: Any, cast: Any, base: str) -> None:
    answer = api(cast.mona).get(base, {"status": "queued"})
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    assert "state" in answer.json()["errors"]["status"][0]


def test_one_job_shows_state_and_spec(api: Any, cast: Any, make_job: Any, base: str) -> None:
    job = make_job()
    body = api(cast.bob).get(f"{base}/{job.public_id}").json()
    assert (body["state"], body["label"], body["spec"]["steps"], body["actor"]) == (
        "queued",
        "Fake run",
        3,
        cast.mona.public_id,
    )


def test_events_come_in_order_after_the_last_known(api: Any, cast: Any, make_job: Any, base: str) -> None:
    job = make_job()
    rows = [JobEvent(job=job, seq=seq, at=job.created_at, kind="metric", step=seq, data={}) for seq in (1, 2, 3)]
    JobEvent.objects.bulk_create(rows)
    body = api(cast.bob).get(f"{base}/{job.public_id}/events", {"after": 1, "kind": "metric"}).json()
    assert [row["seq"] for row in body["results"]] == [2, 3]


def test_a_manager_cancels(api: Any, cast: Any, make_job: Any, base: str) -> None:
    job = make_job()
    answer = api(cast.mona).post(f"{base}/{job.public_id}:cancel")
    assert (answer.status_code, answer.json()["state"]) == (202, "cancelled")


def test_an_annotator_does_not(api: Any, cast: Any, make_job: Any, base: str) -> None:
    assert api(cast.bob).post(f"{base}/{make_job().public_id}:cancel").status_code == 403


def test_a_reading_token_does_not(api: Any, cast: Any, make_job: Any, base: str) -> None:
    assert api(cast.mona, "read").post(f"{base}/{make_job().public_id}:cancel").status_code == 403


def test_cancelling_what_is_over_is_a_conflict(api: Any, cast: Any, make_job: Any, base: str) -> None:
    job = services.succeed(job=services.claim(job=make_job()), result={"steps": 3})
    answer = api(cast.mona).post(f"{base}/{job.public_id}:cancel")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


@pytest.mark.parametrize("path", ["", "/{job}", "/{job}/events"])
def test_an_outsider_sees_nothing(api: Any, cast: Any, make_job: Any, base: str, path: str) -> None:
    assert api(cast.mallory).get(base + path.format(job=make_job().public_id)).status_code == 404


def test_another_projects_job_does_not_exist_here(api: Any, cast: Any, make_job: Any) -> None:
    elsewhere = f"/api/v1/projects/{cast.mallory.project.slug}/jobs/{make_job().public_id}"
    assert api(cast.mallory).get(elsewhere).status_code == 404
    assert api(cast.mallory).post(f"{elsewhere}:cancel").status_code == 404
