"""A run on the real launcher, with a real tick, worker and supervisor, through what happens to its ranks."""

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from jobs import processes
from jobs.models import JobEvent
from models_registry.models import ModelVersion
from tests.engine import runs
from tests.jobs.processes import Fleet, state_of, still_runs, wait_for
from tests.training.real import PATIENCE, QUICK, TWO_RANKS, error_of, newest_checkpoint, ranks, rows, tiny_version
from training.engine.files import artifact_digest
from training.selectors import curves

STEPS, EVERY = 40, 4
pytestmark = [pytest.mark.launcher, pytest.mark.timeout(1800), pytest.mark.django_db(transaction=True)]


@pytest.fixture
def house(transactional_db: None) -> Iterator[Fleet]:
    """A stopped rank is noticed after 5 s, or ten of the longest step where the machine is busy."""
    fleet = Fleet(
        OMP_NUM_THREADS="1",
        TEST_BROKER_URL="filesystem://",
        PLUMBLINE_JOB_LEASE_SECONDS="20",
        PLUMBLINE_RUN_STEP_SILENCE_SECONDS="5",
    )
    fleet.manage("tick")
    fleet.manage("worker", "--concurrency=1")
    yield fleet
    fleet.end()


@pytest.fixture
def sft_run(transactional_db: None, cast: Any, make_snapshot: Any, start: Any, tmp_path: Path) -> Any:
    return start(
        "sft",
        base=tiny_version(cast.project, tmp_path / "tiny"),
        snapshot=make_snapshot(sft_train=rows()),
        hyperparameters={**QUICK, "max_steps": STEPS},
        parallelism=TWO_RANKS,
        checkpoint={"every_steps": EVERY},
        model_slug="house",
    )


def left_alone(sft_run: Any, folder: Path) -> Path:
    """The same run by hand, to its end."""
    folder.mkdir()
    shutil.copy(Path(sft_run.folder) / "spec.json", folder)
    shutil.copytree(Path(sft_run.folder) / "data", folder / "data")
    assert runs.start(folder).wait(PATIENCE) == 0
    return folder


def strike(job: Any, folder: Path, number: signal.Signals) -> psutil.Process:
    """Send it to the second rank as soon as this attempt has left a checkpoint and goes on."""
    before = newest_checkpoint(folder)
    wait_for(lambda: newest_checkpoint(folder) > before, PATIENCE)
    victim: psutil.Process = ranks(job)[1]
    victim.send_signal(number)
    return victim


def test_a_killed_and_a_stopped_rank_change_nothing_of_what_is_learned(
    house: Fleet, sft_run: Any, tmp_path: Path
) -> None:
    """SFT on two ranks with ZeRO-2. Both times nobody lends a hand, and the weights are those of a run left alone, bit for bit."""
    job, folder = sft_run.job, Path(sft_run.folder)
    strike(job, folder, signal.SIGKILL)
    wait_for(lambda: error_of(job) == "process_gone", PATIENCE)

    stopped = strike(job, folder, signal.SIGSTOP)
    wait_for(lambda: error_of(job) == "silent", PATIENCE)
    job.refresh_from_db()
    assert "rank 1 stopped" in job.error["message"]
    assert "goes on from its newest checkpoint" in job.error["hint"]
    wait_for(
        lambda: not still_runs(stopped), PATIENCE
    )  # it dies of KILL alone; its entry goes a moment after its memory

    wait_for(lambda: state_of(job) in ("succeeded", "failed"), PATIENCE)
    job.refresh_from_db()
    assert (job.state, job.attempt) == ("succeeded", 3), job.error
    assert (job.result["launcher"], job.result["world_size"], job.result["zero_stage"]) == ("deepspeed", 2, 2)
    assert JobEvent.objects.filter(job=job, kind="phase", data__name="resumed").count() == 2
    assert list(processes.of_job(job)) == []

    calm = left_alone(sft_run, tmp_path / "calm")
    learned = curves(sft_run)["loss"]
    assert [step for step, _loss in learned] == list(range(1, STEPS + 1)), "every step once"
    assert dict(learned) == runs.losses(calm)
    version = ModelVersion.objects.get(model__slug="house")
    assert version.files["model.safetensors"] == runs.result(calm)["artifact"]["files"]["model.safetensors"]
    assert artifact_digest(Path(version.artifact)) == version.digest
    sft_run.refresh_from_db()
    assert sft_run.output == version
