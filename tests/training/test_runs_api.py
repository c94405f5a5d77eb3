"""Runs as a client of the API meets them."""

from pathlib import Path

import pytest

from ground import clock
from jobs.models import JobEvent
from training.engine.methods import METHODS
from training.models import Run

pytestmark = pytest.mark.django_db


@pytest.fixture
def paths(cast):
    return f"/api/v1/projects/{cast.project.slug}"


@pytest.fixture
def run(start, base, make_snapshot):
    return start("sft", base=base, snapshot=make_snapshot(sft_train=3))


def test_a_manager_starts_a_run_by_name(cast, api, paths, base, make_snapshot):
    snapshot = make_snapshot(preference_train=3)
    body = {"method": "dpo", "base": str(base), "snapshot": snapshot.public_id, "hyperparameters": {"beta": 0.3}}
    answer = api(cast.mona).post(f"{paths}/runs", body)
    assert answer.status_code == 202, answer.content
    assert (answer.json()["state"], answer.json()["base"]) == ("queued", base.public_id)
    assert answer.json()["settings"]["hyperparameters"] == {"beta": 0.3}


def test_a_retry_with_the_same_key_is_the_same_run(cast, api, paths, base, make_snapshot):
    body = {"method": "sft", "base": base.public_id, "snapshot": make_snapshot(sft_train=1).public_id}
    client = api(cast.mona)
    answers = [client.post(f"{paths}/runs", body, headers={"Idempotency-Key": "k"}).json() for _ in range(2)]
    assert answers[0]["id"] == answers[1]["id"]
    assert Run.objects.count() == 1


def test_a_refusal_says_what_is_wrong_and_how_to_mend_it(cast, api, paths, base):
    refused = api(cast.mona).post(f"{paths}/runs", {"method": "dpo", "base": base.public_id})
    assert (refused.status_code, refused.headers["Content-Type"]) == (422, "application/problem+json")
    assert refused.json()["detail"] == "DPO needs a snapshot with preference rows."
    assert refused.json()["hint"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"method": "ppo"},
        {"method": "sft", "surprise": 1},
        {"method": "generate", "prompts": 5},
        {"method": "generate", "prompts": [5]},
        {"method": "import", "hyperparameters": []},
        {"method": "import", "hyperparameters": {"source": 3}},
        {"method": "import", "hyperparameters": {"source": {"kind": ["tiny"]}}},
        {"method": "import", "hyperparameters": {"source": {"kind": "tiny"}}, "seed": -1},
        {"method": "import", "hyperparameters": {"source": {"kind": "path", "path": 5}}},
        {"method": "sft", "base": "ver_none\x00"},
        {"method": "evaluate", "base": "nobody@1", "sampling": {"seed": "x"}},
    ],
)
def test_no_body_makes_the_server_fail(cast, api, paths, body):
    refused = api(cast.mona).post(f"{paths}/runs", body)
    assert refused.status_code in (400, 404, 422), refused.content
    assert refused.json()["code"]


def test_an_annotator_reads_runs_and_starts_none(cast, api, paths, run):
    bob = api(cast.bob)
    assert bob.get(f"{paths}/runs/{run.public_id}").json()["id"] == run.public_id
    assert bob.post(f"{paths}/runs", {"method": "import"}).status_code == 403
    assert bob.post(f"{paths}/runs/{run.public_id}:cancel").status_code == 403


def test_a_token_without_the_scope_starts_nothing(cast, api, paths):
    assert api(cast.mona, "read").post(f"{paths}/runs", {"method": "import"}).status_code == 403


def test_somebody_elses_run_does_not_exist(cast, api, run):
    theirs = f"/api/v1/projects/{cast.mallory.project.slug}/runs/{run.public_id}"
    assert [api(cast.mallory).get(theirs + end).status_code for end in ("", "/metrics", "/log")] == [404, 404, 404]


def test_runs_are_listed_newest_first_and_filtered(cast, api, paths, run, start, base, make_snapshot):
    second = start("dpo", base=base, snapshot=make_snapshot(preference_train=1))
    client = api(cast.mona)
    assert [row["id"] for row in client.get(f"{paths}/runs").json()["results"]] == [second.public_id, run.public_id]
    found = client.get(f"{paths}/runs", {"method": "sft", "state": "queued"}).json()["results"]
    assert [row["id"] for row in found] == [run.public_id]


def say(run, seq, kind, **data):
    JobEvent.objects.create(job=run.job, seq=seq, at=clock.now(), kind=kind, step=data.get("step"), data=data)


def test_curves_leave_out_steps_that_were_run_again(cast, api, paths, run):
    """Steps 1, 2, 3, then resumed at 1: the second account of 2 counts."""
    for seq, (step, loss) in enumerate([(1, 4.0), (2, 3.5), (3, 3.0)], 1):
        say(run, seq, "metric", step=step, loss=loss)
    say(run, 4, "phase", name="resumed", step=1)
    say(run, 5, "metric", step=2, loss=3.25)
    answer = api(cast.mona).get(f"{paths}/runs/{run.public_id}/metrics").json()
    assert answer == {"names": ["loss"], "series": {"loss": [[1, 4.0], [2, 3.25]]}}


def test_an_unknown_metric_is_refused_with_the_known_ones(cast, api, paths, run):
    say(run, 1, "metric", step=1, loss=4.0)
    refused = api(cast.mona).get(f"{paths}/runs/{run.public_id}/metrics", {"names": "lose"})
    assert (refused.status_code, refused.json()["hint"]) == (422, "It has: loss.")


def test_the_log_shows_the_end_of_what_was_printed(cast, api, paths, run):
    folder = Path(run.folder)
    folder.mkdir(parents=True)
    (folder / "launcher.log").write_text("first line\nsecond line\nlast line\n")
    answer = api(cast.mona).get(f"{paths}/runs/{run.public_id}/log", {"bytes": 16})
    assert answer.json() == {"log": "last line\n"}


def test_a_run_is_cancelled_by_the_api(cast, api, paths, run):
    client = api(cast.mona)
    answers = [client.post(f"{paths}/runs/{run.public_id}:cancel") for _ in range(2)]
    assert [(answer.status_code, answer.json()["state"]) for answer in answers] == [(202, "cancelled")] * 2


def test_every_setting_of_every_method_is_documented(cast, api):
    methods = {row["method"]: row for row in api(cast.bob).get("/api/v1/methods").json()}
    assert set(methods) == set(METHODS)
    assert {"sft", "reward", "dpo", "kto", "grpo", "rloo", "ppo"} <= set(methods)
    beta = next(setting for setting in methods["dpo"]["hyperparameters"] if setting["name"] == "beta")
    assert (beta["type"], beta["default"], beta["above"]) == ("float", 0.1, 0.0)
    assert all(setting["help"] for row in methods.values() for setting in row["hyperparameters"])
