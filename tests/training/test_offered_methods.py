"""KTO, GRPO and RLOO from the page and the API to a job that the engine accepts and a version."""

from pathlib import Path

import pytest

from ground.errors import Invalid
from jobs.kinds import get_kind
from tests.factories import make_prompt
from tests.training.conftest import engine_result, finish
from training.engine.spec import load
from training.models import Run

pytestmark = pytest.mark.django_db
ONLINE = ("grpo", "rloo")


@pytest.fixture
def inputs(cast, base, make_model, make_snapshot):
    """What each method learns from, as `start_run` takes it."""
    prompts = [make_prompt(cast.project) for _ in range(8)]
    assert prompts
    judged = {"base": base, "reward": make_model("reward", "judge")}
    return {"kto": {"base": base, "snapshot": make_snapshot(preference_train=3)}, "grpo": judged, "rloo": judged}


@pytest.mark.parametrize("method", ["kto", *ONLINE])
def test_the_engine_accepts_what_was_started_and_a_version_comes_of_it(start, base, inputs, method):
    run = start(method, **inputs[method], parallelism={"world_size": 2, "zero_stage": 2})
    plan = get_kind(method).prepare(run.job)
    spec = load(Path(run.folder) / "spec.json")
    assert spec.method == method
    assert set(spec.models) == ({"base"} if method == "kto" else {"base", "reward_model"})
    assert set(spec.data) == ({"train"} if method == "kto" else {"prompts"})
    assert (plan.launcher, plan.world_size, plan.zero_stage) == ("deepspeed", 2, 2)
    finish(run, engine_result(run))
    version = Run.objects.get(pk=run.pk).output
    assert (version.kind, version.parent) == ("causal", base)


@pytest.mark.parametrize("method", ["kto", *ONLINE])
def test_a_manager_starts_each_from_the_page(client, cast, inputs, method):
    client.force_login(cast.mona.user)
    chosen = {role: row.public_id for role, row in inputs[method].items()}
    form = {"method": method, **chosen, "seed": 3, "par_world_size": 1, "hp_max_steps": 5}
    if method in ONLINE:
        form["prompts"] = "training"
    place = f"/p/{cast.project.slug}/runs/new/?method={method}"
    page = client.get(place).content.decode()
    named = "hp_beta" if method == "kto" else "hp_samples_per_prompt"
    assert all(f'name="{name}"' in page for name in (*chosen, named))
    assert client.post(place, form).status_code == 302
    assert Run.objects.get().job.spec["hyperparameters"] == {"max_steps": 5}


@pytest.mark.parametrize("method", ONLINE)
def test_learning_from_a_reward_model_needs_one_and_training_prompts(start, cast, inputs, method):
    with pytest.raises(Invalid, match=f"{method.upper()} needs a reward model"):
        start(method, base=inputs[method]["base"])
    with pytest.raises(Invalid, match="Held-out prompts are kept for evaluation"):
        make_prompt(cast.project, held_out=True)
        start(method, **inputs[method], prompts="held_out")


@pytest.mark.parametrize(
    ("method", "chosen", "reason"),
    [
        ("grpo", {"batch_size": 12}, "multiple of samples_per_prompt"),
        ("grpo", {"clip_range": 0.3}, "raise update_epochs"),
        ("rloo", {"lora_dropout": 0.1}, "ratio differ from 1"),
        ("rloo", {"score_normalization": "running"}, "the KL explodes"),
        ("rloo", {"scale_rewards": "group"}, "unknown"),
        ("grpo", {"max_new_tokens": 512}, "no prompt would fit"),
        ("kto", {"micro_batch_size": 1}, "at least 2 rows"),
        ("kto", {"batch_size": 1}, "at least 2 rows"),
        ("kto", {"lora_dropout": 0.1}, "does nothing"),
    ],
)
def test_what_would_do_nothing_is_refused_with_the_reason(start, inputs, method, chosen, reason):
    with pytest.raises(Invalid, match=reason):
        start(method, **inputs[method], hyperparameters=chosen)


@pytest.mark.parametrize("method", ["kto", *ONLINE])
def test_the_api_starts_each(client, cast, inputs, method):
    client.force_login(cast.mona.user)
    body = {"method": method, **{role: row.public_id for role, row in inputs[method].items()}}
    answer = client.post(f"/api/v1/projects/{cast.project.slug}/runs", body, content_type="application/json")
    assert (answer.status_code, answer.json()["method"]) == (202, method)


@pytest.mark.parametrize(("method", "name"), [("sft", "sft"), ("dpo", "preference")])
def test_held_out_rows_go_along_where_they_are_measured(start, base, make_snapshot, method, name):
    snapshot = make_snapshot(**{f"{name}_train": 3, f"{name}_test": 2})
    plain = start(method, base=base, snapshot=snapshot)
    watched = start(method, base=base, snapshot=snapshot, hyperparameters={"evaluate_every": 5, "patience": 2})
    assert plain.job.spec["data"] == {"train": f"{name}_train.jsonl"}
    assert watched.job.spec["data"] == {"train": f"{name}_train.jsonl", "test": f"{name}_test.jsonl"}
    with pytest.raises(Invalid, match="needs held-out rows"):
        start(method, base=base, snapshot=make_snapshot(**{f"{name}_train": 3}), hyperparameters={"evaluate_every": 5})
