"""Sweeps: which trials, one after the other, under a budget, and what they found."""

import math
import uuid
from datetime import timedelta

import pytest
from django.urls import reverse

from ground import clock
from ground.errors import Forbidden, Invalid, NotFound
from jobs.errors import JobError
from jobs.models import Job
from training import sweeps
from training.models import Run
from training.searching import trials_of
from training.sweeps import best_of, perform, spent, start_sweep, trials

pytestmark = pytest.mark.django_db
SPACE = {"learning_rate": [1e-4, 1e-3], "epochs": [1.0, 2.0]}


def test_a_grid_is_every_combination_once_in_order():
    assert trials_of({"a": [1, 2, 2], "b": ["x", "y"]}, search="grid", trials=None, seed=0) == [
        {"a": 1, "b": "x"},
        {"a": 1, "b": "y"},
        {"a": 2, "b": "x"},
        {"a": 2, "b": "y"},
    ]


def test_random_draws_are_the_seeds_within_bounds_and_even_over_orders_of_magnitude():
    """Log-uniform from 1e-6 to 1e-2: the middle is 1e-4, so half of many draws lie below it."""
    space = {"learning_rate": {"low": 1e-6, "high": 1e-2, "log": True}, "lora_r": {"low": 4, "high": 64}}
    found = trials_of(space, search="random", trials=200, seed=3)
    assert found == trials_of(space, search="random", trials=200, seed=3)
    assert found != trials_of(space, search="random", trials=200, seed=4)
    rates = [one["learning_rate"] for one in found]
    assert all(1e-6 <= rate <= 1e-2 for rate in rates)
    assert all(isinstance(one["lora_r"], int) and 4 <= one["lora_r"] <= 64 for one in found)
    assert abs(sum(rate < 1e-4 for rate in rates) / 200 - 0.5) < 3 * math.sqrt(0.25 / 200)


@pytest.mark.parametrize(
    ("space", "asked", "word"),
    [
        ({}, {}, "at least one"),
        ({"a": []}, {}, "list of values"),
        ({"a": {"low": 1, "high": 2}}, {}, "a grid needs"),
        ({"a": [1]}, {"trials": 2}, "leave it out"),
        ({"a": [1]}, {"search": "random"}, "needs their number"),
        ({"a": {"low": 2, "high": 1}}, {"search": "random", "trials": 1}, "low below high"),
        ({"a": {"low": 0, "high": 1, "log": True}}, {"search": "random", "trials": 1}, "above 0"),
        ({"a": list(range(15)), "b": list(range(15))}, {}, "225 trials"),
    ],
)
def test_a_space_that_is_none_says_why(space, asked, word):
    with pytest.raises(ValueError, match=word):
        trials_of(space, **{"search": "grid", "trials": None, "seed": 0, **asked})


@pytest.fixture
def run(start, make_model, make_snapshot):
    return start("classify", base=make_model("encoder", "reader"), snapshot=make_snapshot(labels_train=3))


@pytest.fixture
def work(monkeypatch):
    """`work(seconds, values)`: each look of the sweep ends its child, which took so long and found the next value."""

    def prepare(seconds, values):
        left = iter(values)

        def look(_pause):
            job = Job.objects.exclude(kind="sweep").filter(key__startswith="sweep:", finished_at=None).get()
            now = clock.now()
            if job.cancel_requested_at:
                Job.objects.filter(pk=job.pk).update(state="cancelled", finished_at=now, lease_token=None)
                return
            result = {"metrics": {"measures": {"macro_f1": next(left)}}}
            began = now - timedelta(seconds=seconds)
            done = {"state": "succeeded", "finished_at": now, "started_at": began, "result": result}
            Job.objects.filter(pk=job.pk).update(**done)

        monkeypatch.setattr(sweeps.time, "sleep", look)

    return prepare


def test_trials_run_one_after_the_other_and_the_best_is_told(cast, run, work):
    job = start_sweep(actor=cast.mona, run=run, space=SPACE, budget_device_seconds=1000)
    work(10, [0.5, 0.9, None, 0.7])
    result = perform(job)
    found = trials(job)
    assert [one.settings for one in found] == job.spec["trials"]
    assert [one.run.job.spec["hyperparameters"] for one in found] == job.spec["trials"]
    assert (result["tried"], result["not_tried"], result["best_value"]) == (4, 0, 0.9)
    assert result["best"] == found[1].run.public_id
    assert result["device_seconds"] == pytest.approx(40)
    assert Run.objects.count() == 5


