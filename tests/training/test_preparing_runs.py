"""From a queued job to a run directory the engine can start in."""

import json
import os
from pathlib import Path

import pytest

from jobs.errors import JobError
from jobs.kinds import get_kind
from models_registry.services import request_completions
from tests.factories import make_prompt
from training.engine.files import read_jsonl
from training.engine.spec import load
from training.models import Run

pytestmark = pytest.mark.django_db


def prepare(job):
    return get_kind(job.kind).prepare(job)


def test_the_engine_accepts_the_prepared_spec(start, base, make_snapshot):
    run = start("dpo", base=base, snapshot=make_snapshot(preference_train=3), seed=7)
    prepare(run.job)
    spec = load(Path(run.folder) / "spec.json")
    assert (spec.run, spec.method, spec.seed) == (run.public_id, "dpo", 7)
    assert (spec.base.path, spec.base.digest) == (base.artifact, base.digest)
    assert spec.data["train"].rows == 3


def test_snapshot_files_are_linked_and_never_copied(start, base, make_snapshot):
    snapshot = make_snapshot(preference_train=3, preference_test=1)
    run = start("reward", base=base, snapshot=snapshot)
    prepare(run.job)
    for role in ("train", "test"):
        linked = Path(run.folder) / "data" / f"{role}.jsonl"
        assert linked.samefile(Path(snapshot.folder) / f"preference_{role}.jsonl")


def test_a_second_preparation_finds_what_the_first_left(start, base, make_snapshot):
    run = start("sft", base=base, snapshot=make_snapshot(sft_train=3))
    first = prepare(run.job)
    before = {path: path.read_bytes() for path in Path(run.folder).rglob("*") if path.is_file()}
    second = prepare(run.job)
    assert before == {path: path.read_bytes() for path in Path(run.folder).rglob("*") if path.is_file()}
    assert first.folder == second.folder
    assert Run.objects.count() == 1


def test_two_processes_are_started_by_the_real_launcher(start, base, make_snapshot):
    parallel = {"world_size": 2, "zero_stage": 2}
    run = start("sft", base=base, snapshot=make_snapshot(sft_train=3), parallelism=parallel)
    plan = prepare(run.job)
    assert plan.argv[0].endswith("/bin/deepspeed")
    assert plan.argv[-1] == run.folder
    assert (plan.launcher, plan.world_size, plan.zero_stage) == ("deepspeed", 2, 2)
    assert json.loads((Path(run.folder) / "ds_config.json").read_text())["zero_optimization"]["stage"] == 2


def test_every_attempt_gets_a_port_of_its_own(start, base, make_snapshot):
    run = start("sft", base=base, snapshot=make_snapshot(sft_train=3))
    argv = prepare(run.job).argv
    assert 1024 <= int(argv[argv.index("--master_port") + 1]) <= 65535


def test_processes_share_the_cores_unless_told_otherwise(start, base, make_snapshot):
    snapshot = make_snapshot(sft_train=3)
    cores = len(os.sched_getaffinity(0))
    alone = prepare(start("sft", base=base, snapshot=snapshot).job)
    shared = prepare(start("sft", base=base, snapshot=snapshot, parallelism={"world_size": 2}).job)
    told = prepare(start("sft", base=base, snapshot=snapshot, parallelism={"threads": 3}).job)
    assert alone.environment["OMP_NUM_THREADS"] == str(min(16, cores))
    assert shared.environment["OMP_NUM_THREADS"] == str(max(1, min(16, cores // 2)))
    assert told.environment["OMP_NUM_THREADS"] == "3"


def test_a_changed_snapshot_is_never_trained_on(start, base, make_snapshot):
    snapshot = make_snapshot(sft_train=3)
    run = start("sft", base=base, snapshot=snapshot)
    with (Path(snapshot.folder) / "sft_train.jsonl").open("a") as stream:
        stream.write('{"id": "smuggled"}\n')
    with pytest.raises(JobError, match="differs from its digest") as refused:
        prepare(run.job)
    assert (refused.value.failure.code, refused.value.failure.retryable) == ("changed_snapshot", False)
    assert "freeze a new snapshot" in refused.value.failure.hint


def test_a_missing_model_file_ends_the_run_with_a_hint(start, base, make_snapshot):
    run = start("sft", base=base, snapshot=make_snapshot(sft_train=3))
    (Path(base.artifact) / "model.safetensors").unlink()
    with pytest.raises(JobError, match=r"model\.safetensors of .* is missing") as refused:
        prepare(run.job)
    assert (refused.value.failure.code, refused.value.failure.retryable) == ("missing_model", False)
    assert base.artifact in refused.value.failure.hint


def test_a_model_whose_folder_is_gone_is_named(start, base, make_snapshot):
    run = start("sft", base=base, snapshot=make_snapshot(sft_train=3))
    Path(base.artifact).rename(Path(base.artifact).with_name("moved"))
    with pytest.raises(JobError, match="are not in") as refused:
        prepare(run.job)
    assert refused.value.failure.code == "missing_model"


def test_changed_weights_are_never_used(start, base, make_snapshot):
    run = start("sft", base=base, snapshot=make_snapshot(sft_train=3))
    (Path(base.artifact) / "model.safetensors").write_bytes(b"other weights")
    with pytest.raises(JobError, match="differs from its registered digest") as refused:
        prepare(run.job)
    assert refused.value.failure.code == "changed_model"


def test_a_generation_the_registry_asked_for_becomes_a_run(cast, base):
    prompts = [make_prompt(cast.project) for _ in range(3)]
    (job,) = request_completions(
        actor=cast.mona,
        project=cast.project,
        versions=[base],
        prompts=prompts[::-1],
        samples=40,
        sampling={"temperature": 0.7, "seed": 3, "do_sample": True},
        purpose="round:1",
    )
    plan = prepare(job)
    run = Run.objects.get(job=job)
    assert (run.method, run.base, run.settings["prompts"]) == ("generate", base, 3)
    spec = load(plan.folder / "spec.json")
    assert (spec.seed, spec.hyperparameters.temperature, spec.hyperparameters.samples_per_prompt) == (3, 0.7, 40)
    assert spec.hyperparameters.batch_size == 40, "the samples of one prompt stay in one batch"
    written = list(read_jsonl(plan.folder / "data" / "prompts.jsonl"))
    assert [row["id"] for row in written] == [prompt.public_id for prompt in prompts[::-1]]
    assert written[0]["messages"] == prompts[-1].messages
