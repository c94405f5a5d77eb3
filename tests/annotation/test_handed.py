"""An answer to what this process handed out itself: one statement, and never more than the slow way would allow."""

import json
from datetime import timedelta

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from accounts.models import ApiToken
from annotation import handed
from annotation.models import Annotation, Schema, Task
from ground import clock
from tests.annotation.server import end_connection

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite always takes the slow way"),
]

GOOD = {"preference": {"choice": "second", "strength": 3}}


@pytest.fixture
def bob(cast, api, make_tasks):
    make_tasks(3)
    return api(cast.bob)


@pytest.fixture
def slot(bob, cast):
    return bob.post(f"/api/v1/projects/{cast.project.slug}/queue:next", {}, format="json").json()


def send(client, slot, *, key="k1", lease=None, answers=GOOD, query="?next=1", **more):
    body = {"lease": lease or slot["lease"], "answers": answers, "seconds": 2.5, **more}
    path = f"/api/v1/slots/{slot['id']}:submit{query}"
    return client.post(path, json.dumps(body), content_type="application/json", headers={"Idempotency-Key": key})


def statements(client, slot, **how):
    with CaptureQueriesContext(connection) as seen:
        answer = send(client, slot, **how)
    mine = [row["sql"] for row in seen.captured_queries if "SAVEPOINT" not in row["sql"]]
    return answer, mine


def test_an_answer_and_the_next_task_are_one_statement(bob, slot):
    first, made = statements(bob, slot)
    assert (first.status_code, len(made)) == (200, 1)
    second, made = statements(bob, first.json()["next"], key="k2")
    assert (second.status_code, len(made)) == (200, 1)
    assert Annotation.objects.filter(counted=True).count() == 2


def test_whether_the_connection_stands_is_not_asked_first(bob, slot, monkeypatch):
    asked = []
    monkeypatch.setattr(type(connections["default"]), "is_usable", lambda self: asked.append(1) or True)
    connection.health_check_done = False  # as Django leaves it for the next request
    assert send(bob, slot).status_code == 200
    assert asked == []


@pytest.mark.django_db(transaction=True)
def test_an_answer_over_a_connection_that_ended_is_written_once(bob, slot):
    end_connection()
    connection.health_check_done = False
    assert send(bob, slot).status_code == 200
    assert Annotation.objects.filter(counted=True).count() == 1


def test_the_quick_way_and_the_slow_way_say_the_same(bob, slot):
    """Two tasks alike: the first answered quickly, the second after everything was forgotten."""
    quick = send(bob, slot)
    handed.forget_all()
    slow, made = statements(bob, quick.json()["next"], key="k2")
    assert len(made) > 1, "this one was to take the slow way"
    assert dict(quick.headers) | {"Content-Length": ""} == dict(slow.headers) | {"Content-Length": ""}
    assert shape_of(quick.json()) == shape_of(slow.json())


def shape_of(value):
    if isinstance(value, dict):
        return {name: shape_of(held) for name, held in value.items()}
    return [shape_of(held) for held in value] if isinstance(value, list) else type(value).__name__


def test_the_answer_is_stored_in_the_candidates_order(bob, cast, make_tasks):
    """Both ways see the same display order, so the same side means the same candidate."""
    make_tasks(12)
    path = f"/api/v1/projects/{cast.project.slug}/queue:next"
    slot = bob.post(path, {}, format="json").json()
    for number in range(12):
        slot = send(bob, slot, key=f"k{number}").json()["next"]
        if number % 2:
            handed.forget_all()
    orders = set()
    for said in Annotation.objects.all():
        orders.add(tuple(said.display_order))
        wanted = "second" if said.display_order == [0, 1] else "first"
        assert said.answers["preference"]["choice"] == wanted
    assert orders == {(0, 1), (1, 0)}


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"revoked_at": "now"}, 401),
        ({"expires_at": "now"}, 401),
        ({"scopes": ["read"]}, 403),
    ],
)
def test_a_token_that_lost_its_right_writes_nothing(bob, slot, change, status):
    values = {name: clock.now() - timedelta(seconds=1) if value == "now" else value for name, value in change.items()}
    ApiToken.objects.update(**values)
    assert send(bob, slot).status_code == status
    assert not Annotation.objects.exists()


