"""Imports, the browser, bulk edits and views by HTTP, and who may do what."""

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from annotation.models import Annotation, BulkEdit, SavedView, Slot, Task, TaskImport
from annotation.selectors.queue import get_slot_for, served
from annotation.services import slots
from jobs.inprocess import run_in_process
from jobs.services import claim

pytestmark = pytest.mark.django_db
LINES = b'{"external_id": "a", "data": {"text": "one"}}\n{broken\n{"external_id": "b", "data": {"text": "two"}}\n'
OPTIONS = "?template=labels&question=Which%3F&options=a&options=b&overlap=2&filename=x.jsonl"


@pytest.fixture(autouse=True)
def folder(settings, tmp_path):
    settings.IMPORTS = tmp_path / "imports"


@pytest.fixture
def at(cast):
    return lambda path: f"/api/v1/projects/{cast.project.slug}/{path}"


def send(client, url, body=LINES, options=OPTIONS):
    return client.post(url + options, body, content_type="application/x-ndjson")


def run(job):
    run_in_process(claim(job=job))


def answer(actor, key="k"):
    claimed = slots.take_next(actor=actor)
    slot = get_slot_for(actor, served(actor, claimed).id)
    said = {"preference": {"choice": "first", "reason": "Clear."}}
    slots.submit_answer(actor=actor, slot=slot, token=claimed.token, key=key, answers=said, seconds=3)
    return Annotation.objects.get(actor=actor, key=key)


def test_a_stream_of_lines_is_imported_and_its_errors_can_be_fetched(cast, api, at):
    client = api(cast.mona)
    sent = send(client, at("imports"))
    assert sent.status_code == 202, sent.json()
    assert (sent.json()["state"], sent.json()["bytes"], sent.json()["filename"]) == ("queued", len(LINES), "x.jsonl")
    run(TaskImport.objects.get().job)
    row = client.get(at(f"imports/{sent.json()['id']}")).json()
    assert (row["state"], row["made"], row["wrong"], row["schema"], row["overlap"]) == (
        "succeeded",
        2,
        1,
        "labels v1",
        2,
    )
    errors = b"".join(client.get(at(f"imports/{row['id']}/errors.jsonl")).streaming_content)
    assert json.loads(errors)["line"] == 2
    assert [one["id"] for one in client.get(at("imports")).json()["results"]] == [row["id"]]
    again = send(client, at("imports"), options="?schema=labels")
    assert again.json()["schema"] == "labels v1"


def test_a_form_with_a_file_is_imported_too(cast, api, at):
    form = {
        "template": "pairwise",
        "file": SimpleUploadedFile("p.jsonl", b'{"prompt": "Why?", "responses": ["a", "b"]}'),
    }
    sent = api(cast.mona).post(at("imports"), form, format="multipart")
    assert sent.status_code == 202, sent.json()
    assert sent.json()["filename"] == "p.jsonl"
    run(TaskImport.objects.get().job)
    assert Task.objects.get().candidates.count() == 2


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ("", 400), ("?schema=x&template=labels", 400), ("?schema=none", 404), ("?template=labels&options=a", 422),
        ("?template=labels&options=a&options=a", 422), ("?template=pairwise&overlap=65", 400), ("?template=pairwise&colour=1", 400),
        ("?template=pairwise&batch=bat_0", 404), ("?template=pairwise&priority=x", 400), ("?template=ranking", 400),
    ],
)  # fmt: skip
def test_an_import_with_wrong_options_is_refused(cast, api, at, options, status):
    assert send(api(cast.mona), at("imports"), options=options).status_code == status
    assert not TaskImport.objects.exists()


def test_an_empty_body_and_another_type_are_refused(cast, api, at):
    client = api(cast.mona)
    assert send(client, at("imports"), body=b"").status_code == 422
    assert client.post(at("imports") + OPTIONS, "{}", content_type="text/csv").status_code == 415


def test_a_waiting_import_is_cancelled_and_resumed(cast, api, at):
    client = api(cast.mona)
    row = send(client, at("imports")).json()
    assert client.post(at(f"imports/{row['id']}:cancel")).json()["state"] == "cancelled"
    assert client.get(at(f"imports/{row['id']}")).json()["can_resume"] is True
    assert client.post(at(f"imports/{row['id']}:resume")).json()["state"] == "queued"
    assert client.post(at(f"imports/{row['id']}:resume")).status_code == 409


