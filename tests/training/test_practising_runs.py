"""PPO from the page and the API to a registered version."""

from pathlib import Path

import pytest

from ground.errors import Invalid, NotFound
from jobs.kinds import get_kind
from tests.factories import make_prompt, make_version
from tests.training.conftest import engine_result, finish
from training.engine.spec import load
from training.models import Run

pytestmark = pytest.mark.django_db


@pytest.fixture
def judge(make_model):
    return make_model("reward", "judge")


@pytest.fixture
def prompts(cast):
    return [make_prompt(cast.project) for _ in range(3)]


def test_it_needs_a_reward_model(start, base, prompts):
    with pytest.raises(Invalid, match="PPO needs a reward model") as refused:
        start("ppo", base=base)
    assert "`reward`" in refused.value.hint


def test_a_language_model_cannot_pay(start, base, prompts, make_model):
    with pytest.raises(Invalid, match="PPO needs a reward model"):
        start("ppo", base=base, reward=make_model(name="other"))


def test_another_projects_reward_model_does_not_exist(cast, start, base, prompts):
    with pytest.raises(NotFound):
        start("ppo", base=base, reward=make_version(cast.mallory.project, kind="reward"))


def test_it_learns_on_the_training_prompts(cast, start, base, judge, prompts):
    make_prompt(cast.project, held_out=True)
    run = start("ppo", base=base, reward=judge)
    assert run.job.spec["models"] == {"base": base.public_id, "reward_model": judge.public_id}
    assert run.job.spec["prompts"] == [prompt.public_id for prompt in prompts]


@pytest.mark.parametrize("by_name", [True, False])
def test_it_never_learns_on_held_out_prompts(cast, start, base, judge, prompts, by_name):
    kept = make_prompt(cast.project, held_out=True)
    with pytest.raises(Invalid, match="Held-out prompts are kept for evaluation"):
        start("ppo", base=base, reward=judge, prompts="held_out" if by_name else [prompts[0].public_id, kept.public_id])


@pytest.mark.parametrize(
    ("chosen", "reason"),
    [
        ({"kl_estimator": "k3"}, "gradient vanishes near the reference"),
        ({"score_normalization": "running"}, "the KL explodes"),
        ({"lora_dropout": 0.1}, "without dropout"),
        ({"kl_horizon": 100}, "does nothing without kl_target"),
        ({"lora_r": 0, "value_coefficient": 0.5}, "has its own trunk"),
        ({"value_init": "base"}, "a head on the policy"),
        ({"max_new_tokens": 512}, "no prompt would fit"),
        ({"min_new_tokens": 128}, "every response would pay it"),
        ({"batch_size": 6}, "multiple of 4"),
    ],
)
def test_settings_that_destroy_or_do_nothing_are_refused_with_the_reason(start, base, judge, prompts, chosen, reason):
    with pytest.raises(Invalid, match=reason):
        start("ppo", base=base, reward=judge, hyperparameters=chosen)


def test_the_engine_accepts_the_prepared_spec(start, base, judge, prompts):
    run = start("ppo", base=base, reward=judge, parallelism={"world_size": 2, "zero_stage": 3})
    plan = get_kind("ppo").prepare(run.job)
    spec = load(Path(run.folder) / "spec.json")
    assert (spec.method, spec.models["reward_model"].digest, spec.data["prompts"].rows) == ("ppo", judge.digest, 3)
    assert (plan.argv[0].endswith("/bin/deepspeed"), plan.world_size, plan.zero_stage) == (True, 2, 3)


def test_a_finished_run_is_a_version_that_says_who_paid(start, base, judge, prompts):
    run = start("ppo", base=base, reward=judge)
    get_kind("ppo").prepare(run.job)
    finish(run, engine_result(run))
    version = Run.objects.get(pk=run.pk).output
    assert (version.kind, version.parent) == ("causal", base)
    assert version.lineage["reward_model"] == {"id": judge.public_id, "digest": judge.digest}
    assert "3 prompts" in version.card


def test_a_manager_starts_it_from_the_page(client, cast, base, judge, prompts):
    client.force_login(cast.mona.user)
    page = client.get(f"/p/{cast.project.slug}/runs/new/?method=ppo").content.decode()
    for name in ("base", "reward", "prompts", "hp_kl_coefficient", "hp_missing_eos_penalty"):
        assert f'name="{name}"' in page
    assert "held_out" not in page
    assert ">k3<" not in page
    form = {"method": "ppo", "base": base.public_id, "reward": judge.public_id, "prompts": "training", "seed": 3}
    answer = client.post(f"/p/{cast.project.slug}/runs/new/?method=ppo", {**form, "par_world_size": 1})
    assert answer.status_code == 302, answer.content.decode()
    assert Run.objects.get().job.spec["seed"] == 3


def test_the_api_describes_and_starts_it(client, cast, base, judge, prompts):
    client.force_login(cast.mona.user)
    methods = {row["method"]: row for row in client.get("/api/v1/methods").json()}
    assert methods["ppo"]["uses"] == ["base", "reward", "prompts"]
    assert "kl_coefficient" in {row["name"] for row in methods["ppo"]["hyperparameters"]}
    body = {"method": "ppo", "base": base.public_id, "reward": judge.public_id, "prompts": "training"}
    answer = client.post(f"/api/v1/projects/{cast.project.slug}/runs", body, content_type="application/json")
    assert answer.status_code in (201, 202), answer.content.decode()
    assert answer.json()["method"] == "ppo"
