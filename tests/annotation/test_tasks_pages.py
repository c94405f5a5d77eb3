"""The pages of the data browser, of one task and of imports, as a browser without scripts sees them."""

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from annotation.models import Batch, BulkEdit, SavedView, Task, TaskImport
from annotation.services.tasks import archive_tasks
from jobs.inprocess import run_in_process
from jobs.services import claim
from tests.annotation.test_tasks_api import answer

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def folder(settings, tmp_path):
    settings.IMPORTS = tmp_path / "imports"


@pytest.fixture
def at(cast):
    return lambda path: f"/p/{cast.project.slug}/{path}"


@pytest.fixture
def browser():
    def signed_in(actor):
        client = Client()
        client.force_login(actor.user)
        return client

    return signed_in


def text_of(response):
    return response.content.decode()


def test_a_condition_that_is_added_stands_in_the_address(cast, browser, at, make_tasks):
    make_tasks(2)
    client = browser(cast.mona)
    added = client.get(at("tasks/"), {"add": "1", "field": "priority", "op": "gte", "value": "6", "q": "rain"})
    assert added.status_code == 302
    page = client.get(added.url)
    assert "Priority is at least 6" in text_of(page)
    assert "No task passes." in text_of(page)
    assert 'value="rain"' in text_of(page)
    assert "2 tasks are not searchable yet." in text_of(page)


@pytest.mark.parametrize(
    "query",
    [
        {"filter": "{"}, {"filter": '[{"field": "x"}]'}, {"sort": "x"}, {"after": "x"}, {"before": "\x00"}, {"q": "\x00 \ud800"},
        {"add": "1"}, {"add": "1", "field": "priority", "op": "eq", "value": "x"}, {"col": "\x00"}, {"filter": "[" * 3000},
        {"add": "1", "field": "metadata.a", "op": "in", "value": ""},
    ],
)  # fmt: skip
def test_an_address_that_asks_nonsense_is_still_a_page(cast, browser, at, make_tasks, query):
    make_tasks(1)
    query = {name: value.encode("utf-8", "replace").decode() for name, value in query.items()}
    assert browser(cast.mona).get(at("tasks/"), query, follow=True).status_code == 200


def test_columns_come_from_metadata(cast, browser, at, make_tasks):
    make_tasks(1)
    Task.objects.update(metadata={"language": "de", "n": [1]})
    page = text_of(browser(cast.carol).get(at("tasks/"), {"col": ["language", "n"]}))
    assert '<td dir="auto">de</td>' in page
    assert '<td dir="auto">[1]</td>' in page


def test_a_change_asks_with_the_count_before_it_starts(cast, browser, at, make_tasks):
    tasks = make_tasks(3)
    client = browser(cast.mona)
    asked = client.post(at("tasks/change"), {"kind": "delete", "which": "all", "query": json.dumps({"all": []})})
    assert "Delete 3 tasks?" in text_of(asked)
    assert "every task of the project" in text_of(asked)
    assert not BulkEdit.objects.exists()
    ticked = {"kind": "priority", "task": [tasks[0].public_id, tasks[1].public_id]}
    assert "Change the priority of 2 tasks?" in text_of(client.post(at("tasks/change"), ticked))
    wrong = client.post(at("tasks/change"), {**ticked, "confirm": "1", "value": "12"})
    assert wrong.status_code == 422
    assert client.post(at("tasks/change"), {**ticked, "confirm": "1", "value": "8"}).status_code == 302
    run_in_process(claim(job=BulkEdit.objects.get().job))
    assert Task.objects.filter(priority=8).count() == 2
    for broken in (
        {},
        {"kind": "delete"},
        {"kind": "delete", "which": "all", "query": "{"},
        {"task": "x", "kind": "y"},
    ):
        assert client.post(at("tasks/change"), broken).status_code == 302
    assert BulkEdit.objects.count() == 1


def test_a_deletion_is_undone_from_the_page(cast, browser, at, make_tasks):
    make_tasks(2)
    client = browser(cast.mona)
    client.post(at("tasks/change"), {"kind": "delete", "which": "all", "query": "{}", "confirm": "1"})
    edit = BulkEdit.objects.get()
    run_in_process(claim(job=edit.job))
    assert "Undo the deletion" in text_of(client.get(at("tasks/changes")))
    client.post(at(f"tasks/changes/{edit.public_id}/undo"))
    edit.refresh_from_db()
    run_in_process(claim(job=edit.job))
    assert Task.objects.filter(state=Task.State.OPEN).count() == 2
    assert "undone" in text_of(client.get(at("tasks/")))


