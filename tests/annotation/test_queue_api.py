"""The queue's public contract, as a client meets it."""

import json
import uuid

import pytest

from tests.factories import make_completion, make_prompt

pytestmark = pytest.mark.django_db


@pytest.fixture
def paths(cast):
    return f"/api/v1/projects/{cast.project.slug}"


def test_a_client_claims_answers_and_gets_the_next_in_one_request(cast, api, make_tasks, paths):
    make_tasks(2)
    bob = api(cast.bob)
    slot = bob.post(f"{paths}/queue:next", {}).json()
    assert [candidate["side"] for candidate in slot["task"]["candidates"]] == ["first", "second"]
    answer = {"lease": slot["lease"], "answers": {"preference": {"choice": "second", "strength": 3}}, "seconds": 4.5}
    done = bob.post(f"/api/v1/slots/{slot['id']}:submit?next=1", answer, headers={"Idempotency-Key": "k1"})
    assert done.status_code == 200, done.content
    assert done.json()["next"]["task"]["id"] != slot["task"]["id"]
    replay = bob.post(f"/api/v1/slots/{slot['id']}:submit", answer, headers={"Idempotency-Key": "k1"})
    assert replay.json()["annotation"]["id"] == done.json()["annotation"]["id"]


def test_an_empty_queue_is_204(cast, api, paths):
    assert api(cast.bob).post(f"{paths}/queue:next", {}).status_code == 204


def test_undo_gives_the_slot_back(cast, api, make_tasks, paths):
    make_tasks(1)
    bob = api(cast.bob)
    slot = bob.post(f"{paths}/queue:next", {}).json()
    answer = {"lease": slot["lease"], "answers": {"preference": {"choice": "tie"}}}
    done = bob.post(f"/api/v1/slots/{slot['id']}:submit", answer, headers={"Idempotency-Key": "k"}).json()
    again = bob.post(f"{paths}/annotations/{done['annotation']['id']}:undo")
    assert again.json()["id"] == slot["id"]
    assert again.json()["lease"] != slot["lease"]


def test_a_manager_makes_tasks_from_completions_and_exports_the_answers(cast, api, paths):
    prompt = make_prompt(cast.project)
    first, second = make_completion(prompt), make_completion(prompt)
    mona = api(cast.mona)
    body = {"pairs": [{"first": first.public_id, "second": second.public_id}], "overlap": 2}
    assert mona.post(f"{paths}/tasks", body).json()["created"] == 1
    assert mona.post(f"{paths}/tasks", body).json()["created"] == 0
    lines = b"".join(mona.get(f"{paths}/export.jsonl").streaming_content).splitlines()
    assert [json.loads(line)["overlap"] for line in lines] == [2]


def test_an_annotator_cannot_make_tasks(cast, api, paths):
    refused = api(cast.bob).post(f"{paths}/tasks", {"pairs": []})
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")


def test_a_token_without_the_scope_is_refused(cast, api, paths):
    assert api(cast.bob, "read").post(f"{paths}/queue:next", {}).status_code == 403


def test_somebody_elses_project_does_not_exist(cast, api, paths):
    assert api(cast.mallory).post(f"{paths}/queue:next", {}).status_code == 404


def test_without_a_token_nobody_gets_in(client, paths):
    refused = client.post(f"{paths}/queue:next", {}, content_type="application/json")
    assert (refused.status_code, refused.headers["Content-Type"]) == (401, "application/problem+json")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"lease": "nonsense", "answers": {}},
        {"lease": str(uuid.uuid4()), "answers": None},
        {"lease": str(uuid.uuid4()), "answers": {"preference": {"choice": ["first"]}}},
        {"lease": str(uuid.uuid4()), "answers": {"preference": {"choice": "first", "reason": "\x00"}}},
        {"lease": str(uuid.uuid4()), "answers": {"preference": {"choice": "first", "strength": 1e400}}},
        {"lease": str(uuid.uuid4()), "answers": {"other": 1}},
        {"lease": str(uuid.uuid4()), "answers": {}, "surprise": 1},
        [],
    ],
)
def test_no_body_makes_the_server_fail(cast, api, make_tasks, paths, body):
    make_tasks(1)
    bob = api(cast.bob)
    slot = bob.post(f"{paths}/queue:next", {}).json()
    text = json.dumps(body)
    refused = bob.generic(
        "POST", f"/api/v1/slots/{slot['id']}:submit", text, content_type="application/json", HTTP_IDEMPOTENCY_KEY="k"
    )
    assert refused.status_code in (400, 422), refused.content
    assert refused.json()["code"]


def test_a_missing_idempotency_key_is_asked_for(cast, api, make_tasks, paths):
    make_tasks(1)
    bob = api(cast.bob)
    slot = bob.post(f"{paths}/queue:next", {}).json()
    body = {"lease": slot["lease"], "answers": {"preference": {"choice": "tie"}}}
    refused = bob.post(f"/api/v1/slots/{slot['id']}:submit", body)
    assert refused.status_code == 422
    assert "Idempotency-Key" in refused.json()["detail"]