def test_no_trial_starts_beyond_the_budget(cast, run, work):
    """Budget 15 device-seconds, 10 a trial: after two 20 are spent, and two are never started."""
    job = start_sweep(actor=cast.mona, run=run, space=SPACE, budget_device_seconds=15)
    work(10, [0.5, 0.6])
    assert (perform(job)["tried"], perform(job)["not_tried"]) == (2, 2)
    assert spent(job) == pytest.approx(20)


def test_a_trial_that_reaches_the_budget_is_stopped(cast, run, work, monkeypatch):
    job = start_sweep(actor=cast.mona, run=run, space=SPACE, budget_device_seconds=60)
    work(1, [])
    looks = iter([True])

    def look(pause, ended=sweeps.time.sleep):
        child = Job.objects.get(key__startswith="sweep:")
        if next(looks, False):
            began = clock.now() - timedelta(seconds=100)
            Job.objects.filter(pk=child.pk).update(
                state="running",
                started_at=began,
                lease_token=uuid.uuid4(),
                lease_expires_at=clock.now() + timedelta(hours=1),
            )
        else:
            ended(pause)

    monkeypatch.setattr(sweeps.time, "sleep", look)
    result = perform(job)
    (child,) = [one for one in trials(job) if one.run]
    assert (child.state, result["tried"], result["best"]) == ("cancelled", 1, None)


def test_a_second_attempt_makes_no_second_run(cast, run, work):
    job = start_sweep(actor=cast.mona, run=run, space=SPACE, budget_device_seconds=1000)
    work(1, [0.1, 0.2, 0.3, 0.4])
    first = perform(job)
    assert perform(job) == first
    assert Run.objects.count() == 5


def test_a_stopped_sweep_starts_nothing_more(cast, run, work):
    job = start_sweep(actor=cast.mona, run=run, space=SPACE, budget_device_seconds=1000)
    Job.objects.filter(pk=job.pk).update(cancel_requested_at=clock.now())
    with pytest.raises(JobError, match="stopped"):
        perform(job)
    assert Run.objects.count() == 1


def test_a_low_metric_can_be_the_goal(cast, run, work):
    job = start_sweep(
        actor=cast.mona,
        run=run,
        space={"epochs": [1.0, 2.0]},
        budget_device_seconds=9,
        metric="measures.macro_f1",
        goal="min",
    )
    work(1, [0.4, 0.3])
    perform(job)
    assert best_of(job, trials(job)).value == 0.3


def test_a_trial_that_would_do_nothing_is_refused_by_number(cast, run):
    with pytest.raises(Invalid, match=r"trial 2 .*threshold"):
        start_sweep(actor=cast.mona, run=run, space={"threshold": [0.5, 0.3]}, budget_device_seconds=9)
    with pytest.raises(Invalid, match="high or low"):
        start_sweep(actor=cast.mona, run=run, space=SPACE, budget_device_seconds=9, metric="loss")
    assert not Job.objects.filter(kind="sweep").exists()


def test_only_managers_of_the_project_sweep(cast, run):
    asked = {"run": run, "space": SPACE, "budget_device_seconds": 9}
    with pytest.raises(Forbidden):
        start_sweep(actor=cast.bob, **asked)
    with pytest.raises(NotFound):
        start_sweep(actor=cast.mallory, **asked)


def test_a_sweep_by_the_api(cast, api, run, work):
    client, path = api(cast.mona), f"/api/v1/projects/{cast.project.slug}/sweeps"
    body = {"run": run.public_id, "space": {"epochs": [1.0, 2.0]}, "budget_device_seconds": 50}
    answer = client.post(path, body, headers={"Idempotency-Key": "k"})
    assert answer.status_code == 202, answer.content
    assert client.post(path, body, headers={"Idempotency-Key": "k"}).json()["id"] == answer.json()["id"]
    work(5, [0.4, 0.3])
    perform(Job.objects.get(kind="sweep"))
    told = client.get(f"{path}/{answer.json()['id']}").json()
    assert [row["value"] for row in told["trials"]] == [0.4, 0.3]
    assert (told["best"], told["metric"], told["device_seconds"]) == (
        told["trials"][0]["run"],
        "measures.macro_f1",
        10.0,
    )
    assert client.post(f"{path}/{answer.json()['id']}:cancel").status_code == 202
    refused = client.post(path, {**body, "space": {"nothing": [1]}})
    assert refused.status_code == 422
    assert "nothing" in refused.json()["detail"]


