"""After the champion moves, both versions answer the same held-out prompts and blind pairs wait in the queue."""

from typing import Any

import pytest

from annotation.models import Candidate, Task
from annotation.rounds import sweep_rounds
from jobs import services as jobs
from jobs.models import Job
from models_registry.models import Alias, Evaluation, Model
from models_registry.services.aliases import move_alias
from models_registry.services.completions import add_completions
from models_registry.services.verdicts import record_verdict
from tests.factories import make_prompt, make_version

pytestmark = [pytest.mark.store, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def moved(cast: Any) -> Any:
    """Bootstrap a champion, then move to a second version by override; three held-out prompts and one for training."""
    model = Model.objects.create(project=cast.project, slug="helper", name="Helper")
    for number in range(3):
        make_prompt(cast.project, f"Held-out question {number}?", held_out=True)
    make_prompt(cast.project, "A training question?")
    old, new = make_version(model=model), make_version(model=model)
    for generation, (version, outcome) in enumerate([(old, "bootstrap"), (new, "override")]):
        verdict = record_verdict(
            actor=cast.mona, project=cast.project, version=version, outcome=outcome, reason="for the test"
        )
        move_alias(
            actor=cast.mona,
            model=model,
            name="champion",
            version=version,
            verdict=verdict,
            expected_generation=generation,
        )
    return old, new


def finish(job: Job, texts: list[str]) -> None:
    """What the generation's supervisor does at its end."""
    from models_registry.models import ModelVersion, Prompt

    version = ModelVersion.objects.get(public_id=job.spec["version"])
    prompts = Prompt.objects.filter(public_id__in=job.spec["prompts"]).order_by("pk")
    rows = [
        {"prompt": prompt.public_id, "text": text, "external_id": prompt.public_id}
        for prompt, text in zip(prompts, texts, strict=True)
    ]
    Job.objects.filter(pk=job.pk).update(state="succeeded", finished_at=job.created_at)
    add_completions(job=job, version=version, rows=rows)


def test_moving_the_champion_asks_both_versions_for_the_held_out_prompts_alone(moved):
    asked = Job.objects.filter(kind="generate").order_by("pk")
    assert sorted(job.spec["version"] for job in asked) == sorted(version.public_id for version in moved)
    assert {len(job.spec["prompts"]) for job in asked} == {3}


def test_blind_pairs_appear_once_when_both_have_answered(moved):
    old, new = moved
    first, second = Job.objects.filter(kind="generate").order_by("pk")
    finish(first, ["one", "two", "the same"])
    assert Task.objects.count() == 0
    finish(second, ["eins", "zwei", "the same"])
    assert Task.objects.count() == 2, "two prompts differ; where both said the same there is nothing to judge"
    evaluation = Evaluation.objects.get(judge="people")
    assert (evaluation.version, evaluation.baseline) == (new, old)
    assert {task.evaluation_id for task in Task.objects.all()} == {evaluation.pk}
    assert {c.completion.version_id for c in Candidate.objects.all()} == {old.pk, new.pk}
    sweep_rounds()
    assert Task.objects.count() == 2


def test_the_sweep_repairs_a_lost_signal(moved):
    from models_registry.signals import completions_ready

    listeners, completions_ready.receivers = completions_ready.receivers, []
    try:
        for job in Job.objects.filter(kind="generate"):
            finish(job, [f"{job.pk} a", f"{job.pk} b", f"{job.pk} c"])
    finally:
        completions_ready.receivers = listeners
        completions_ready.sender_receivers_cache.clear()
    assert Task.objects.count() == 0
    assert sweep_rounds() == 3


def test_a_first_champion_has_nobody_to_be_compared_with(cast):
    model = Model.objects.create(project=cast.project, slug="helper", name="Helper")
    make_prompt(cast.project, "Held out?", held_out=True)
    version = make_version(model=model)
    verdict = record_verdict(actor=cast.mona, project=cast.project, version=version, outcome="bootstrap")
    move_alias(
        actor=cast.mona, model=model, name=Alias.CHAMPION, version=version, verdict=verdict, expected_generation=0
    )
    assert not jobs.Job.objects.filter(kind="generate").exists()
