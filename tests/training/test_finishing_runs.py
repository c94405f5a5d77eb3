"""What a finished run leaves behind, once."""

from pathlib import Path

import pytest

from jobs.errors import JobError
from jobs.kinds import get_kind
from models_registry.models import Completion, ModelVersion
from models_registry.signals import completions_ready
from tests.factories import make_prompt
from tests.training.conftest import engine_result, finish
from training.engine.files import artifact_digest, write_jsonl
from training.selectors import judges_behind, origins_of
from training.services import import_base_model

pytestmark = pytest.mark.django_db


@pytest.fixture
def trained(start, base, make_snapshot):
    """A DPO run that says it is done."""
    run = start("dpo", base=base, snapshot=make_snapshot(preference_train=3), model_slug="house", seed=4)
    get_kind("dpo").prepare(run.job)
    return run


def test_a_trained_model_is_registered_with_its_history(trained, base, settings):
    result = finish(trained, engine_result(trained))
    trained.refresh_from_db()
    version = ModelVersion.objects.get(public_id=result["version"])
    assert trained.output == version
    assert (str(version), version.kind, version.parent) == ("house@1", "causal", base)
    assert version.lineage["run"] == trained.public_id
    assert version.lineage["base"] == {"id": base.public_id, "digest": base.digest}
    assert version.lineage["snapshot"]["digest"] == trained.snapshot.digest
    assert version.lineage["seed"] == 4
    assert version.lineage["launch"]["world_size"] == 2
    assert version.lineage["engine"]["torch"]


def test_the_weights_are_kept_under_their_digest(trained, settings):
    result = finish(trained, engine_result(trained))
    version = ModelVersion.objects.get(public_id=result["version"])
    kept = Path(version.artifact)
    assert kept == settings.ARTIFACTS / version.digest.removeprefix("sha256:")
    assert artifact_digest(kept) == version.digest
    assert (kept / "config.json").samefile(Path(trained.folder) / "artifact" / "config.json")


def test_finishing_twice_registers_once(trained):
    result = engine_result(trained)
    assert finish(trained, dict(result))["version"] == finish(trained, dict(result))["version"]
    assert ModelVersion.objects.filter(model__slug="house").count() == 1


def test_weights_that_changed_after_the_run_are_not_kept(trained, settings):
    result = engine_result(trained)
    (Path(trained.folder) / "artifact" / "model.safetensors").write_bytes(b"half")
    with pytest.raises(JobError, match="not those that the run reported"):
        finish(trained, result)
    assert not [path for path in settings.ARTIFACTS.glob("*") if path.is_dir()]


def test_a_reward_model_is_registered_as_one(start, base, make_snapshot):
    run = start("reward", base=base, snapshot=make_snapshot(preference_train=3))
    finish(run, engine_result(run))
    run.refresh_from_db()
    assert (run.output.kind, run.output.model.slug) == ("reward", f"{base.model.slug}-reward")


def test_a_model_carries_on_the_line_of_its_base(start, base, make_snapshot):
    run = start("sft", base=base, snapshot=make_snapshot(sft_train=3))
    finish(run, engine_result(run))
    run.refresh_from_db()
    assert str(run.output) == f"{base.model.slug}@2"


def test_an_import_from_a_package_goes_into_the_library(cast):
    run = import_base_model(actor=cast.mona, project=cast.project, source={"kind": "wheel"})
    finish(run, engine_result(run, metrics={"source": "wheel", "id": "Some/Tiny-1.5B"}))
    run.refresh_from_db()
    assert (run.output.model.slug, run.output.model.project) == ("tiny-1-5b", None)


def test_an_import_with_a_name_is_the_projects_own(cast):
    run = import_base_model(actor=cast.mona, project=cast.project, source={"kind": "tiny"}, model_slug="house")
    finish(run, engine_result(run, metrics={"source": "tiny", "id": "tiny"}))
    run.refresh_from_db()
    assert (str(run.output), run.output.model.project) == ("house@1", cast.project)


@pytest.fixture
def written(cast, start, base):
    """A generation with two samples for each of two prompts."""
    prompts = [make_prompt(cast.project) for _ in range(2)]
    run = start("generate", base=base, prompts=[prompt.public_id for prompt in prompts])
    rows = [
        {
            "prompt_id": prompt.public_id,
            "sample": sample,
            "text": f"Text {sample}",
            "finish_reason": "stop",
            "prompt_tokens": 5,
            "completion_tokens": 2,
            "seed": 10 + sample,
            "attempt": 0,
            "sampling": {"temperature": 1.0},
        }
        for prompt in prompts
        for sample in range(2)
    ]
    write_jsonl(Path(run.folder) / "output" / "completions.jsonl", rows)
    return run


def test_completions_keep_the_settings_that_made_them(written, base):
    assert finish(written, {"state": "succeeded", "metrics": {}})["stored"] == 4
    completion = Completion.objects.filter(job=written.job).order_by("pk")[1]
    assert (completion.version, completion.text, completion.finish_reason) == (base, "Text 1", "stop")
    assert completion.sampling == {"temperature": 1.0, "seed": 11, "attempt": 0}
    assert completion.usage == {"prompt_tokens": 5, "completion_tokens": 2}


def test_completions_are_stored_once(written):
    for _ in range(2):
        finish(written, {"state": "succeeded", "metrics": {}})
    assert Completion.objects.filter(job=written.job).count() == 4


def test_listeners_hear_of_completions_after_the_commit(written, django_capture_on_commit_callbacks):
    heard = []

    def listen(sender, job, **more):
        heard.append(job.public_id)

    completions_ready.connect(listen)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            finish(written, {"state": "succeeded", "metrics": {}})
            assert heard == []
        assert heard == [written.job.public_id]
    finally:
        completions_ready.disconnect(listen)


def test_the_way_back_from_a_model_ends_at_its_base(trained, base):
    finish(trained, engine_result(trained))
    trained.refresh_from_db()
    origins = origins_of(trained.output)
    assert [origin.version for origin in origins] == [trained.output, base]
    assert (origins[0].run, origins[0].snapshot, origins[1].run) == (trained, trained.snapshot, None)
    assert judges_behind(trained.snapshot) == []
