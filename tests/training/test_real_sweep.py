"""A sweep that really trains: the worker starts it, its trials run on the launcher, the best is told, the budget ends it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.models import Job
from tests.jobs.processes import Fleet, state_of, wait_for
from tests.training.real import PATIENCE, rows, tiny_version
from training.services import Asked
from training.sweeps import best_of, spent, start_sweep, trials

pytestmark = [pytest.mark.launcher, pytest.mark.timeout(1800)]


@pytest.fixture
def fleet(transactional_db) -> Iterator[Fleet]:
    started = Fleet(OMP_NUM_THREADS="1", TEST_BROKER_URL="filesystem://", PLUMBLINE_JOB_LEASE_SECONDS="20")
    yield started
    started.end()


@pytest.fixture
def asked(transactional_db, cast, make_snapshot, tmp_path):
    return Asked(
        method="sft",
        base=tiny_version(cast.project, tmp_path / "tiny"),
        snapshot=make_snapshot(sft_train=rows()),
        hyperparameters={"max_steps": 6, "lora_r": 0, "batch_size": 4, "dtype": "float32"},
        parallelism={"device": "cpu", "threads": 1},
        checkpoint={"every_steps": 2},
        model_slug="house",
    )


def test_the_better_of_two_trials_is_told(cast, asked, fleet):
    """A rate of 1e-7 learns nothing in six steps; 3e-3 does."""
    job = start_sweep(actor=cast.mona, asked=asked, space={"learning_rate": [1e-7, 3e-3]}, budget_device_seconds=3000)
    fleet.manage("tick")
    fleet.manage("worker", "--concurrency=1")
    wait_for(lambda: state_of(job) in ("succeeded", "failed"), PATIENCE)
    job.refresh_from_db()
    assert job.state == "succeeded", job.error
    slow, fast = trials(job)
    assert [one.state for one in (slow, fast)] == ["succeeded", "succeeded"]
    assert fast.run.job.started_at >= slow.run.job.finished_at, "one after the other"
    assert fast.value < slow.value
    assert (job.result["best"], best_of(job, [slow, fast])) == (fast.run.public_id, fast)
    assert [one.run.output.model.slug for one in (slow, fast)] == ["house", "house"]
    assert 0 < spent(job) == pytest.approx(slow.device_seconds + fast.device_seconds, abs=0.1)


def test_the_budget_stops_a_trial_that_trains_and_starts_no_other(cast, asked, fleet):
    asked.hyperparameters["max_steps"] = 100_000
    job = start_sweep(actor=cast.mona, asked=asked, space={"learning_rate": [1e-3, 3e-3]}, budget_device_seconds=1)
    fleet.manage("tick")
    fleet.manage("worker", "--concurrency=1")
    wait_for(lambda: state_of(job) in ("succeeded", "failed"), PATIENCE)
    job.refresh_from_db()
    assert (job.state, job.result["tried"], job.result["not_tried"], job.result["best"]) == ("succeeded", 1, 1, None)
    first, second = trials(job)
    assert (first.state, second.run) == (Job.State.CANCELLED, None)
    assert first.device_seconds >= 1
    assert list(Path(first.run.folder).glob("checkpoints/step-*")), "what it has is kept"
