"""The overview's one button: at every station of the loop it offers what moves the loop on."""

import pytest

from models_registry.models import Verdict
from models_registry.services.verdicts import record_verdict
from tests.e2e.story import Story
from training.attention import needs_a_person
from training.loop import loop_picture
from training.next_steps import Look, next_step
from training.views.loop import items_per_dot, phases

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.store]


@pytest.fixture
def story(cast, settings, tmp_path):
    settings.SNAPSHOTS = tmp_path / "snapshots"
    return Story(cast, tmp_path)


def offered(project):
    step = next_step(Look(project, loop_picture(project).numbers))
    return step.station, step.action


def test_each_step_done_offers_the_next(story, cast):
    offers = [offered(cast.project)]
    story.prompts()
    offers.append(offered(cast.project))
    base = story.version()
    offers.append(offered(cast.project))
    story.champion(base)
    offers.append(offered(cast.project))
    job = story.responses(base)
    offers.append(offered(cast.project))
    story.tasks(job, overlap=1)
    offers.append(offered(cast.project))
    story.judge(cast.bob)
    snapshot = story.snapshot()
    offers.append(offered(cast.project))
    dpo = story.run("dpo", base, snapshot)
    offers.append(offered(cast.project))
    policy = story.trained(dpo)
    offers.append(offered(cast.project))
    reward = story.trained(story.run("reward", base, snapshot), "reward", "judge")
    offers.append(offered(cast.project))
    evaluation = story.evaluated(policy, base, reward.public_id)
    offers.append(offered(cast.project))
    verdict = record_verdict(actor=cast.mona, project=cast.project, evaluation=evaluation)
    offers.append(offered(cast.project))
    story.move(policy, verdict, 1)
    offers.append(offered(cast.project))
    assert offers == [
        ("write", "Import prompts"),
        ("write", "Bring in a base model"),
        ("gate", "Make it the champion"),
        ("write", "Write responses"),
        ("judge", "Make tasks"),
        ("judge", "Label"),
        ("train", "Train with DPO"),
        ("train", "Watch"),
        ("train", "Train a reward model"),
        ("evaluate", "Evaluate it"),
        ("gate", "Decide"),
        ("gate", "Make it the champion"),
        ("serve", "Serve it"),
    ]


def test_judgements_in_no_snapshot_are_offered_for_freezing(story, cast):
    """Six pairs, one judgement each: all in, none frozen."""
    story.prompts()
    base = story.version()
    story.champion(base)
    story.tasks(story.responses(base), overlap=1)
    story.judge(cast.bob)
    from feedback.services import drain_outbox

    drain_outbox()
    step = next_step(Look(cast.project, loop_picture(cast.project).numbers))
    assert (step.sentence, step.action) == ("6 judgements are in no snapshot yet.", "Freeze a snapshot")


def test_a_version_that_may_not_serve_is_not_offered_as_champion(story, cast):
    """Worse by its verdict: nothing is left to do with it, so the loop goes on with what was written for the round."""
    story.prompts()
    base = story.version()
    story.champion(base)
    story.tasks(story.responses(base), overlap=1)
    story.judge(cast.bob)
    snapshot = story.snapshot()
    story.trained(story.run("reward", base, snapshot), "reward", "judge")
    policy = story.trained(story.run("dpo", base, snapshot))
    Verdict.objects.create(
        project=cast.project, version=policy, outcome=Verdict.Outcome.WORSE, evidence={"schema_version": 1}
    )
    assert offered(cast.project) == ("serve", "Serve it")


def test_a_failed_run_needs_a_person_until_one_went_well(story, cast):
    from jobs.data import Failure
    from jobs.services import claim, fail

    story.prompts()
    base = story.version()
    story.tasks(story.responses(base), overlap=1)
    story.judge(cast.bob)
    snapshot = story.snapshot()
    first = story.run("dpo", base, snapshot)
    fail(job=claim(job=first.job), failure=Failure("broken", "The disk is full.", "Make room."))

    def titles():
        look = Look(cast.project, loop_picture(cast.project).numbers)
        return [item.title for item in needs_a_person(look, [])]

    assert titles()[0].startswith(f"Run {first.number} failed")
    story.trained(story.run("dpo", base, snapshot))
    assert not [title for title in titles() if "failed" in title]


def test_only_simulated_judges_are_named_as_such(story, cast):
    look = Look(cast.project, loop_picture(cast.project).numbers)
    simulated = [{"actor__kind": "simulated"}]
    assert [item.title for item in needs_a_person(look, simulated)] == ["Only simulated annotators have judged so far."]
    assert needs_a_person(look, [*simulated, {"actor__kind": "person"}]) == []


def test_tasks_that_wait_for_a_reviewer_need_a_person(story, cast):
    from annotation.models import Task

    def titles():
        look = Look(cast.project, loop_picture(cast.project).numbers)
        return [item.title for item in needs_a_person(look, []) if "reviewer" in item.title]

    story.prompts()
    story.tasks(story.responses(story.version()), overlap=1)
    assert titles() == []
    Task.objects.update(resolution=Task.Resolution.WAITING)
    assert titles() == ["6 tasks wait for a reviewer."]


def test_the_fullest_station_fits_into_a_hundred_dots(cast):
    """100 items: one each; 101: five each; 501: ten each."""
    stations = loop_picture(cast.project).stations

    def per(count):
        from dataclasses import replace

        return items_per_dot([replace(stations[0], parts=(("rest", count),))])

    assert [per(100), per(101), per(501), per(0)] == [1, 5, 10, 1]


def test_one_phase_is_here_and_it_is_the_next_steps(story, cast):
    story.prompts()
    picture = loop_picture(cast.project)
    step = next_step(Look(cast.project, picture.numbers))
    assert [phase["state"] for phase in phases(picture, step)] == ["here"] + [""] * 7
