"""What may be started, and what is refused before anything is queued."""

import pytest

from ground.errors import Conflict, Forbidden, Invalid, NotFound
from jobs.models import Job
from tests.factories import make_prompt, make_version
from training.models import Run
from training.services import cancel_run, import_base_model, start_run

pytestmark = [pytest.mark.django_db, pytest.mark.store]


def test_a_run_and_its_job_are_queued_together(start, base, make_snapshot):
    run = start("dpo", base=base, snapshot=make_snapshot(preference_train=3), hyperparameters={"beta": 0.2})
    assert (run.number, run.method, run.job.state) == (1, "dpo", "queued")
    assert run.job.spec["models"] == {"base": base.public_id}
    assert run.settings["hyperparameters"] == {"beta": 0.2}
    assert run.folder.endswith(run.public_id)


def test_runs_are_numbered_by_project(start, base, make_snapshot):
    snapshot = make_snapshot(sft_train=2)
    assert [start("sft", base=base, snapshot=snapshot).number for _ in range(3)] == [1, 2, 3]


def test_the_same_key_starts_one_run(start, base, make_snapshot):
    snapshot = make_snapshot(sft_train=2)
    first = start("sft", base=base, snapshot=snapshot, key="k")
    assert start("sft", base=base, snapshot=snapshot, key="k") == first
    assert Run.objects.count() == Job.objects.count() == 1


def test_the_same_key_for_something_else_is_a_conflict(start, base, make_snapshot):
    snapshot = make_snapshot(sft_train=2)
    start("sft", base=base, snapshot=snapshot, key="k")
    with pytest.raises(Conflict):
        start("sft", base=base, snapshot=snapshot, key="k", seed=9)


def test_dpo_without_preferences_says_what_it_needs(start, base, make_snapshot):
    with pytest.raises(Invalid, match="DPO needs a snapshot with preference rows") as refused:
        start("dpo", base=base, snapshot=make_snapshot(sft_train=4))
    assert "Freeze one" in refused.value.hint


@pytest.mark.parametrize("method", ["sft", "reward", "dpo", "generate", "evaluate"])
def test_a_method_without_its_model_says_so(start, make_snapshot, method):
    with pytest.raises(Invalid, match="needs a language model"):
        start(method, **({} if method in ("generate", "evaluate") else {"snapshot": make_snapshot(sft_train=1)}))


def test_a_reward_model_is_no_base(start, make_model, make_snapshot):
    with pytest.raises(Invalid, match="needs a language model") as refused:
        start("sft", base=make_model("reward"), snapshot=make_snapshot(sft_train=1))
    assert "reward model" in refused.value.hint


def test_what_would_do_nothing_is_refused(start, base, make_model, make_snapshot):
    with pytest.raises(Invalid, match="SFT would not use reward"):
        start("sft", base=base, snapshot=make_snapshot(sft_train=1), reward=make_model("reward", "judge"))


def test_a_misspelt_setting_is_refused_with_the_known_ones(start, base, make_snapshot):
    with pytest.raises(Invalid, match=r"hyperparameters\.betta: unknown; known are") as refused:
        start("dpo", base=base, snapshot=make_snapshot(preference_train=1), hyperparameters={"betta": 1})
    assert "hyperparameters.betta" in refused.value.extra["problems"]
    assert not Job.objects.exists()


def test_a_batch_that_the_processes_cannot_share_is_refused(start, base, make_snapshot):
    """9 rows over 2 processes leave one over."""
    with pytest.raises(Invalid, match="must be a multiple of 2"):
        start(
            "sft",
            base=base,
            snapshot=make_snapshot(sft_train=1),
            hyperparameters={"batch_size": 9},
            parallelism={"world_size": 2, "zero_stage": 2},
        )


def test_an_annotator_starts_nothing(cast, base, make_snapshot):
    with pytest.raises(Forbidden):
        start_run(actor=cast.bob, project=cast.project, method="sft", base=base, snapshot=make_snapshot(sft_train=1))


def test_another_projects_model_does_not_exist(cast, start, make_snapshot):
    theirs = make_version(cast.mallory.project)
    with pytest.raises(NotFound):
        start("sft", base=theirs, snapshot=make_snapshot(sft_train=1))


def test_generation_writes_to_the_held_out_prompts_by_name(cast, start, base):
    kept = make_prompt(cast.project, held_out=True)
    make_prompt(cast.project)
    run = start("generate", base=base, prompts="held_out", sampling={"temperature": 0.7, "seed": 5})
    assert run.job.spec == {
        "schema_version": 1,
        "version": base.public_id,
        "prompts": [kept.public_id],
        "samples": 2,
        "sampling": {"temperature": 0.7, "seed": 5},
        "purpose": "run",
    }


def test_generation_without_prompts_says_how_to_get_some(start, base):
    with pytest.raises(Invalid, match="no held-out prompts") as refused:
        start("generate", base=base)
    assert "Import" in refused.value.hint


def test_an_evaluation_measures_drift_from_its_baseline(cast, start, base, make_model, make_snapshot):
    make_prompt(cast.project, held_out=True)
    judge, tuned = make_model("reward", "judge"), make_model(name="tuned", parent=base)
    run = start("evaluate", base=tuned, baseline=base, reward=judge, snapshot=make_snapshot(preference_test=2))
    assert run.job.spec["models"] == {
        "base": tuned.public_id,
        "baseline": base.public_id,
        "reward_model": judge.public_id,
        "reference": base.public_id,
    }
    assert run.job.spec["data"] == {"test": "preference_test.jsonl"}


def test_held_out_pairs_need_a_reward_model(start, base, make_snapshot):
    with pytest.raises(Invalid, match="scored by a reward model"):
        start("evaluate", base=base, snapshot=make_snapshot(preference_test=2))


def test_a_base_model_is_imported_by_a_run(cast):
    run = import_base_model(actor=cast.mona, project=cast.project, source={"kind": "tiny"}, model_slug="house")
    assert (run.method, run.job.spec["model"], run.job.devices) == ("import", "house", 0)


def test_an_unknown_source_is_refused(cast):
    with pytest.raises(Invalid, match="kind must be one of"):
        import_base_model(actor=cast.mona, project=cast.project, source={"kind": "torrent"})


def test_a_run_holds_one_device_for_each_process(start, base, make_snapshot):
    run = start("sft", base=base, snapshot=make_snapshot(sft_train=1), parallelism={"world_size": 2})
    assert run.job.devices == 2


def test_a_queued_run_is_cancelled_at_once(cast, start, base, make_snapshot):
    run = cancel_run(actor=cast.mona, run=start("sft", base=base, snapshot=make_snapshot(sft_train=1)))
    assert run.job.state == "cancelled"


def test_an_annotator_cancels_nothing(cast, start, base, make_snapshot):
    with pytest.raises(Forbidden):
        cancel_run(actor=cast.bob, run=start("sft", base=base, snapshot=make_snapshot(sft_train=1)))