def test_tasks_are_browsed_page_by_page(cast, api, at, make_tasks):
    tasks = make_tasks(5)
    client = api(cast.carol)
    first = client.get(at("tasks?limit=2&count=1")).json()
    assert [row["id"] for row in first["results"]] == [tasks[4].public_id, tasks[3].public_id]
    assert first["count"] == {"number": 5, "more": False, "among": 0}
    second = client.get(at(f"tasks?limit=2&after={first['next']}")).json()
    assert [row["id"] for row in second["results"]] == [tasks[2].public_id, tasks[1].public_id]
    assert second["previous"] is not None
    one = [{"field": "priority", "op": "gt", "value": 5}]
    assert client.get(at("tasks"), {"filter": json.dumps(one)}).json()["results"] == []


@pytest.mark.parametrize(
    "query",
    [
        {"filter": "{"}, {"filter": "[1]"}, {"filter": '"x"'}, {"sort": "colour"}, {"after": "x"}, {"limit": 0}, {"page": 1},
        {"filter": "[" * 5000}, {"search": "x" * 300}, {"filter": '[{"field": "metadata.x", "op": "eq", "value": "\\u0000"}]'},
        {"after": "9" * 59}, {"before": "\x00"},
    ],
)  # fmt: skip
def test_a_browse_that_asks_nonsense_is_refused(cast, api, at, query):
    answered = api(cast.mona).get(at("tasks"), query)
    assert answered.status_code in (400, 422), answered.content
    assert answered["Content-Type"] == "application/problem+json"


def test_a_task_is_read_with_every_answer_and_its_history(cast, api, at, make_tasks):
    """Bob's answer is retracted, then Carol answers: both are there, one counts."""
    [task] = make_tasks(1, overlap=2)
    said = answer(cast.bob)
    client = api(cast.mona)
    taken = client.post(at(f"annotations/{said.public_id}:retract"), {"reason": "Wrong language."})
    assert taken.status_code == 204
    assert client.post(at(f"annotations/{said.public_id}:retract"), {"reason": ""}).status_code == 400
    answer(cast.carol)
    found = client.get(at(f"tasks/{task.public_id}")).json()
    assert [(row["who"], row["standing"], row["why"], row["counted"]) for row in found["answers"]] == [
        (str(cast.bob), "retraction", "Wrong language.", False),
        (str(cast.carol), "counted", "", True),
    ]
    assert [row["text"] for row in found["candidates"]] == [c.completion.text for c in task.candidates.all()]
    assert len(found["claims"]) == 2
    reviewed = api(cast.carol).get(at(f"tasks/{task.public_id}")).json()
    assert [row["who"] for row in reviewed["answers"]] == ["Annotator 2", "Annotator 1"] or [
        row["who"] for row in reviewed["answers"]
    ] == ["Annotator 1", "Annotator 2"]


def test_gold_and_names_are_for_managers(cast, api, at, make_tasks):
    [task] = make_tasks(1)
    Slot.objects.all().delete()
    Task.objects.update(purpose=Task.Purpose.GOLD)
    assert api(cast.mona).get(at(f"tasks/{task.public_id}")).status_code == 200
    assert len(api(cast.mona).get(at("tasks")).json()["results"]) == 1
    assert api(cast.carol).get(at(f"tasks/{task.public_id}")).status_code == 404
    assert api(cast.carol).get(at("tasks")).json()["results"] == []
    asked = {"filter": json.dumps([{"field": "answered_by", "op": "eq", "value": cast.bob.public_id}])}
    assert api(cast.mona).get(at("tasks"), asked).status_code == 200
    assert api(cast.carol).get(at("tasks"), asked).status_code == 403


