"""Preflight around a run: before a device, blocking, overridden with a reason, and as a check of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

from accounts.models import Event
from ground.errors import Forbidden, Invalid
from jobs import devices, services
from jobs.dispatch import wake
from jobs.errors import JobError
from jobs.inprocess import run_in_process
from jobs.kinds import INSPECTED, get_kind, must_inspect
from jobs.models import Device, Job
from jobs.supervisor import supervise
from tests.engine.runs import ROOT, assistant, sft_rows, user
from tests.factories import make_prompt, make_version
from training import preflight
from training.engine.files import artifact_digest, digest_tree, sha256_file, write_jsonl
from training.services import Asked, start_check, start_checked, start_run

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "tiny"
    subprocess.run([sys.executable, "-m", "training.engine.tiny", str(folder)], check=True, cwd=ROOT)
    return folder


@pytest.fixture
def tiny(cast, tiny_folder):
    return make_version(
        cast.project, artifact=str(tiny_folder), digest=artifact_digest(tiny_folder), files=digest_tree(tiny_folder)
    )


@pytest.fixture
def snapshot_of(make_snapshot):
    """`snapshot_of(rows)`: a snapshot whose SFT rows these are."""

    def make(rows):
        snapshot = make_snapshot()
        path = Path(snapshot.folder) / "sft_train.jsonl"
        write_jsonl(path, rows)
        files = {**snapshot.files, "sft_train.jsonl": {"sha256": sha256_file(path), "rows": len(rows)}}
        type(snapshot).objects.filter(pk=snapshot.pk).delete()
        snapshot.pk, snapshot.files = None, files
        snapshot.save()
        return snapshot

    return make


@pytest.fixture
def sound(snapshot_of):
    return snapshot_of(sft_rows(12))


@pytest.fixture
def leaking(cast, snapshot_of):
    """One of four prompts is a held-out prompt of the project."""
    make_prompt(cast.project, "Bread?", held_out=True)
    rows = [{"id": "r", "prompt": user("bread?"), "completion": assistant("Warm.")}, *sft_rows(3)]
    return snapshot_of(rows)


def test_sound_rows_pass_and_the_report_is_kept(start, tiny, sound):
    run = start("sft", base=tiny, snapshot=sound)
    preflight.inspect(run.job)
    report = preflight.report_in(Path(run.folder))
    assert (report["verdict"], report["rows"]["kept"], report["run"]) == ("ok", 12, run.public_id)
    assert report["estimate"]["needed_mb"] > 0


def test_a_leak_stops_the_run_before_any_device(start, tiny, leaking):
    run = start("sft", base=tiny, snapshot=leaking)
    supervise(run.job.public_id)
    run.job.refresh_from_db()
    assert (run.job.state, run.job.error["class"]) == (Job.State.FAILED, "preflight_blocked")
    assert "leaked" in run.job.error["message"]
    assert not Device.objects.exists(), "no device was even looked at"
    assert not (Path(run.folder) / "launch.json").exists(), "nothing was launched"


def test_a_reason_lets_it_start_and_is_kept(cast, start, tiny, leaking):
    run = start("sft", base=tiny, snapshot=leaking, preflight_override=" Known and wanted. ")
    preflight.inspect(run.job)
    assert run.settings["preflight"] == {"override": "Known and wanted."}
    event = Event.objects.get(verb="preflight.overridden")
    assert (event.object_id, event.data, event.actor) == (run.public_id, {"override": "Known and wanted."}, cast.mona)


def test_no_reason_helps_against_rows_that_cannot_be_read(start, tiny, snapshot_of):
    rows = [{"id": "r", "prompt": [], "completion": assistant("Warm.")}]
    run = start("sft", base=tiny, snapshot=snapshot_of(rows), preflight_override="Never mind.")
    with pytest.raises(JobError, match="line 1: prompt must be a list of messages"):
        preflight.inspect(run.job)


def test_a_method_without_rows_takes_no_reason(start, cast, base):
    make_prompt(cast.project, held_out=True)
    with pytest.raises(Invalid, match="no preflight to override"):
        start("generate", base=base, preflight_override="Why not.")


def test_a_run_is_looked_at_while_every_device_is_taken(start, tiny, sound, monkeypatch):
    """It is given to a supervisor although no device is free; and, looked at, it waits for one."""
    holder = start("sft", base=tiny, snapshot=sound)
    Job.objects.filter(pk=holder.job.pk).update(progress={INSPECTED: True})
    assert devices.acquire(services.claim(job=holder.job))
    run = start("sft", base=tiny, snapshot=sound)
    spawned = []
    monkeypatch.setattr("jobs.processes.spawn_supervisor", lambda job: spawned.append(job.pk))
    assert wake(run.job.public_id) == "supervisor started"
    assert spawned == [run.job.pk]
    supervise(run.job.public_id)
    run.job.refresh_from_db()
    assert (run.job.state, run.job.progress["phase"]) == (Job.State.QUEUED, devices.WAITING)
    assert not must_inspect(run.job)
    Job.objects.filter(pk=run.job.pk).update(not_before=run.job.queued_at)
    assert wake(run.job.public_id) == "no device is free"


def test_a_run_that_is_looked_at_keeps_nobody_waiting(start, tiny, sound):
    first, second = (start("sft", base=tiny, snapshot=sound) for _ in range(2))
    looked_at = services.claim(job=first.job)
    services.renew(job=looked_at, progress={"phase": devices.INSPECTING})
    assert devices.may_have(second.job)
    services.renew(job=looked_at, progress={"phase": "starting"})
    assert not devices.may_have(second.job)


def test_a_check_reads_without_a_run_and_starts_what_it_read(cast, tiny, leaking):
    asked = Asked(method="sft", base=tiny, snapshot=leaking, hyperparameters={"max_length": 99})
    job = start_check(actor=cast.mona, project=cast.project, asked=asked)
    run_in_process(services.claim(job=job))
    job.refresh_from_db()
    assert (job.state, job.result["verdict"]) == (Job.State.SUCCEEDED, "block")
    assert not cast.project.runs.exists()
    run = start_checked(actor=cast.mona, job=job, override="Known.")
    assert (run.method, run.settings["hyperparameters"]) == ("sft", {"max_length": 99})
    with pytest.raises(Forbidden):
        start_checked(actor=cast.bob, job=job)


def test_a_check_of_what_has_no_rows_is_refused(cast, base):
    make_prompt(cast.project, held_out=True)
    with pytest.raises(Invalid, match="method: must be one of"):
        start_check(actor=cast.mona, project=cast.project, asked=Asked(method="generate", base=base))


def test_clients_ask_for_a_check_and_read_it(cast, api, tiny, sound):
    paths, client = f"/api/v1/projects/{cast.project.slug}", api(cast.mona)
    body = {"method": "sft", "base": tiny.public_id, "snapshot": sound.public_id}
    asked = client.post(f"{paths}/preflights", body)
    assert (asked.status_code, asked.json()["report"]) == (202, None)
    job = Job.objects.get(public_id=asked.json()["id"])
    run_in_process(services.claim(job=job))
    answer = client.get(f"{paths}/preflights/{job.public_id}")
    assert (answer.status_code, answer.json()["report"]["verdict"]) == (200, "ok")
    assert api(cast.bob).post(f"{paths}/preflights", body).status_code == 403
    theirs = f"/api/v1/projects/{cast.mallory.project.slug}/preflights/{job.public_id}"
    assert api(cast.mallory).get(theirs).status_code == 404
    assert client.post(f"{paths}/runs", {**body, "preflight_override": "x" * 501}).status_code in (400, 422)


def test_every_run_that_learns_is_inspected():
    from training.engine.methods import TRAINED

    offline = [method for method in TRAINED if preflight.applies(method)]
    assert {"sft", "reward", "dpo", "kto", "ppo", "grpo", "rloo"} <= set(offline)
    assert all(get_kind(method).inspect is preflight.inspect for method in offline)


def test_a_cancelled_check_ends_its_process(start, tiny, sound):
    run = start("sft", base=tiny, snapshot=sound)
    job = services.claim(job=run.job)
    Job.objects.filter(pk=job.pk).update(cancel_requested_at=job.queued_at)
    with pytest.raises(JobError, match="stopped during preflight"):
        preflight.inspect(job)
    from jobs import processes

    assert list(processes.of_job(job)) == []


def test_a_start_by_key_is_the_same_run_with_its_reason(cast, tiny, sound):
    words = {"base": tiny, "snapshot": sound, "key": "k", "preflight_override": "Yes."}
    runs = {start_run(actor=cast.mona, project=cast.project, method="sft", **words).pk for _ in range(2)}
    assert len(runs) == 1
    assert Event.objects.filter(verb="preflight.overridden").count() == 1


@pytest.fixture
def corpus(cast, settings, tmp_path):
    settings.CORPORA = tmp_path / "corpora"
    folder = settings.CORPORA / cast.project.slug / "news"
    folder.mkdir(parents=True)
    write_jsonl(folder / "all.jsonl", [{"text": f"{row['completion'][0]['content']}"} for row in sft_rows(12)])
    (folder / "empty.txt").write_text("")
    return folder


def test_raw_text_is_looked_at_before_pretraining_and_by_itself(cast, start, api, tiny, corpus):
    """By the API as a check of its own, and again before the run of that check takes a device."""
    assert get_kind("pretrain").inspect is preflight.inspect
    client, path = api(cast.mona), f"/api/v1/projects/{cast.project.slug}/preflights"
    body = {"method": "pretrain", "base": tiny.public_id, "texts": "corpus:news", "hyperparameters": {"max_length": 32}}
    asked = client.post(path, body)
    assert asked.status_code == 202, asked.content
    job = Job.objects.get(public_id=asked.json()["id"])
    run_in_process(services.claim(job=job))
    report = client.get(f"{path}/{job.public_id}").json()["report"]
    assert report["verdict"] in ("ok", "warn"), report
    assert report["rows"]["read"] == 12, "one of thirteen is kept out to measure on"
    run = start_checked(actor=cast.mona, job=job)
    preflight.inspect(run.job)
    assert preflight.report_in(Path(run.folder))["estimate"]["steps"] == report["estimate"]["steps"] > 0


def test_the_page_of_a_raw_text_check_shows_what_was_found(cast, client, tiny, corpus):
    client.force_login(cast.mona.user)
    said = {"method": "pretrain", "base": tiny.public_id, "texts": "corpus:news", "seed": 0, "check": 1}
    answer = client.post(f"/p/{cast.project.slug}/runs/new/?method=pretrain", {**said, "par_world_size": 1})
    assert answer.status_code == 302, answer.context["form"].errors
    run_in_process(services.claim(job=Job.objects.get()))
    page = client.get(answer.url).content.decode()
    assert "Without a word" in page
    assert "12 of 12 rows will be learned from" in page or "11 of 12 rows will be learned from" in page


@pytest.fixture(scope="module")
def t5_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "t5"
    subprocess.run([sys.executable, "-m", "training.engine.tiny", str(folder), "seq2seq"], check=True, cwd=ROOT)
    return folder


def test_runs_of_encoder_decoders_are_looked_at_too(cast, start, t5_folder, leaking):
    kept = {"artifact": str(t5_folder), "digest": artifact_digest(t5_folder), "files": digest_tree(t5_folder)}
    run = start("sft", base=make_version(cast.project, kind="seq2seq", **kept), snapshot=leaking)
    with pytest.raises(JobError, match="leaked"):
        preflight.inspect(run.job)
    report = preflight.report_in(Path(run.folder))
    assert set(report["tokens"]["spread"]) == {"prompt", "whole", "completion"}
