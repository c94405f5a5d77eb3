"""Runs on an MLflow server: whole there in the end whatever happened to it, and never in a run's way."""

import socket
from datetime import timedelta

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.urls import reverse

from config.addresses import tracking_server
from ground import clock
from jobs import services
from jobs.data import Failure
from jobs.dispatch import wake
from jobs.models import Job, JobEvent
from tests.training.mlflow_server import tracking
from training import mirroring, mlflow
from training.mlflow_parts import key_of
from training.models import MlflowRun

pytestmark = [pytest.mark.django_db, pytest.mark.store]


@pytest.fixture
def server(settings):
    with tracking() as kept:
        settings.MLFLOW_URL = kept.url
        yield kept


@pytest.fixture
def run(start, base, make_snapshot):
    """At work."""
    run = start("dpo", base=base, snapshot=make_snapshot(preference_train=3), hyperparameters={"beta": 0.2})
    run.job = services.claim(job=run.job)
    return run


def write(run, first, last=None, **data):
    """Metric events, a step each."""
    seq = JobEvent.objects.filter(job=run.job).count()
    for step in range(first, (last or first) + 1):
        seq += 1
        at = clock.now() + timedelta(milliseconds=seq)
        content = {"step": step, **(data or {"loss": 1 / step})}
        JobEvent.objects.create(job=run.job, seq=seq, at=at, kind="metric", step=step, data=content)


def tick() -> int:
    """What a tick and a worker do; how many jobs it took."""
    mirroring.start_if_due()
    waiting = list(Job.objects.waiting().filter(kind="mlflow"))
    for job in waiting:
        wake(job.public_id)
    return len(waiting)


def later(seconds=3600.0):
    for row in MlflowRun.objects.all():
        MlflowRun.objects.filter(pk=row.pk).update(due_at=row.due_at - timedelta(seconds=seconds))


def succeed(run):
    services.succeed(job=run.job, result={"metrics": {"loss": 0.25, "seen": {"rows": 3}}, "note": "text"})


@pytest.fixture(autouse=True)
def plain_end(monkeypatch):
    """A fake end of the engine leaves no files to register."""
    from jobs import kinds

    kind = kinds.get_kind("dpo")
    monkeypatch.setitem(kinds._kinds, "dpo", kinds.Kind(name="dpo", label="dpo", prepare=kind.prepare))


def test_without_a_server_nothing_is_kept_or_asked(run, settings):
    assert settings.MLFLOW_URL == ""
    assert (tick(), MlflowRun.objects.count()) == (0, 0)


def test_a_run_is_there_with_settings_digests_and_our_ids(server, run, cast, settings):
    settings.CSRF_TRUSTED_ORIGINS = ["https://*.example.org", "https://plumbline.example.org"]
    write(run, 1, 3)
    tick()
    there = server.run
    assert server.experiments == {cast.project.slug: there["experiment_id"]}
    assert (there["name"], there["status"], there["start"]) == (
        str(run), "RUNNING", int(run.job.started_at.timestamp() * 1000),
    )  # fmt: skip
    params = there["params"]
    assert (params["hyperparameters.beta"], params["method"], params["models.base"]) == (
        "0.2",
        "dpo",
        run.base.public_id,
    )
    assert params["hyperparameters.epochs"]
    assert (params["base"], params["base.digest"]) == (str(run.base), run.base.digest)
    assert params["snapshot.digest"] == run.snapshot.digest
    assert params["data.train.digest"] == run.snapshot.files["preference_train.jsonl"]["sha256"]
    assert there["tags"]["plumbline.run"] == run.public_id
    page = reverse("run", args=[cast.project.slug, run.public_id])
    assert there["tags"]["plumbline.page"] == f"https://plumbline.example.org{page}"
    assert server.values("loss") == [(1, 1.0), (2, 0.5), (3, 1 / 3)]


def test_metrics_come_as_the_run_goes_each_once_and_its_end_last(server, run):
    write(run, 1, 2)
    tick()
    later()
    assert tick() == 0
    write(run, 3)
    assert tick() == 1
    assert [step for step, _ in server.values("loss")] == [1, 2, 3]
    write(run, 4)
    succeed(run)
    later()
    tick()
    there = server.run
    assert [step for step, _ in server.values("loss")] == [1, 2, 3, 4]
    assert (there["status"], there["end"]) == (
        "FINISHED",
        int(Job.objects.get(pk=run.job.pk).finished_at.timestamp() * 1000),
    )
    assert (server.values("final/loss"), server.values("final/seen.rows")) == ([(0, 0.25)], [(0, 3)])
    assert there["tags"]["plumbline.state"] == "succeeded"
    assert server.asked[-1] == "runs/update"
    later()
    assert tick() == 0