def test_many_tasks_are_changed_deleted_and_brought_back(cast, api, at, make_tasks):
    make_tasks(3)
    client = api(cast.mona)
    query = {"all": [{"field": "priority", "op": "eq", "value": 5}]}
    assert client.post(at("bulk-edits:count"), {"query": query}).json() == {"count": 3}
    sent = client.post(at("bulk-edits"), {"kind": "delete", "query": query})
    assert sent.status_code == 202, sent.json()
    edit = BulkEdit.objects.get()
    run(edit.job)
    row = client.get(at(f"bulk-edits/{edit.public_id}")).json()
    assert (row["state"], row["changed"], row["can_undo"]) == ("succeeded", 3, True)
    undone = client.post(at(f"bulk-edits/{edit.public_id}:undo"))
    assert (undone.status_code, undone.json()["state"]) == (202, "queued")
    edit.refresh_from_db()
    run(edit.job)
    assert Task.objects.filter(state=Task.State.OPEN).count() == 3
    assert client.post(at(f"bulk-edits/{edit.public_id}:undo")).status_code == 409
    assert len(client.get(at("bulk-edits")).json()["results"]) == 1


@pytest.mark.parametrize(
    "body",
    [
        {}, {"kind": "colour", "query": {}}, {"kind": "priority", "value": "x", "query": {}}, {"kind": "priority", "value": 5},
        {"kind": "priority", "value": 10**40, "query": {}}, {"kind": "priority", "value": 5, "query": []},
        {"kind": "delete", "query": {"ids": "x"}}, {"kind": "delete", "query": {"all": [{"field": "x"}]}},
        {"kind": "batch", "value": {"a": 1}, "query": {}},
    ],
)  # fmt: skip
def test_a_change_that_asks_nonsense_is_refused(cast, api, at, body):
    answered = api(cast.mona).post(at("bulk-edits"), body)
    assert answered.status_code in (400, 422), answered.content
    assert not BulkEdit.objects.exists()


def test_views_are_kept_shared_and_deleted(cast, api, at):
    client = api(cast.mona)
    body = {"name": "German", "query": {"all": []}, "sort": "-priority", "columns": ["language"], "shared": True}
    made = client.post(at("views"), body)
    assert made.status_code == 201, made.json()
    assert client.post(at("views"), body).status_code == 409
    assert api(cast.carol).post(at("views"), {**body, "name": "Mine"}).status_code == 403
    own = api(cast.carol).post(at("views"), {"name": "Mine"})
    assert own.status_code == 201
    assert [row["name"] for row in api(cast.carol).get(at("views")).json()] == ["German", "Mine"]
    assert [row["name"] for row in client.get(at("views")).json()] == ["German"]
    assert api(cast.carol).delete(at(f"views/{made.json()['id']}")).status_code == 403
    assert client.delete(at(f"views/{own.json()['id']}")).status_code == 404
    assert client.delete(at(f"views/{made.json()['id']}")).status_code == 204
    assert SavedView.objects.count() == 1


GET = ("imports", "tasks", "bulk-edits", "views")


def test_annotators_and_strangers_see_none_of_it(cast, api, at, make_tasks):
    [task] = make_tasks(1)
    paths = [*GET, f"tasks/{task.public_id}"]
    assert {api(cast.bob).get(at(path)).status_code for path in paths} == {403}
    assert {api(cast.mallory).get(at(path)).status_code for path in paths} == {404}
    assert {api(cast.mona, "annotate").get(at(path)).status_code for path in paths} == {403}


def test_reviewers_look_and_change_nothing(cast, api, at, make_tasks):
    make_tasks(1)
    row = send(api(cast.mona), at("imports")).json()
    carol = api(cast.carol)
    assert {carol.get(at(path)).status_code for path in (*GET, f"imports/{row['id']}")} == {200}
    assert send(carol, at("imports")).status_code == 403
    assert carol.post(at(f"imports/{row['id']}:cancel")).status_code == 403
    assert carol.post(at("bulk-edits"), {"kind": "delete", "query": {}}).status_code == 403
    assert carol.post(at("bulk-edits:count"), {"query": {}}).status_code == 403
    assert api(cast.mona, "read").post(at("bulk-edits"), {"kind": "delete", "query": {}}).status_code == 403


def test_what_belongs_to_another_project_is_not_there(cast, api, at, make_tasks):
    [task] = make_tasks(1)
    row = send(api(cast.mona), at("imports")).json()
    elsewhere = f"/api/v1/projects/{cast.mallory.project.slug}/"
    mallory = api(cast.mallory)
    for path in (f"tasks/{task.public_id}", f"imports/{row['id']}", f"imports/{row['id']}/errors.jsonl"):
        assert mallory.get(elsewhere + path).status_code == 404
    assert mallory.post(elsewhere + f"imports/{row['id']}:cancel").status_code == 404
