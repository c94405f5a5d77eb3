"""The loop as one picture."""

import pytest

from feedback.selectors import counts_of
from models_registry.services import record_evaluation
from tests.factories import make_completion, make_prompt
from training.loop import loop_picture

pytestmark = pytest.mark.django_db


def station(project, key):
    return next(found for found in loop_picture(project).stations if found.key == key)


def test_an_empty_project_has_eight_quiet_stations(cast):
    picture = loop_picture(cast.project)
    names = ["write", "judge", "settle", "freeze", "train", "evaluate", "gate", "serve"]
    assert [found.key for found in picture.stations] == names
    assert {found.state for found in picture.stations} == {"nothing"}
    assert picture.win_rate is None


def test_responses_and_prompts_are_counted_where_they_are(cast):
    prompt = make_prompt(cast.project, held_out=True)
    make_completion(prompt)
    make_completion(make_prompt(cast.mallory.project))
    assert loop_picture(cast.project).numbers["write"] == {
        "prompts": 1,
        "held_out": 1,
        "responses": 1,
        "by_models": 0,
    }


def test_pairs_wait_at_the_judges(cast):
    from annotation.services.tasks import create_pairwise_tasks

    prompts = [make_prompt(cast.project) for _ in range(3)]
    pairs = [(make_completion(prompt), make_completion(prompt)) for prompt in prompts]
    create_pairwise_tasks(actor=cast.mona, pairs=pairs, overlap=2)
    found = station(cast.project, "judge")
    assert (found.count, found.state) == (3, "here")
    assert dict(found.parts)["waiting"] == 6


def test_a_queued_run_moves_the_training_station(cast, start, base, make_snapshot):
    start("sft", base=base, snapshot=make_snapshot(sft_train=1, preference_train=5))
    assert station(cast.project, "train").state == "live"
    assert station(cast.project, "freeze").count == 5


def test_a_generation_without_a_run_yet_is_counted_too(cast, base):
    from models_registry.services import request_completions

    request_completions(
        actor=cast.mona,
        project=cast.project,
        versions=[base],
        prompts=[make_prompt(cast.project)],
        samples=1,
        sampling={},
        purpose="x",
    )
    assert station(cast.project, "write").state == "live"


def test_an_unjudged_version_waits_at_the_gate(cast, base):
    assert (station(cast.project, "gate").count, station(cast.project, "gate").state) == (1, "here")


def test_the_win_rate_names_who_judged(cast, base, make_model):
    record_evaluation(
        project=cast.project,
        version=make_model(name="new"),
        baseline=base,
        judge="ver_1",
        spec={"schema_version": 1},
        metrics={"win_rate": {"estimate": 0.6, "low": 0.5, "high": 0.7, "n": 64, "enough": True}},
    )
    found = loop_picture(cast.project).win_rate
    assert (found["estimate"], found["judge"]) == (0.6, "ver_1")


def test_the_api_gives_the_same_numbers(cast, api):
    answer = api(cast.bob).get(f"/api/v1/projects/{cast.project.slug}/loop").json()
    assert answer["stations"][0]["key"] == "write"
    assert answer["numbers"]["settle"]["decisive"] == counts_of(cast.project).decisive
