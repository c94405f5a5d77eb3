"""What belongs to the asker, by HTTP."""

from typing import Any

import pytest

from annotation.models import Annotation
from tests.annotation.test_flow import ASKED, FIELDS, answer
from tests.e2e.asking import make_schema, make_task

pytestmark = pytest.mark.django_db


@pytest.fixture
def at(cast: Any) -> str:
    return f"/api/v1/projects/{cast.project.slug}"


def test_a_note_goes_round(cast: Any, api: Any, at: str) -> None:
    bob, mona = api(cast.bob), api(cast.mona)
    sent = bob.post(f"{at}/notes", {"text": "Jokes?"}, format="json", headers={"Idempotency-Key": "n1"})
    assert sent.status_code == 201, sent.content
    again = bob.post(f"{at}/notes", {"text": "Jokes?"}, format="json", headers={"Idempotency-Key": "n1"})
    assert again.json()["id"] == sent.json()["id"]
    assert api(cast.carol).get(f"{at}/notes").json() == []
    url = f"{at}/notes/{sent.json()['id']}:answer"
    assert bob.post(url, {"text": "Yes"}, format="json").status_code == 403
    assert mona.get(f"{at}/notes?state=open").json()[0]["text"] == "Jokes?"
    assert mona.post(url, {"text": "No jokes."}, format="json").json()["answer"] == "No jokes."
    assert mona.post(url, {"text": "Jokes."}, format="json").status_code == 409
    assert bob.post(f"{at}/notes:seen").status_code == 204
    assert bob.get(f"{at}/notes").json()[0]["seen_at"]
    assert api(cast.mallory).get(f"{at}/notes").status_code == 404


def test_an_answer_is_listed_and_replaced(cast: Any, api: Any, at: str, make_tasks: Any) -> None:
    make_tasks(2)
    said = [answer(cast.bob), answer(cast.bob)]
    bob = api(cast.bob)
    page = bob.get(f"{at}/answers?limit=1").json()
    assert [row["id"] for row in page["answers"]] == [said[1].public_id]
    assert bob.get(f"{at}/answers?before={page['next']}").json()["answers"][0]["id"] == said[0].public_id
    url, body = f"{at}/annotations/{said[0].public_id}:replace", {"answers": {"preference": {"choice": "tie"}}}
    assert bob.post(url, body, format="json").status_code == 422, "it needs a key"
    done = bob.post(url, body, format="json", headers={"Idempotency-Key": "r1"})
    assert done.status_code == 201, done.content
    assert bob.post(url, body, format="json", headers={"Idempotency-Key": "r2"}).json()["code"] == "answer_fixed"
    assert api(cast.carol).post(url, body, format="json", headers={"Idempotency-Key": "r3"}).status_code == 404
    wrong = {"answers": {"preference": {"choice": "third"}}}
    refused = bob.post(
        f"{at}/annotations/{said[1].public_id}:replace", wrong, format="json", headers={"Idempotency-Key": "r4"}
    )
    assert "answers.preference.choice" in refused.json()["detail"]
    assert Annotation.objects.counted().count() == 2
    assert bob.get(f"{at}/answers?state=lost").status_code == 422
    assert bob.get(f"{at}/own-work").json()["answers"] == 2


def test_sensitive_tasks_are_chosen_and_limited(cast: Any, api: Any, at: str) -> None:
    schema = make_schema(cast.project, ASKED, fields=FIELDS, sensitive=True)
    make_task(schema, data={"text": "hard"})
    bob = api(cast.bob)
    assert bob.patch(f"{at}/sensitive", {"per_hour": 1}, format="json").status_code == 403
    assert api(cast.mona).patch(f"{at}/sensitive", {"per_hour": 1}, format="json").json()["per_hour"] == 1
    assert bob.patch(f"{at}/sensitive", {"spared": True}, format="json").json()["spared"] is True
    assert bob.post(f"{at}/queue:next", {}, format="json").status_code == 204
    bob.patch(f"{at}/sensitive", {"spared": False}, format="json")
    slot = bob.post(f"{at}/queue:next", {}, format="json").json()
    assert bob.post(f"/api/v1/slots/{slot['id']}:open", {"lease": slot["lease"]}, format="json").status_code == 204
    assert bob.get(f"{at}/sensitive").json()["until"]


def test_a_skip_is_taken_back(cast: Any, api: Any, at: str, make_tasks: Any) -> None:
    make_tasks(1)
    bob = api(cast.bob)
    slot = bob.post(f"{at}/queue:next", {}, format="json").json()
    bob.post(f"/api/v1/slots/{slot['id']}:skip", {"lease": slot["lease"]}, format="json")
    again = bob.post(f"/api/v1/slots/{slot['id']}:unskip")
    assert again.status_code == 200, again.content
    assert again.json()["task"]["id"] == slot["task"]["id"]
    assert bob.post(f"/api/v1/slots/{slot['id']}:unskip").json()["code"] == "nothing_to_undo"


def test_reading_the_guidelines_is_told_once(cast: Any, api: Any, at: str) -> None:
    bob, mona = api(cast.bob), api(cast.mona)
    assert bob.post(f"{at}/guidelines:read").json()["version"] is None
    for body in ("# A\nOne.", "# A\nTwo."):
        mona.post(f"{at}/guidelines", {"body": body}, format="json")
        told = bob.post(f"{at}/guidelines:read").json()
    assert (told["since"], told["sections"]) == (1, ["A"])
    assert bob.post(f"{at}/guidelines:read").json()["since"] is None
