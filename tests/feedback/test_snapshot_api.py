"""Snapshots, counts and win rates by HTTP, and the way back from a model."""

import pytest

from accounts.services import add_simulated_annotator
from annotation.models import Annotation
from annotation.services.slots import undo
from annotation.services.tasks import create_pairwise_tasks
from feedback.models import Snapshot
from feedback.selectors import counts_of, lineage_of, votes
from feedback.services import drain_outbox
from jobs.models import Job
from models_registry.models import Evaluation, Model
from tests.factories import make_annotators, make_completion, make_prompt, make_version


@pytest.mark.store
def test_a_manager_freezes_and_reads_the_snapshot(api, cast, make_task, vote, run_job):
    vote(make_task(), cast.bob, "first")
    at = f"/api/v1/projects/{cast.project.slug}/snapshots"
    mona = api(cast.mona)
    sent = mona.post(at, {"name": "first", "test_share": 0, "seed": 3}, HTTP_IDEMPOTENCY_KEY="f")
    assert sent.status_code == 202, sent.content
    assert mona.post(at, {"name": "first", "test_share": 0, "seed": 3}, HTTP_IDEMPOTENCY_KEY="f").json() == sent.json()
    run_job(Job.objects.get(public_id=sent.json()["job"]))
    one = mona.get(f"{at}/{sent.json()['snapshot']}").json()
    assert (one["number"], one["name"], one["files"]["preference_train.jsonl"]["rows"]) == (1, "first", 1)
    assert mona.get(at).json()["results"] == [one]
    lines = mona.get(f"{at}/{one['id']}/rows").json()["results"]
    assert [(line["file"], line["line"], len(line["annotations"])) for line in lines] == [
        ("preference_train.jsonl", 1, 1),
        ("sft_train.jsonl", 1, 1),
    ]
    got = mona.get(f"{at}/{one['id']}/files/preference_train.jsonl")
    assert b"".join(got.streaming_content).count(b"\n") == 1
    assert mona.get(f"{at}/{one['id']}/files/..%2Fsecret_key").status_code == 404
    assert mona.post(f"{at}/{one['id']}:verify").json() == {"intact": True, "changed": []}


@pytest.mark.store
def test_annotators_and_strangers_see_no_snapshots(api, cast, make_task, vote, frozen):
    vote(make_task(), cast.bob, "first")
    snapshot = frozen()
    at = f"/api/v1/projects/{cast.project.slug}/snapshots"
    assert api(cast.bob).get(at).status_code == 403
    assert api(cast.carol).get(at).status_code == 200
    assert api(cast.carol).post(at, {}).status_code == 403
    assert api(cast.mona, "read").post(at, {}).status_code == 403
    assert api(cast.mallory).get(at).status_code == 404
    theirs = f"/api/v1/projects/{cast.mallory.project.slug}/snapshots/{snapshot.public_id}"
    assert api(cast.mallory).get(theirs).status_code == 404


@pytest.mark.store
@pytest.mark.parametrize(
    "wrong", [{"test_share": 2}, {"ties": "half"}, {"sed": 1}, {"name": "\x00"}, {"seed": 2**40}, []]
)
def test_a_wrong_snapshot_request_is_a_clear_problem(api, cast, make_task, vote, wrong):
    vote(make_task(), cast.bob, "first")
    sent = api(cast.mona).post(f"/api/v1/projects/{cast.project.slug}/snapshots", wrong)
    assert sent.status_code in (400, 422)
    assert not Job.objects.exists()


@pytest.mark.store
def test_an_empty_project_is_told_how_to_get_something_to_freeze(api, cast):
    sent = api(cast.mona).post(f"/api/v1/projects/{cast.project.slug}/snapshots", {})
    assert (sent.status_code, sent.json()["hint"] != "") == (422, True)


@pytest.fixture
def contest(cast):
    """A challenger against a baseline, and the evaluation that compares them."""
    model = Model.objects.create(project=cast.project, slug="assistant", name="Assistant")
    baseline, challenger = make_version(model=model), make_version(model=model)
    return Evaluation.objects.create(
        project=cast.project, version=challenger, baseline=baseline, judge="people", spec={"schema_version": 1}
    )