def test_a_token_that_will_expire_still_answers_in_one_statement(bob, slot):
    ApiToken.objects.update(expires_at=clock.now() + timedelta(hours=1))
    answer, made = statements(bob, slot)
    assert (answer.status_code, len(made)) == (200, 1)


def test_an_archived_task_is_gone(bob, slot):
    Task.objects.filter(public_id=slot["task"]["id"]).update(state=Task.State.ARCHIVED)
    answer = send(bob, slot)
    assert (answer.status_code, answer.json()["code"]) == (410, "task_gone")
    assert not Annotation.objects.exists()


def test_a_retry_gets_the_first_answer(bob, slot):
    first = send(bob, slot).json()
    again = send(bob, slot).json()
    assert again["annotation"]["id"] == first["annotation"]["id"]
    assert Annotation.objects.count() == 1


def test_a_key_used_for_another_answer_is_refused(bob, slot):
    following = send(bob, slot).json()["next"]
    refused = send(bob, following, key="k1")
    assert (refused.status_code, refused.json()["code"]) == (422, "key_reused")
    assert Annotation.objects.count() == 1


@pytest.mark.parametrize(
    "how",
    [
        {"answers": {"preference": {"choice": "third"}}},
        {"answers": None},
        {"answers": {"preference": {"choice": "first", "strength": float("nan")}}},
        {"key": ""},
        {"key": "k" * 81},
        {"seconds": -1},
        {"seconds": float("nan")},
        {"seconds": True, "lease": "nonsense"},
        {"colour": "green"},
    ],
    ids=str,
)
def test_what_is_wrong_is_refused_in_the_same_words(bob, slot, how):
    quick = send(bob, slot, **how)
    handed.forget_all()
    slow = send(bob, slot, **how)
    assert quick.status_code in (400, 422)
    assert (quick.status_code, quick.json()) == (slow.status_code, slow.json())
    assert not Annotation.objects.exists()


def test_another_persons_token_cannot_use_what_was_remembered(cast, api, bob, slot):
    stranger = send(api(cast.mallory), slot)
    assert stranger.status_code == 404
    late = send(api(cast.carol), slot, key="c")
    assert late.json()["annotation"]["id"]
    assert not Annotation.objects.filter(actor=cast.bob).exists()


def test_a_slot_that_was_taken_away_is_answered_as_any_late_one(bob, slot):
    """The lease's token changed: the statement writes nothing, the slow way keeps the answer."""
    from annotation.models import Slot

    Slot.objects.filter(lease_token=slot["lease"]).update(lease_token="00000000-0000-4000-8000-000000000000")
    answer, made = statements(bob, slot)
    assert (answer.status_code, len(made) > 1) == (200, True)
    assert Annotation.objects.count() == 1


def test_nothing_is_remembered_longer_than_a_tokens_use_goes_unnoted(bob, slot, stopped_clock):
    stopped_clock.advance(minutes=6)
    answer, made = statements(bob, slot)
    assert answer.status_code == 200
    assert any("last_used_at" in sql and sql.startswith("UPDATE") for sql in made)


def test_memory_has_an_end(bob, cast, slot, monkeypatch):
    monkeypatch.setattr(handed, "MOST_REMEMBERED", 1)
    following = send(bob, slot).json()["next"]
    assert [key[1] for key in handed._handed] == [following["id"]]


def test_a_task_that_moved_to_another_schema_is_not_answered_under_the_old_one(bob, slot, cast):
    task = Task.objects.get(public_id=slot["task"]["id"])
    body = {**task.schema.body, "questions": [{**task.schema.body["questions"][0], "strength": False}]}
    newer = Schema.objects.create(project=cast.project, name=task.schema.name, version=99, body=body)
    Task.objects.filter(pk=task.pk).update(schema=newer)
    answer, made = statements(bob, slot)
    assert (answer.status_code, len(made) > 1) == (200, True), (
        "the slow way looks under which schema the task stands now"
    )
