"""Queues, groups, assignments, scores and batches, as a client meets them."""

import json

import pytest

from annotation.models import Batch, Group, Slot, Task
from annotation.router import main_queue
from jobs.models import Job

pytestmark = pytest.mark.django_db


@pytest.fixture
def paths(cast):
    return f"/api/v1/projects/{cast.project.slug}"


def test_a_manager_makes_changes_pauses_and_archives_a_queue(cast, api, paths):
    mona = api(cast.mona)
    law = mona.post(f"{paths}/groups", {"name": "law", "kind": "skill"}).json()
    body = {"name": "german", "position": 5, "reserved_group": law["id"], "reserved_slots": 1}
    body["filter"] = {"schema_version": 1, "all": [{"field": "metadata.language", "op": "eq", "value": "de"}]}
    made = mona.post(f"{paths}/queues", body)
    assert made.status_code == 201, made.content
    queue = f"{paths}/queues/{made.json()['id']}"
    assert "kept for law" in made.json()["warnings"][0]
    changed = mona.patch(queue, {"order": "score", "reserved_group": None, "reserved_slots": 0}).json()
    assert (changed["order"], changed["reserved_group"], changed["refiling"]) == ("score", None, True)
    assert mona.post(f"{queue}:pause").json()["state"] == "paused"
    assert mona.post(f"{queue}:archive").json()["state"] == "archived"
    assert mona.get(queue).json() == mona.post(f"{queue}:archive").json()
    assert {row["name"] for row in mona.get(f"{paths}/queues").json()["results"]} >= {"german"}
    assert Job.objects.filter(kind="refile").exists()


def test_groups_have_members_and_are_deleted_when_unused(cast, api, paths):
    mona = api(cast.mona)
    law = mona.post(f"{paths}/groups", {"name": "law"}).json()
    group = f"{paths}/groups/{law['id']}"
    assert mona.post(f"{group}:add", {"actor": cast.bob.public_id}).json()["members"] == [cast.bob.public_id]
    assert mona.patch(group, {"name": "lawyers"}).json()["name"] == "lawyers"
    assert mona.post(f"{group}:remove", {"actor": cast.bob.public_id}).json()["members"] == []
    assert mona.post(f"{group}:add", {"actor": cast.mallory.public_id}).status_code == 404
    assert mona.delete(group).status_code == 204
    assert mona.get(group).status_code == 404


def test_tasks_are_assigned_and_it_says_which_cannot_be_completed(cast, api, make_tasks, paths):
    """Overlap 2 for one person: she gives one answer, the other place waits for ever."""
    first, second = make_tasks(1)[0], make_tasks(1, overlap=2)[0]
    ids = [first.public_id, second.public_id]
    mona = api(cast.mona)
    done = mona.post(f"{paths}/tasks:assign", {"tasks": ids, "person": cast.bob.public_id}).json()
    assert done == {"moved": 2, "short": 1}
    assert api(cast.carol).post(f"{paths}/queue:next", {}).status_code == 204
    assert mona.post(f"{paths}/tasks:assign", {"tasks": ids}).json() == {"moved": 2, "short": 0}
    assert mona.post(f"{paths}/tasks:assign", {"tasks": ["tsk_0"]}).status_code == 422


def test_scores_are_written_in_bulk_and_order_the_queue(cast, api, make_tasks, paths):
    main = main_queue(cast.project)
    mona = api(cast.mona)
    mona.patch(f"{paths}/queues/{main.public_id}", {"order": "score"})
    made = make_tasks(3)
    scores = [{"task": task.public_id, "score": place} for place, task in enumerate(made)]
    assert mona.put(f"{paths}/tasks/scores", {"scores": scores}).json() == {"scored": 3}
    assert api(cast.bob).post(f"{paths}/queue:next", {"queue": "main"}).json()["task"]["id"] == made[2].public_id
    assert Task.objects.get(pk=made[1].pk).score == 1


def test_a_batch_is_made_filled_lowered_and_put_away(cast, api, make_tasks, paths):
    made = make_tasks(3)
    mona = api(cast.mona)
    batch = mona.post(f"{paths}/batches", {"name": "June", "due_on": "2026-06-30", "budget": 2}).json()
    path = f"{paths}/batches/{batch['id']}"
    assert mona.post(f"{path}:add", {"tasks": [task.public_id for task in made]}).json() == {"moved": 3}
    assert mona.get(path).json()["progress"] == {
        "wanted": 2, "done": 0, "in_hand": 0, "open": 2, "held": 1, "remaining": 2,
    }  # fmt: skip
    api(cast.bob).post(f"{paths}/queue:next", {})
    assert mona.patch(path, {"budget": 0}).json()["overshoot"] == 1
    assert mona.post(f"{path}:remove", {"tasks": [made[2].public_id]}).json() == {"moved": 1}
    assert Slot.objects.get(task=made[2]).state == Slot.State.OPEN
    for action, state in (("pause", "paused"), ("resume", "running"), ("archive", "archived")):
        assert mona.post(f"{path}:{action}").json()["state"] == state
    [row] = mona.get(f"{paths}/batches").json()["results"]
    assert "not running" in row["forecast_sentence"]


