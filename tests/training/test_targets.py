"""Targets: who configures them, what they refuse, and runs that go there."""

import json
from pathlib import Path

import pytest
from django.urls import reverse

from accounts.models import Event
from ground.errors import Conflict, Forbidden, Invalid, NotFound
from jobs import services as jobs
from jobs.errors import JobError
from jobs.kinds import get_kind
from tests.engine.runs import wait_until
from training import preflight, targets
from training.targets import change_target, create_target, get_target_for, retire_target

pytestmark = pytest.mark.django_db


@pytest.fixture
def make_target(cast):
    def make(name="cluster", kind="slurm", actor=None, **settings):
        actor = actor or cast.alice
        return create_target(actor=actor, project=cast.project, name=name, kind=kind, settings=settings)

    return make


def test_a_run_goes_where_its_target_says_and_holds_no_device_here(start, base, make_snapshot, make_target):
    target = make_target(nodes=2, partition="gpu", root="/opt/plumbline", venv="/opt/venv")
    parallel = {"world_size": 4, "zero_stage": 2, "threads": 2}
    run = start("sft", base=base, snapshot=make_snapshot(sft_train=8), parallelism=parallel, target=target)
    assert run.job.devices == 0
    assert run.settings["target"] == target.public_id
    plan = get_kind("sft").prepare(run.job)
    assert (plan.launcher, plan.argv[1:]) == ("slurm", ["-m", "training.follow", run.folder])
    script = (Path(run.folder) / "slurm.sh").read_text()
    assert "#SBATCH --nodes=2\n" in script
    assert "#SBATCH --partition=gpu\n" in script
    assert f"/opt/venv/bin/python -m training.engine.node {run.folder}\n" in script
    node = json.loads((Path(run.folder) / "follow.json").read_text())["node"]
    assert node["environment"]["OMP_NUM_THREADS"] == "2"
    assert (plan.world_size, plan.zero_stage) == (4, 2)


def test_what_the_target_cannot_take_is_refused_before_it_is_queued(start, base, make_snapshot, make_target):
    target = make_target(nodes=2)
    with pytest.raises(Invalid, match="must be a multiple of 2") as refused:
        start("sft", base=base, snapshot=make_snapshot(sft_train=8), target=target)
    assert "parallelism.world_size" in refused.value.extra["problems"]


def test_a_run_whose_place_changed_its_size_says_how_to_go_on(start, base, make_snapshot, make_target, cast, client):
    hosts = ["node1 slots=2"]
    target = make_target(kind="hosts", hosts=hosts)
    parallel = {"world_size": 2, "zero_stage": 2}
    run = start("sft", base=base, snapshot=make_snapshot(sft_train=8), parallelism=parallel, target=target)
    change_target(actor=cast.alice, target=target, settings={"hosts": ["node1 slots=4"]})
    with pytest.raises(JobError, match=r"This run has 2 processes.*must be 4") as refused:
        get_kind("sft").prepare(run.job)
    jobs.fail(job=jobs.claim(job=run.job), failure=refused.value.failure)
    client.force_login(cast.mona.user)
    page = client.get(reverse("run", args=[cast.project.slug, run.public_id])).content.decode()
    assert "A run keeps its number of processes" in page
    assert "start a new run with another world_size" in page


def test_only_methods_that_learn_go_elsewhere(start, base, cast, make_target):
    from tests.factories import make_prompt

    make_prompt(cast.project)
    with pytest.raises(Invalid, match="runs on this machine"):
        start("generate", base=base, prompts="training", target=make_target())


def test_owners_alone_say_where_commands_run(cast, make_target):
    target = make_target(kind="hosts", hosts=["a slots=1", "b slots=2"])
    assert Event.objects.get(verb="target.created").object_id == target.public_id
    for write in (
        lambda: make_target(name="other", actor=cast.mona),
        lambda: change_target(actor=cast.mona, target=target, settings={}),
        lambda: retire_target(actor=cast.mona, target=target),
    ):
        with pytest.raises(Forbidden):
            write()


