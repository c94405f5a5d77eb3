"""What review settles reaches preferences, win rates and snapshots."""

import json
from pathlib import Path

import pytest

from annotation.models import Annotation, Task
from annotation.services import routing
from annotation.services.reviews import ask_for_review
from annotation.services.settling import reopen_case, settle
from annotation.services.slots import retract
from annotation.services.tasks import create_pairwise_tasks
from feedback.models import Preference
from feedback.selectors import preferences_of, votes
from feedback.services import drain_outbox, freeze, rebuild_preferences
from feedback.services.freezing import counts_by_resolution
from ground.errors import Invalid
from models_registry.services.verdicts import record_evaluation
from tests.annotation.review_story import asks, decision, routed
from tests.factories import make_annotators, make_completion, make_prompt, make_version

pytestmark = pytest.mark.django_db


@pytest.fixture
def split(cast, make_task, vote):
    """`split()`: a task whose two answers disagree, and its case."""

    def make(**options):
        task = make_task("good", "bad", overlap=2, **options)
        asks(cast.project, review_below=0.5)
        one, two = make_annotators(cast.project, 2)
        first, second = vote(task, one, "first"), vote(task, two, "second")
        return task, first, second, routed(task)

    return make


def in_force(project):
    return {(row.annotation_id, row.outcome) for row in preferences_of(project)}


@pytest.mark.store
@pytest.mark.parametrize("projected_between", [True, False])
def test_a_settlement_alone_speaks_for_its_task(cast, split, projected_between):
    _task, first, second, case = split()
    if projected_between:
        drain_outbox()
        assert in_force(cast.project) == {(first.pk, "first"), (second.pk, "second")}
    settle(actor=cast.carol, case=case, decision=decision(case, {first: "accept", second: "fix"}, adopt=first))
    drain_outbox()
    settlement = Annotation.objects.get(settlement=True)
    assert in_force(cast.project) == {(settlement.pk, "first")}
    assert Preference.objects.count() == 3
    assert rebuild_preferences(project=cast.project) == 1
    assert in_force(cast.project) == {(settlement.pk, "first")}


@pytest.mark.store
def test_rulings_without_an_overall_answer_leave_the_accepted_ones(cast, split):
    _task, first, second, case = split()
    settle(actor=cast.carol, case=case, decision=decision(case, {first: "accept", second: "reject"}))
    drain_outbox()
    assert in_force(cast.project) == {(first.pk, "first")}


@pytest.mark.store
def test_a_settlement_taken_back_gives_the_answers_their_voice_again(cast, split):
    _task, first, second, case = split()
    settle(actor=cast.carol, case=case, decision=decision(case, {first: "accept", second: "reject"}, adopt=first))
    drain_outbox()
    reopen_case(actor=cast.carol, case=case)
    drain_outbox()
    assert in_force(cast.project) == {(first.pk, "first"), (second.pk, "second")}


@pytest.mark.store
def test_a_retracted_settlement_gives_the_answers_their_voice_again(cast, split):
    _task, first, second, case = split()
    settle(actor=cast.carol, case=case, decision=decision(case, {first: "accept", second: "fix"}, adopt=first))
    drain_outbox()
    retract(actor=cast.mona, annotation=Annotation.objects.get(settlement=True), reason="wrong")
    drain_outbox()
    assert in_force(cast.project) == {(first.pk, "first"), (second.pk, "second")}


@pytest.mark.store
def test_a_second_settlement_takes_the_place_of_the_first(cast, split):
    task, first, second, case = split()
    settle(actor=cast.carol, case=case, decision=decision(case, {first: "accept", second: "fix"}, adopt=first))
    again = ask_for_review(actor=cast.mona, task=task)
    settle(actor=cast.mona, case=again, decision=decision(again, {first: "fix", second: "accept"}, adopt=second))
    drain_outbox()
    assert [outcome for _pk, outcome in in_force(cast.project)] == ["second"]