WRONG = [
    None, [], "x", {"name": "\x00"}, {"name": "\ud800"}, {"name": ["a"]}, {"surprise": 1}, {"name": {"a": {"a": 1}}},
    {"budget": 10**30, "name": "a"}, {"budget": "1e999", "name": "a"}, {"due_on": "yesterday", "name": "a"},
    {"due_on": 5, "name": "a"},
    {"position": 10**40, "name": "a"}, {"filter": None, "name": "a"}, {"filter": [[[]]], "name": "a"},
    {"gold_rate": "nan", "name": "a"},
    {"filter": {"schema_version": 1, "all": [{"field": "metadata.\x00", "op": "eq", "value": 1}]}, "name": "a"},
    {"filter": {"schema_version": 1, "all": [{"field": "score", "op": "eq", "value": "\ud800"}]}, "name": "a"},
    {"filter": {"schema_version": 10**400, "all": []}, "name": "a"}, {"group": "\x00", "name": "a"},
    {"group": "grp_1", "name": "a"},
    {"order": "metadata", "name": "a"}, {"kind": "\x00", "name": "a"}, {"actor": "\x00"}, {"actor": 5}, {"tasks": []},
    {"tasks": ["\x00"]}, {"tasks": ["\ud800"], "person": "x"}, {"tasks": [5], "group": "\x00"}, {"tasks": "abc"},
    {"scores": [{"task": "\x00", "score": 1}]}, {"scores": [{"task": "tsk_1", "score": "nan"}]}, {"scores": [[]]},
    {"scores": [{"task": "tsk_1", "score": 10**400}]}, {"scores": {"a": 1}},
]  # fmt: skip


def test_no_body_makes_the_server_fail(cast, api, make_tasks, paths):
    """Every wrong body to every address that takes one: a 4xx problem, or a 2xx where it happens to fit, never a 5xx."""
    make_tasks(1)
    mona = api(cast.mona)
    law = mona.post(f"{paths}/groups", {"name": "law"}).json()["id"]
    batch = Batch.objects.create(project=cast.project, name="June").public_id
    queue = main_queue(cast.project).public_id
    places = [
        ("POST", "queues"), ("PATCH", f"queues/{queue}"), ("POST", "groups"), ("PATCH", f"groups/{law}"),
        ("POST", f"groups/{law}:add"),
        ("POST", f"groups/{law}:remove"), ("POST", "tasks:assign"), ("PUT", "tasks/scores"), ("POST", "batches"),
        ("PATCH", f"batches/{batch}"), ("POST", f"batches/{batch}:add"), ("POST", f"batches/{batch}:remove"),
    ]  # fmt: skip
    seen = 0
    for method, place in places:
        for body in WRONG:
            answer = mona.generic(method, f"{paths}/{place}", json.dumps(body), content_type="application/json")
            assert answer.status_code < 500, (method, place, body, answer.content)
            if answer.status_code >= 400:
                assert answer.json()["code"], (method, place, body)
                seen += 1
    assert seen > 300


@pytest.mark.parametrize("place", ["queues/que_1", "groups/grp_1", "batches/bat_1"])
def test_what_is_not_here_is_404(cast, api, paths, place):
    assert api(cast.mona).get(f"{paths}/{place}").status_code == 404


def test_what_is_in_another_project_is_404(cast, api, paths):
    theirs = {
        "queues": main_queue(cast.mallory.project).public_id,
        "groups": Group.objects.create(project=cast.mallory.project, name="theirs").public_id,
        "batches": Batch.objects.create(project=cast.mallory.project, name="theirs").public_id,
    }
    for place, public_id in theirs.items():
        assert api(cast.mona).get(f"{paths}/{place}/{public_id}").status_code == 404
    assert api(cast.mona).post(f"{paths}/queues", {"name": "x", "group": theirs["groups"]}).status_code == 404


def test_annotators_read_and_change_nothing_and_outsiders_see_nothing(cast, api, paths):
    for place in ("queues", "groups", "batches"):
        assert api(cast.bob).get(f"{paths}/{place}").status_code == 403
        assert api(cast.carol).get(f"{paths}/{place}").status_code == 200
        assert api(cast.carol).post(f"{paths}/{place}", {"name": "x"}).status_code == 403
        assert api(cast.mona, "read").post(f"{paths}/{place}", {"name": "x"}).status_code == 403
        assert api(cast.mallory).get(f"{paths}/{place}").status_code == 404