@pytest.mark.parametrize(
    ("kind", "given", "field"),
    [
        ("hosts", {}, "hosts"),
        ("hosts", {"hosts": ["a slots=1 $(x)"]}, "hosts"),
        ("hosts", {"hosts": [5]}, "hosts"),
        ("slurm", {"partition": "a;b"}, "partition"),
        ("slurm", {"nodes": 0}, "nodes"),
        ("slurm", {"run_dir": "/x"}, "run_dir"),
        ("slurm", {"hosts": ["a slots=1"]}, "hosts"),
        ("kubernetes", {"image": "x", "claim": "y", "mount": "/nowhere"}, "mount"),
    ],
)
def test_settings_that_cannot_work_are_refused_by_field(make_target, kind, given, field):
    with pytest.raises(Invalid) as refused:
        make_target(kind=kind, **given)
    assert field in refused.value.extra["problems"]


def test_a_name_is_free_again_when_its_target_is_retired(cast, make_target):
    first = make_target()
    with pytest.raises(Conflict):
        make_target()
    retire_target(actor=cast.alice, target=first)
    with pytest.raises(NotFound):
        get_target_for(cast.mona, first.public_id)
    assert get_target_for(cast.mona, make_target().name) != first


def test_a_run_whose_target_was_retired_says_so(cast, start, base, make_snapshot, make_target):
    from jobs.errors import JobError

    target = make_target()
    run = start("sft", base=base, snapshot=make_snapshot(sft_train=8), target=target)
    retire_target(actor=cast.alice, target=target)
    with pytest.raises(JobError, match="no longer there"):
        get_kind("sft").prepare(run.job)


def test_preflight_measures_against_the_target(make_target):
    from training.staging import settings_of

    target = make_target(gpus=8, gpu_name="NVIDIA H100", gpu_memory_mb=81559)
    found = preflight.hardware({}, settings_of(target))
    assert found == {"kind": "gpu", "name": "NVIDIA H100", "count": 8, "memory_mb": 81559}


def test_clients_configure_and_choose_targets(cast, api, base, make_snapshot):
    paths, owner = f"/api/v1/projects/{cast.project.slug}", api(cast.alice)
    body = {"name": "lab", "kind": "hosts", "settings": {"hosts": ["node-a slots=1"]}}
    made = owner.post(f"{paths}/targets", body)
    assert (made.status_code, made.json()["settings"]["hosts"]) == (201, ["node-a slots=1"])
    assert api(cast.mona).post(f"{paths}/targets", {**body, "name": "b"}).status_code == 403
    refused = owner.post(f"{paths}/targets", {**body, "name": "c", "settings": {"hosts": ["a; b"]}})
    assert (refused.status_code, list(refused.json()["problems"])) == (422, ["hosts"])
    changed = owner.put(f"{paths}/targets/lab", {"settings": {"hosts": ["node-b slots=1"]}})
    assert changed.json()["settings"]["hosts"] == ["node-b slots=1"]
    run = {"method": "sft", "base": base.public_id, "snapshot": make_snapshot(sft_train=8).public_id, "target": "lab"}
    assert api(cast.mona).post(f"{paths}/runs", run).json()["settings"]["target"] == made.json()["id"]
    assert owner.delete(f"{paths}/targets/lab").status_code == 204
    assert api(cast.mona).post(f"{paths}/runs", run).status_code == 404
    kinds = {row["kind"]: row for row in owner.get("/api/v1/target-kinds").json()}
    assert set(kinds) == {"hosts", "slurm", "kubernetes"}
    assert all(setting["help"] for row in kinds.values() for setting in row["settings"])


def test_what_a_closed_run_left_on_a_cluster_is_ended(start, base, make_snapshot, make_target, tmp_path, monkeypatch):
    run = start("sft", base=base, snapshot=make_snapshot(sft_train=8), target=make_target())
    folder = Path(run.folder)
    folder.mkdir(parents=True)
    (folder / "follow.json").write_text(json.dumps({"kind": "slurm", "script": "x"}))
    (folder / "remote.json").write_text(json.dumps({"kind": "slurm", "name": "40"}))
    for name, words in (("scancel", f"touch {tmp_path}/ended"), ("scontrol", "echo Invalid job id >&2; exit 1")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{words}\n")
        (tmp_path / name).chmod(0o755)
    import os

    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    targets.end_remote(jobs.Job.objects.get(pk=run.job.pk))
    wait_until(lambda: not (folder / "remote.json").exists(), 30)
    assert (tmp_path / "ended").exists()