@pytest.mark.parametrize(("how", "status"), [("fail", "FAILED"), ("stop", "KILLED")])
def test_other_ends_are_told_with_their_reason(server, run, cast, how, status):
    if how == "fail":
        services.fail(job=run.job, failure=Failure("diverged", "The loss ran away."))
    else:
        services.request_cancel(actor=cast.mona, job=run.job)
        services.cancelled(job=run.job)
    tick()
    assert server.run["status"] == status
    assert server.run["tags"]["plumbline.error"] == ("diverged: The loss ran away." if how == "fail" else "")


def test_a_run_that_goes_on_is_at_work_again_and_repeated_steps_are_both_there(server, run):
    write(run, 1, 3)
    services.fail(job=run.job, failure=Failure("diverged", "No."))
    tick()
    assert server.run["status"] == "FAILED"
    Job.objects.filter(pk=run.job.pk).update(state="queued", finished_at=None, error=None)
    run.job = services.claim(job=Job.objects.get(pk=run.job.pk))
    write(run, 2, 4, loss=9.0)
    later()
    tick()
    assert server.run["status"] == "RUNNING"
    assert server.values("loss") == [(1, 1.0), (2, 0.5), (3, 1 / 3), (2, 9.0), (3, 9.0), (4, 9.0)]
    later()
    assert tick() == 0
    succeed(run)
    later()
    tick()
    assert (server.run["status"], len(server.runs)) == ("FINISHED", 1)


def test_numbers_that_a_crash_took_and_the_resumed_run_used_again_are_sent(server, run):
    """Events 3 and 4 were lost with the end of the file; the run that resumed wrote other ones under 3."""
    write(run, 1, 4)
    tick()
    lost = JobEvent.objects.filter(job=run.job, seq=3)
    lost.update(at=clock.now() + timedelta(seconds=5), data={"step": 3, "loss": 7.0})
    write(run, 5)
    later()
    tick()
    assert (3, 7.0) in server.values("loss")


def test_many_metrics_and_odd_names_fit_into_batches(server, run):
    odd = {f"a{n}/b c:{n}": float(n) for n in range(700)}
    write(run, 1, 4, **odd, **{"é|x": 1.0, "../up": 2.0, "/a//b/": 3.0, "flag": True, "words": "no", "none": None})
    write(run, 5, **{f"m{n}": n for n in range(2500)})
    tick()
    assert len(server.run["metrics"]) == 4 * 703 + 2500
    assert (server.values("__x")[0], server.values("up")[0], server.values("a/b")[0]) == ((1, 1.0), (1, 2.0), (1, 3.0))
    assert MlflowRun.objects.get().seq == 5


@pytest.mark.parametrize(
    ("name", "key"),
    [("rewards/chosen", "rewards/chosen"), ("a..b", "a..b"), ("..", "_"), ("x" * 300, "x" * 250), ("", "_")],
)
def test_names_become_what_mlflow_takes(name, key):
    assert key_of(name) == key


def test_long_values_and_many_settings_are_cut_to_fit(server, run):
    """160 settings of the longest kind, in a script of three bytes a sign, take more than MLflow's megabyte together."""
    run.settings["hyperparameters"] |= {f"extra{n}": "文" * 9000 for n in range(160)}
    run.save()
    tick()
    assert len(server.run["params"]["hyperparameters.extra7"]) == 6000
    assert server.run["params"]["hyperparameters.extra159"].endswith("文…")


@pytest.mark.parametrize("path", ["runs/create", "runs/log-batch", "experiments/create", "runs/update"])
def test_a_lost_answer_makes_nothing_twice(server, run, path):
    server.lose = path
    write(run, 1, 3)
    tick()
    assert MlflowRun.objects.get().error
    later()
    tick()
    assert (len(server.runs), len(server.experiments)) == (1, 1)
    assert set(server.values("loss")) == {(1, 1.0), (2, 0.5), (3, 1 / 3)}
    assert MlflowRun.objects.get().error == ""


def test_an_experiment_that_another_made_meanwhile_is_used(server, run, cast):
    server.experiments[cast.project.slug] = "7"
    server.blind = True
    tick()
    assert (server.run["experiment_id"], len(server.experiments)) == ("7", 1)


def test_a_run_that_was_deleted_there_is_not_made_again(server, run):
    tick()
    server.run["deleted"] = True
    MlflowRun.objects.all().delete()
    tick()
    assert len(server.runs) == 1
    assert "must be in the 'active' state" in MlflowRun.objects.get().error


def test_a_run_whose_making_was_not_answered_is_looked_for_after_a_minute(server, run):
    server.lose = "runs/create"
    tick()
    assert (MlflowRun.objects.get().due_at - clock.now()).total_seconds() > 55


def test_a_dead_server_changes_nothing_and_hears_all_of_it_later(server, run, settings):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        settings.MLFLOW_URL = f"http://127.0.0.1:{taken.getsockname()[1]}"
        write(run, 1, 2)
        tick()
    row = MlflowRun.objects.get()
    assert (row.attempts, "ConnectError" in row.error) == (1, True)
    assert 5 < (row.due_at - clock.now()).total_seconds() < 11
    assert tick() == 0
    succeed(run)
    later()
    settings.MLFLOW_URL = server.url
    tick()
    assert (len(server.values("loss")), server.run["status"]) == (2, "FINISHED")