def judged(cast, contest, vote, actors, choices, swapped=()):
    """One task per choice, in the evaluation; `choices` name the side of ordinal 0, the challenger unless `swapped`."""
    for number, choice in enumerate(choices):
        prompt = make_prompt(cast.project)
        pair = [make_completion(prompt, version=version) for version in (contest.version, contest.baseline)]
        pair = tuple(reversed(pair)) if number in swapped else tuple(pair)
        (task,) = create_pairwise_tasks(actor=cast.mona, pairs=[pair], overlap=1, evaluation=contest)
        vote(task, actors[number % len(actors)], choice)
    drain_outbox()


@pytest.mark.store
def test_votes_are_seen_from_the_challenger_on_whichever_side_it_stood(cast, contest, vote, make_task):
    """won, lost, tie, both bad; then the sides swapped, where "first" is the baseline: lost."""
    judged(cast, contest, vote, [cast.bob], ["first", "second", "tie", "neither", "first"], swapped=[4])
    vote(make_task(), cast.bob, "first")
    drain_outbox()
    assert [one.outcome for one in votes(project=cast.project, evaluation=contest)] == [1.0, 0.0, 0.5, None, 0.0]


@pytest.mark.store
def test_an_undone_vote_is_no_vote(cast, contest, vote):
    judged(cast, contest, vote, [cast.bob], ["first", "second"])
    undo(actor=cast.bob, annotation=Annotation.objects.order_by("pk").last())
    drain_outbox()
    assert [one.outcome for one in votes(project=cast.project, evaluation=contest)] == [1.0]
    assert counts_of(cast.project).preferences == 1


@pytest.mark.store
def test_the_win_rate_of_human_votes_has_an_interval_and_says_when_it_can_tell(api, cast, contest, vote):
    """10 prompts, 10 people: 7 wins, 1 tie, 2 losses → (7 + 0.5) / 10 = 0.75."""
    at = f"/api/v1/projects/{cast.project.slug}/evaluations/{contest.public_id}/win-rate"
    assert api(cast.mona).get(at).json() == {"evaluation": contest.public_id, "votes": 0, "win_rate": None}
    judged(cast, contest, vote, make_annotators(cast.project, 10), ["first"] * 7 + ["tie"] + ["second"] * 2)
    rate = api(cast.mona).get(at).json()["win_rate"]
    assert (rate["estimate"], rate["wins"], rate["ties"], rate["losses"], rate["enough"]) == (0.75, 7, 1, 2, True)
    assert rate["low"] < 0.75 < rate["high"]
    assert api(cast.mallory).get(at).status_code == 404


@pytest.mark.store
def test_counts_tell_people_from_simulated_annotators(cast, make_task, vote, api):
    simulated = add_simulated_annotator(actor=cast.mona, external_id="sim-1", pseudonym="Sim 1")
    vote(make_task(), cast.bob, "first")
    vote(make_task(), simulated, "tie")
    completion = make_completion(make_prompt(cast.project))
    app = api(cast.mona, "feedback")
    for value in ("up", "down", "up"):
        app.post("/v1/feedback", {"completion": completion.public_id, "kind": "thumb", "value": value})
    app.post("/v1/feedback", {"completion": "cmp_unknown", "kind": "rating", "value": 4})
    drain_outbox()
    counts = counts_of(cast.project)
    assert (counts.preferences, counts.decisive, counts.ties, counts.prompts) == (2, 1, 1, 2)
    assert (counts.people, counts.simulated, counts.waiting) == (1, 1, 0)
    assert (counts.feedback, counts.thumbs_up, counts.thumbs_down, counts.ratings, counts.pending) == (4, 2, 1, 1, 1)


@pytest.mark.store
def test_a_model_leads_back_to_the_answers_it_learned_from(cast, make_task, vote, frozen):
    """The version was trained on snapshot 2; its parent on snapshot 1."""
    vote(make_task(), cast.bob, "first")
    one = frozen()
    vote(make_task(), cast.carol, "second")
    two = frozen()
    model = Model.objects.create(project=cast.project, slug="assistant", name="Assistant")
    named = lambda snapshot: {"schema_version": 1, "data": {"snapshot": snapshot.public_id}}  # noqa: E731
    parent = model.versions.create(number=1, kind="causal", artifact="a", digest="sha256:1", lineage=named(one))
    child = model.versions.create(
        number=2, kind="causal", artifact="b", digest="sha256:2", lineage=named(two), parent=parent
    )
    found = [(step.version, step.snapshot.number, step.annotations, step.actors) for step in lineage_of(child)]
    assert found == [(child, 2, 2, 2), (parent, 1, 1, 1)]
    assert Snapshot.objects.count() == 2