def test_a_sweep_by_its_page(cast, client, run, work):
    client.force_login(cast.mona.user)
    path = reverse("new-sweep", args=[cast.project.slug, run.public_id])
    assert client.get(path).status_code == 200
    said = {"space": '{"epochs": [1.0, 2.0]}', "search": "grid", "budget_device_seconds": 100}
    assert client.post(path, {**said, "space": '{"epochs": []}'}).status_code == 422
    answer = client.post(path, said)
    assert answer.status_code == 302, answer.content
    work(5, [0.4, 0.8])
    perform(Job.objects.get(kind="sweep"))
    page = client.get(answer.url).content.decode()
    assert "2 of 2 trials were started." in page
    assert "measures.macro_f1 0.8000" in page
    assert client.get(answer.url, headers={"HX-Request": "true"}).status_code == 200
    assert client.post(f"{answer.url}stop").status_code == 302


@pytest.fixture
def inputs(make_model, make_snapshot):
    return {"base": make_model("encoder", "reader"), "snapshot": make_snapshot(labels_train=3)}


def test_a_sweep_needs_no_run_before_it(cast, api, inputs):
    path = f"/api/v1/projects/{cast.project.slug}/sweeps"
    start = {"method": "classify", **{name: row.public_id for name, row in inputs.items()}}
    body = {"start": {**start, "hyperparameters": {"batch_size": 4}}, "space": SPACE, "budget_device_seconds": 50}
    answer = api(cast.mona).post(path, body)
    assert answer.status_code == 202, answer.content
    job = Job.objects.get(kind="sweep")
    asked = [request["hyperparameters"] for request in job.spec["requests"]]
    assert asked == [{"batch_size": 4, **one} for one in job.spec["trials"]]
    assert not Run.objects.exists()
    assert api(cast.bob).post(path, body).status_code == 403


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"start": None}, "one run"),
        ({"start": {"method": "predict"}}, "trains nothing"),
        ({"start": {"method": "classify"}}, "needs an encoder"),
        ({"run": "run_x"}, "There is no run"),
    ],
)
def test_what_a_sweep_starts_from_is_checked(cast, api, inputs, make_model, change, word):
    named = {name: row.public_id for name, row in inputs.items()}
    body = {"start": {"method": "classify", **named}, "space": SPACE, "budget_device_seconds": 50}
    start = change.get("start", body["start"])
    if start == {"method": "predict"}:
        start = {**start, "base": make_model("classifier", "labeller").public_id, "texts": "all"}
    body = {**body, **change, "start": start}
    answer = api(cast.mona).post(f"/api/v1/projects/{cast.project.slug}/sweeps", {k: v for k, v in body.items() if v})
    assert answer.status_code in (404, 422), answer.content
    assert word in answer.json()["detail"]
    assert not Job.objects.filter(kind="sweep").exists()


def test_the_page_of_a_new_run_starts_a_sweep(cast, client, inputs):
    client.force_login(cast.mona.user)
    path = f"{reverse('new-run', args=[cast.project.slug])}?method=classify"
    assert "Try several settings" in client.get(path).content.decode()
    said = {"method": "classify", "seed": 0, "par_world_size": 1, "par_zero_stage": 0, "hp_batch_size": 4}
    said |= {name: row.public_id for name, row in inputs.items()}
    wanted = {"sweep": 1, "sweep-space": "{}", "sweep-search": "grid", "sweep-budget_device_seconds": 60}
    refused = client.post(path, {**said, **wanted})
    assert refused.status_code == 422
    assert not Job.objects.exists()
    answer = client.post(path, {**said, **wanted, "sweep-space": '{"epochs": [1.0, 2.0]}'})
    assert answer.status_code == 302, answer.content
    job = Job.objects.get()
    assert (job.kind, job.spec["requests"][1]["hyperparameters"]) == ("sweep", {"batch_size": 4, "epochs": 2.0})
    assert client.get(answer.url).status_code == 200
