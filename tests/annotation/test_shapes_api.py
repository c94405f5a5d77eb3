"""Tasks of every shape by HTTP: made, served, answered, exported."""

import json

import pytest

from annotation.models import Annotation, Task
from annotation.services.tasks import current_schema
from tests.annotation.test_import_shapes import ASPECTS, DEMO, FIELDS, FIX, RANKING, body
from tests.factories import make_completion, make_prompt

pytestmark = pytest.mark.django_db
RANKED = body(RANKING, fields=[{**FIELDS[0], "required": False}])


@pytest.fixture
def paths(cast):
    return f"/api/v1/projects/{cast.project.slug}"


def answered(client, paths, answers, key="k"):
    """The next slot answered; the slot and the reply."""
    slot = client.post(f"{paths}/queue:next", {}).json()
    sent = {"lease": slot["lease"], "answers": answers(slot["task"]), "schema": slot["task"]["schema"]}
    return slot, client.post(f"/api/v1/slots/{slot['id']}:submit", sent, headers={"Idempotency-Key": key})


def test_a_ranking_of_five_is_made_served_ranked_and_exported(cast, api, paths):
    current_schema(cast.project, "ranking", RANKED)
    row = {"prompt": "p", "responses": list("abcde"), "data": {"source": "s"}, "sensitive": False}
    made = api(cast.mona).post(f"{paths}/tasks", {"schema": "ranking", "tasks": [row, {"prompt": "p"}]}).json()
    assert [result["status"] for result in made["results"]] == ["created", "invalid"]
    assert made["tasks"] == [made["results"][0]["id"]]
    # `a` is best, `e` worst, wherever they stand.
    slot, done = answered(
        api(cast.bob),
        paths,
        lambda task: {"rank": {"ranks": ["abcde".index(one["text"]) + 1 for one in task["candidates"]]}},
    )
    assert done.status_code == 200, done.content
    assert [one["side"] for one in slot["task"]["candidates"]] == ["first", "second", "third", "fourth", "fifth"]
    assert slot["task"]["data"] == {"source": "s"}
    assert Annotation.objects.get().answers["rank"]["ranks"] == [1, 2, 3, 4, 5]
    [line] = map(json.loads, b"".join(api(cast.mona).get(f"{paths}/export.jsonl").streaming_content).splitlines())
    assert line["questions"] == {"rank": "ranking"}
    assert [(one["position"], one["text"]) for one in line["candidates"][:2]] == [("first", "a"), ("second", "b")]


def test_a_demonstration_and_a_correction_are_answered(cast, api, paths):
    current_schema(cast.project, "demo", DEMO)
    current_schema(cast.project, "fix", FIX)
    mona, bob = api(cast.mona), api(cast.bob)
    assert mona.post(f"{paths}/tasks", {"schema": "demo", "tasks": [{"prompt": "p"}]}).json()["created"] == 1
    _slot, done = answered(bob, paths, lambda _task: {"reply": {"messages": [{"role": "assistant", "content": "x"}]}})
    assert done.status_code == 200, done.content
    row = {"prompt": "p", "responses": ["teh"]}
    assert mona.post(f"{paths}/tasks", {"schema": "fix", "tasks": [row]}).json()["created"] == 1
    slot, done = answered(bob, paths, lambda _task: {"fix": {"text": "the"}}, "k2")
    assert slot["task"]["candidates"] == [{"side": "first", "text": "teh"}]
    assert done.json()["annotation"]["answers"]["fix"]["text"] == "the"


def test_completions_that_are_here_are_grouped_under_a_schema(cast, api, paths):
    current_schema(cast.project, "ranking", RANKED)
    prompt = make_prompt(cast.project)
    ids = [make_completion(prompt).public_id for _number in range(9)]
    sent = {"schema": "ranking", "groups": [ids, ids[:2]]}
    mona = api(cast.mona)
    assert mona.post(f"{paths}/tasks", sent).json()["created"] == 2
    assert mona.post(f"{paths}/tasks", sent).json()["created"] == 0
    assert sorted(task.candidates.count() for task in Task.objects.all()) == [2, 9]


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ({"schema": "ranking", "groups": [["one"]]}, "no completion one"),
        ({"schema": "ranking", "tasks": [{}], "groups": []}, "Send one of"),
        ({"tasks": [{}]}, "Name the schema"),
        ({"schema": "none", "tasks": [{}]}, "no schema none"),
        ({"schema": "ranking", "question": "?", "tasks": [{}]}, "leave this out"),
        ({"schema": "ranking", "from_job": "job_1"}, "no generation"),
    ],
)
def test_what_cannot_be_made_is_told(cast, api, paths, sent, told):
    current_schema(cast.project, "ranking", RANKED)
    refused = api(cast.mona).post(f"{paths}/tasks", sent)
    assert refused.status_code in (400, 404, 422), refused.content
    assert told in refused.content.decode()
    assert not Task.objects.exists()


def test_a_group_that_does_not_fit_its_schema_is_refused(cast, api, paths):
    current_schema(cast.project, "ranking", RANKED)
    current_schema(cast.project, "fields", body({**RANKING, "name": "r"}, fields=FIELDS))
    one, other = make_prompt(cast.project), make_prompt(cast.project, text="Other")
    ids = [make_completion(prompt).public_id for prompt in (one, one, other)]
    mona = api(cast.mona)
    for schema, group, told in (
        ("ranking", ids[:1], "needs 2 to 9 responses"),
        ("ranking", ids, "different completions of one prompt"),
        ("fields", ids[:2], "shows fields"),
    ):
        refused = mona.post(f"{paths}/tasks", {"schema": schema, "groups": [group]})
        assert refused.status_code == 422, refused.content
        assert told in refused.content.decode()


def test_an_answer_under_another_schema_than_the_tasks_is_told_so_and_written_nowhere(cast, api, paths, make_tasks):
    make_tasks(1)
    bob = api(cast.bob)
    slot = bob.post(f"{paths}/queue:next", {}).json()
    sent = {"lease": slot["lease"], "answers": {"preference": {"choice": "tie"}}, "schema": "sch_other"}
    refused = bob.post(f"/api/v1/slots/{slot['id']}:submit", sent, headers={"Idempotency-Key": "k"})
    assert (refused.status_code, refused.json()["code"]) == (409, "schema_changed")
    assert "Nothing you wrote is lost" in refused.json()["hint"]
    assert not Annotation.objects.exists()
    assert bob.post(f"/api/v1/slots/{slot['id']}:submit", {**sent, "schema": slot["task"]["schema"]},
                    headers={"Idempotency-Key": "k"}).status_code == 200  # fmt: skip


def test_marks_of_candidates_are_stored_by_ordinal(cast, api, paths):
    rated = body({"name": "rate", "kind": "rating", "text": "?", "aspects": ASPECTS, "each": "candidates"})
    current_schema(cast.project, "rated", rated)
    row = {"prompt": "p", "responses": ["1", "2", "3", "4"]}
    assert api(cast.mona).post(f"{paths}/tasks", {"schema": "rated", "tasks": [row]}).json()["created"] == 1
    answered(
        api(cast.bob),
        paths,
        lambda task: {"rate": {"ratings": [{"x": int(one["text"])} for one in task["candidates"]]}},
    )
    assert Annotation.objects.get().answers["rate"]["ratings"] == [{"x": 1}, {"x": 2}, {"x": 3}, {"x": 4}]