def test_a_slow_server_is_left_after_a_while(server, run, monkeypatch):
    monkeypatch.setattr(mlflow, "CALL_SECONDS", 0.2)
    server.pause = 0.6
    tick()
    assert "No answer within" in MlflowRun.objects.get().error


@pytest.mark.parametrize(
    ("status", "says"), [(500, "It answered 500"), (401, "the token"), (302, "no answer of MLflow")]
)
def test_what_every_run_would_meet_puts_off_all_of_them_with_growing_pauses(
    server, run, start, base, make_snapshot, status, says
):
    other = start("dpo", base=base, snapshot=make_snapshot(preference_train=3))
    services.claim(job=other.job)
    server.troubles = [status] * 2
    tick()
    assert len(server.asked) == 1
    first, second = MlflowRun.objects.order_by("pk")
    assert (says in first.error, first.error, first.due_at) == (True, second.error, second.due_at)
    later(11)
    tick()
    assert len(server.asked) == 2
    assert 25 < (MlflowRun.objects.first().due_at - clock.now()).total_seconds() < 31
    later(31)
    tick()
    assert len(server.runs) == 2


def test_one_refused_run_keeps_no_other_waiting(server, run, start, base, make_snapshot):
    other = start("dpo", base=base, snapshot=make_snapshot(preference_train=3))
    services.claim(job=other.job)
    server.troubles = [400]
    tick()
    assert server.run["tags"]["plumbline.run"] == other.public_id
    refused = MlflowRun.objects.get(run=run)
    assert refused.error == "It answered 400. Something is wrong."


def test_a_server_that_was_emptied_gets_the_whole_run_again(server, run):
    write(run, 1, 3)
    tick()
    server.runs.clear()
    server.experiments.clear()
    write(run, 4)
    later()
    tick()
    later()
    tick()
    assert [step for step, _ in server.values("loss")] == [1, 2, 3, 4]


def test_another_server_gets_everything(server, run, settings):
    write(run, 1, 3)
    succeed(run)
    tick()
    with tracking() as second:
        settings.MLFLOW_URL = second.url
        later()
        tick()
        assert (len(second.values("loss")), second.run["status"]) == (3, "FINISHED")


def test_what_there_was_no_time_for_is_due_at_once(server, run, monkeypatch):
    monkeypatch.setattr(mirroring, "WORK_SECONDS", -1.0)
    tick()
    row = MlflowRun.objects.get()
    assert (server.asked, row.attempts, row.error, row.due_at <= clock.now()) == ([], 0, "", True)
    monkeypatch.undo()
    tick()
    assert server.run["status"] == "RUNNING"


def test_a_sender_that_was_overtaken_writes_nothing_down(server, run):
    mirroring.start_if_due()
    row = mirroring.due().get()
    assert mirroring._claimed(row)
    assert not mirroring._claimed(MlflowRun(pk=row.pk, due_at=row.due_at - timedelta(seconds=1)))
    MlflowRun.objects.update(due_at=clock.now())
    with pytest.raises(mirroring.Overtaken):
        mirroring._note(row, seq=9)


@pytest.mark.parametrize(("token", "sent"), [("secret", "Bearer secret"), ("kim:pass", "Basic a2ltOnBhc3M=")])
def test_the_token_goes_along(server, run, settings, token, sent):
    settings.MLFLOW_TOKEN = token
    tick()
    assert server.headers["authorization"] == sent


def test_the_page_links_to_the_run_there_and_says_what_is_missing(server, run, cast, client):
    client.force_login(cast.mona.user)
    page = reverse("run", args=[cast.project.slug, run.public_id])
    assert "MLflow" not in client.get(page).content.decode()
    server.troubles = [500]
    tick()
    assert "It is not there yet and is tried again. It answered 500." in client.get(page).content.decode()
    later()
    tick()
    there = server.run
    link = f'href="{server.url}/#/experiments/{there["experiment_id"]}/runs/{there["id"]}"'
    shown = client.get(page).content.decode()
    assert (link in shown, "tried again" in shown) == (True, False)


@pytest.mark.parametrize(
    "url", ["mlflow", "ftp://a", "http://u:p@a", "http://a?b", "http://", "http://a:b", "http://a b"]
)
def test_an_address_that_is_none_is_refused_at_the_start(url):
    with pytest.raises(ImproperlyConfigured, match="PLUMBLINE_MLFLOW_URL"):
        tracking_server(url)


def test_an_address_may_have_a_path_and_a_slash():
    assert tracking_server("https://example.org/mlflow/") == "https://example.org/mlflow"
    assert tracking_server("") == ""