def test_a_view_is_saved_with_what_the_address_says(cast, browser, at, make_tasks):
    make_tasks(1)
    client = browser(cast.mona)
    client.post(at("tasks/views?sort=-priority&col=language"), {"name": "By priority", "shared": "on"})
    view = SavedView.objects.get()
    assert (view.query["sort"], view.query["columns"], view.shared) == ("-priority", ["language"], True)
    assert "?sort=-priority&amp;col=language" in text_of(client.get(at("tasks/")))
    assert client.post(at("tasks/views"), {"name": "By priority"}).status_code == 422
    client.post(at(f"tasks/views/{view.public_id}/delete"))
    assert not SavedView.objects.exists()


def test_a_task_shows_what_was_said_and_can_be_changed(cast, browser, at, make_tasks):
    [task] = make_tasks(1, overlap=2)
    said = answer(cast.bob)
    client = browser(cast.mona)
    page = text_of(client.get(at(f"tasks/{task.public_id}/")))
    for words in (" is better", "Clear.", str(cast.bob), "1 of 2 answers", "3 s"):
        assert words in page
    batch = Batch.objects.create(project=cast.project, name="spring")
    for action, value in (("priority", "9"), ("overlap", "3"), ("batch", batch.public_id)):
        client.post(at(f"tasks/{task.public_id}/{action}"), {f"{action}-value": value})
    task.refresh_from_db()
    assert (task.priority, task.overlap, task.batch) == (9, 3, batch)
    client.post(at(f"tasks/{task.public_id}/retract/{said.public_id}"), {"reason": "Wrong language."})
    assert "Wrong language." in text_of(client.get(at(f"tasks/{task.public_id}/")))
    for action, state in (("archive", Task.State.ARCHIVED), ("restore", Task.State.OPEN)):
        client.post(at(f"tasks/{task.public_id}/{action}"))
        task.refresh_from_db()
        assert task.state == state
    for broken in ("priority", "overlap", "batch", "colour"):
        assert client.post(at(f"tasks/{task.public_id}/{broken}"), {f"{broken}-value": "x"}).status_code == 302
    assert client.get(at("tasks/tsk_0/")).status_code == 404
    assert client.get(at("tasks/tsk_%00/")).status_code == 404


def test_reviewers_see_answers_without_names(cast, browser, at, make_tasks):
    [task] = make_tasks(1)
    answer(cast.bob)
    page = text_of(browser(cast.carol).get(at(f"tasks/{task.public_id}/")))
    assert "Annotator 1" in page
    assert str(cast.bob) not in page
    assert "Retract" not in page


def test_a_file_is_sent_and_its_errors_are_shown(cast, browser, at):
    client = browser(cast.mona)
    form = {"schema": "new:labels", "question": "Which?", "options": "a\nb\n", "overlap": "1", "priority": "5"}
    lines = b'{"data": {"text": "one"}}\n{broken\n'
    sent = client.post(at("imports/"), {**form, "file": SimpleUploadedFile("rain.jsonl", lines)})
    assert sent.status_code == 302
    assert client.get(at("imports/now")).status_code == 200
    run_in_process(claim(job=TaskImport.objects.get().job))
    listed = client.get(at("imports/now"))
    assert listed.status_code == 286
    for words in ("rain.jsonl", "1 wrong line", "not JSON", "Download the wrong lines"):
        assert words in text_of(listed)
    refused = client.post(at("imports/"), {**form, "options": "a", "file": SimpleUploadedFile("x", lines)})
    assert refused.status_code == 422
    assert "needs 2 to 2000 options" in text_of(refused)
    assert client.post(at("imports/"), form).status_code == 422
    again = client.post(at("imports/"), {**form, "schema": "old:labels", "file": SimpleUploadedFile("y", lines)})
    assert again.status_code == 302
    row = TaskImport.objects.latest("pk")
    client.post(at(f"imports/{row.public_id}/cancel"))
    assert "Go on" in text_of(client.get(at("imports/")))


def test_pages_are_for_reviewers_and_changes_for_managers(cast, browser, at, make_tasks):
    [task] = make_tasks(1)
    archive_tasks(actor=cast.mona, tasks=[task])
    paths = ("tasks/", f"tasks/{task.public_id}/", "imports/")
    assert {browser(cast.carol).get(at(path)).status_code for path in paths} == {200}
    assert {browser(cast.bob).get(at(path)).status_code for path in paths} == {403}
    assert {browser(cast.mallory).get(at(path)).status_code for path in paths} == {404}
    for path in ("tasks/change", f"tasks/{task.public_id}/restore", "imports/"):
        assert browser(cast.carol).post(at(path), {}).status_code == 403
