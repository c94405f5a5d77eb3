"""A classifier from the start of its run to what it says of tasks, on the real launcher under the real supervisor."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from models_registry.models import ModelVersion
from tests.e2e.asking import make_schema, make_task
from tests.engine.runs import judged_rows, topics
from tests.factories import make_version
from tests.jobs.processes import Fleet, state_of, wait_for
from training.engine.files import artifact_digest, digest_tree
from training.selectors import predictions_of

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 240.0
TOPIC = {
    "name": "topic",
    "kind": "labels",
    "text": "About?",
    "options": [{"value": name, "text": name.title()} for name in ("water", "light", "food")],
}
pytestmark = [pytest.mark.launcher, pytest.mark.timeout(900)]


@pytest.fixture
def fleet(transactional_db: None) -> Iterator[Fleet]:
    started = Fleet(OMP_NUM_THREADS="1")
    yield started
    started.end()


@pytest.fixture
def encoder(cast, tmp_path):
    folder = tmp_path / "encoder"
    subprocess.run([sys.executable, "-m", "training.engine.tiny", str(folder), "encoder"], check=True, cwd=ROOT)
    files = {"artifact": str(folder), "digest": artifact_digest(folder), "files": digest_tree(folder)}
    return make_version(cast.project, kind="encoder", **files)


def done(fleet, run):
    fleet.supervise(run.job)
    wait_for(lambda: state_of(run.job) in ("succeeded", "failed"), PATIENCE)
    run.job.refresh_from_db()
    run.refresh_from_db()
    assert run.job.state == "succeeded", run.job.error
    return run


def test_tasks_are_read_by_a_classifier_that_answers_taught(
    cast, transactional_db, encoder, make_snapshot, start, fleet
):
    snapshot = make_snapshot(labels_train=judged_rows(48), labels_test=judged_rows(18, seed=9))
    settings = {"dtype": "float32", "learning_rate": 2e-3, "epochs": 8, "batch_size": 8}
    parallel = {"world_size": 1, "zero_stage": 2, "device": "cpu", "threads": 1}
    run = done(
        fleet, start("classify", base=encoder, snapshot=snapshot, hyperparameters=settings, parallelism=parallel)
    )
    assert run.job.result["launcher"] == "deepspeed"
    version = ModelVersion.objects.get(kind="classifier")
    assert run.output == version
    assert version.metrics["measures"]["accuracy"] > 0.8

    schema = make_schema(cast.project, TOPIC, fields=[{"name": "text", "text": "Text"}])
    known = {make_task(schema, data={"text": text}).public_id: topic for text, topic in topics(12, seed=4)}
    said = list(predictions_of(done(fleet, start("predict", base=version))))
    assert {row["id"] for row in said} == set(known)
    assert sum(row["labels"] == [known[row["id"]]] for row in said) >= 10
