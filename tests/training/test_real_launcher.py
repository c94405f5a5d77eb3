"""A run on the real launcher, under the real supervisor, through the death of one of its ranks."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings as configured

from jobs import processes
from jobs.models import JobEvent
from models_registry.models import ModelVersion
from tests.engine.runs import sft_rows
from tests.factories import make_version
from tests.jobs.processes import Fleet, state_of, wait_for
from training.engine.files import artifact_digest, digest_tree, sha256_file, write_jsonl
from training.selectors import curves

ROOT = Path(__file__).resolve().parents[2]
STEPS, EVERY = 40, 5
PATIENCE = 240.0
pytestmark = [pytest.mark.launcher, pytest.mark.timeout(900)]


@pytest.fixture
def fleet(transactional_db: None) -> Iterator[Fleet]:
    extensions = Path(configured.VAR) / "torch_extensions"
    if not extensions.exists():  # compiled once for all tests: half a minute each time otherwise
        extensions.symlink_to(ROOT / "var" / "torch_extensions", target_is_directory=True)
    (ROOT / "var" / "torch_extensions").mkdir(parents=True, exist_ok=True)
    started = Fleet(OMP_NUM_THREADS="1")
    yield started
    started.end()


@pytest.fixture
def tiny(cast, tmp_path):
    """The tiny model, registered."""
    folder = tmp_path / "tiny"
    subprocess.run([sys.executable, "-m", "training.engine.tiny", str(folder)], check=True, cwd=ROOT)
    return make_version(cast.project, artifact=str(folder), digest=artifact_digest(folder), files=digest_tree(folder))


@pytest.fixture
def sft_run(transactional_db, tiny, make_snapshot, start):
    snapshot = make_snapshot(sft_train=24)
    path = Path(snapshot.folder) / "sft_train.jsonl"
    write_jsonl(path, sft_rows(24))
    snapshot.files["sft_train.jsonl"]["sha256"] = sha256_file(path)
    type(snapshot).objects.filter(pk=snapshot.pk).delete()
    snapshot.pk = None
    snapshot.save()
    return start(
        "sft",
        base=tiny,
        snapshot=snapshot,
        hyperparameters={"max_steps": STEPS, "lora_r": 0, "learning_rate": 3e-3, "dtype": "float32"},
        parallelism={"world_size": 2, "zero_stage": 2, "device": "cpu", "threads": 1},
        checkpoint={"every_steps": EVERY},
        model_slug="house",
    )


def ranks(job):
    """The two processes that train, not their launcher."""
    return [process for process in processes.of_job(job) if any("--local_rank" in word for word in process.cmdline())]


def test_a_run_survives_the_death_of_a_rank_and_ends_once(sft_run, fleet):
    """SFT on two ranks with ZeRO-2. One is killed after the first checkpoint; the next supervisor goes on from there."""
    job, folder = sft_run.job, Path(sft_run.folder)
    first = fleet.supervise(job)
    wait_for(lambda: list(folder.glob("checkpoints/step-*/manifest.json")), PATIENCE)
    victims = wait_for(lambda: found if len(found := ranks(job)) == 2 else None)
    os.kill(victims[1].pid, signal.SIGKILL)
    wait_for(lambda: state_of(job) != "running", PATIENCE)
    assert state_of(job) == "queued", "the death of a rank is no failure of the run"
    assert list(processes.of_job(job)) == [], "nothing of the first attempt lives on"
    first.wait(timeout=60)
    fleet.supervise(job)
    wait_for(lambda: state_of(job) in ("succeeded", "failed"), PATIENCE)
    job.refresh_from_db()
    sft_run.refresh_from_db()
    assert job.state == "succeeded", job.error
    assert (job.result["launcher"], job.result["world_size"], job.result["zero_stage"]) == ("deepspeed", 2, 2)
    assert JobEvent.objects.filter(job=job, kind="phase", data__name="resumed").count() == 1
    losses = curves(sft_run)["loss"]
    assert [step for step, _loss in losses] == list(range(1, STEPS + 1)), "every step once"
    assert losses[-1][1] < losses[0][1]
    version = ModelVersion.objects.get(model__slug="house")
    assert sft_run.output == version
    assert artifact_digest(Path(version.artifact)) == version.digest