def test_win_rates_use_what_people_said_alone(cast, vote):
    """One answer for each side and a settlement: two votes, by two people, whatever the reviewer found. Rejected ones are none."""
    champion, challenger = make_version(cast.project), make_version(cast.project)
    evaluation = record_evaluation(
        project=cast.project,
        version=challenger,
        baseline=champion,
        judge="people",
        spec={"schema_version": 1},
        metrics={},
    )
    prompt = make_prompt(cast.project)
    pair = (make_completion(prompt, "good", challenger), make_completion(prompt, "bad", champion))
    [task] = create_pairwise_tasks(actor=cast.mona, pairs=[pair], overlap=2, evaluation=evaluation)
    asks(cast.project, review_below=0.5)
    one, two = make_annotators(cast.project, 2)
    first, second = vote(task, one, "first"), vote(task, two, "second")
    case = routed(task)
    settle(actor=cast.carol, case=case, decision=decision(case, {first: "accept", second: "fix"}, adopt=first))
    drain_outbox()
    said = votes(project=cast.project, evaluation=evaluation)
    assert {(vote.actor, vote.outcome) for vote in said} == {(first.actor_id, 1.0), (second.actor_id, 0.0)}
    again = ask_for_review(actor=cast.mona, task=task)
    settle(actor=cast.mona, case=again, decision=decision(again, {first: "accept", second: "reject"}))
    drain_outbox()
    assert [vote.actor for vote in votes(project=cast.project, evaluation=evaluation)] == [first.actor_id]


@pytest.fixture
def four(cast, split, make_task, vote):
    """Four tasks: agreed, waiting, settled for the first, and one still open with one answer of two."""
    agreed, opened = make_task("a", "b"), make_task("c", "d", overlap=2)
    vote(agreed, cast.bob, "first")
    vote(opened, cast.bob, "first")
    waiting = split()
    settled = split()
    settle(
        actor=cast.carol,
        case=settled[3],
        decision=decision(settled[3], {settled[1]: "accept", settled[2]: "fix"}, adopt=settled[1]),
    )
    routing.drain_answers()
    drain_outbox()
    return agreed, opened, waiting, settled


def test_a_freeze_tells_how_many_judgements_each_choice_keeps(cast, four):
    """In force: 1 agreed, 1 open, 2 waiting, 1 settlement = 5. Reviewed: 1 + 1. Not waiting: 5 - 2."""
    assert counts_by_resolution(cast.project) == {"any": 5, "reviewed": 2, "not_waiting": 3}


@pytest.mark.parametrize(("resolution", "kept", "left"), [("any", 5, None), ("reviewed", 2, 3), ("not_waiting", 3, 2)])
def test_a_snapshot_keeps_what_came_so_far_in_review_and_counts_the_rest(cast, four, frozen, resolution, kept, left):
    snapshot = frozen(resolution=resolution, test_share=0)
    assert snapshot.spec["resolution"] == resolution
    assert snapshot.counts["judgements"] == kept
    assert snapshot.counts["dropped"].get("unresolved") == left
    assert snapshot.counts["dropped"]["overruled"] == 2
    manifest = json.loads((Path(snapshot.folder) / "manifest.json").read_text())
    assert manifest["spec"]["resolution"] == resolution


def test_the_lineage_names_the_ruling(cast, four, frozen):
    agreed, _opened, _waiting, settled = four
    snapshot = frozen(resolution="reviewed", test_share=0)
    lines = [json.loads(line) for line in (Path(snapshot.folder) / "lineage.jsonl").read_text().splitlines()]
    pairs = {line["prompt"]: line for line in lines if line["file"] == "preference_train.jsonl"}
    by_settled = pairs[settled[0].prompt.public_id]
    assert by_settled["rulings"] == [settled[3].public_id]
    assert by_settled["judgements"] == [Annotation.objects.get(settlement=True).public_id]
    assert "rulings" not in pairs[agreed.prompt.public_id]


def test_a_freeze_routes_what_the_router_has_not_seen(cast, make_task, vote, frozen):
    task = make_task("good", "bad")
    vote(task, cast.bob, "first")
    assert Task.objects.get(pk=task.pk).resolution == Task.Resolution.NONE
    assert frozen(resolution="reviewed").counts["judgements"] == 1


def test_nothing_that_came_so_far_is_said_before_a_job_is_queued(cast, split):
    split()
    with pytest.raises(Invalid):
        freeze(actor=cast.mona, project=cast.project, resolution="reviewed")
    with pytest.raises(Invalid):
        freeze(actor=cast.mona, project=cast.project, resolution="nonsense")


def test_the_api_takes_the_choice_and_refuses_another(cast, api, four):
    path = f"/api/v1/projects/{cast.project.slug}/snapshots"
    assert api(cast.mona).post(path, {"resolution": "reviewed"}).status_code == 202
    assert api(cast.mona).post(path, {"resolution": "perfect"}).status_code == 400
    assert api(cast.mona).post(path, {"resolution": ["any"]}).status_code == 400


def test_the_data_page_offers_the_choice_with_its_counts(cast, client, four):
    client.force_login(cast.mona.user)
    page = client.get(f"/p/{cast.project.slug}/data/").content.decode()
    assert "Agreed or settled in review only (2)" in page
    assert "All but what waits for review (3)" in page
