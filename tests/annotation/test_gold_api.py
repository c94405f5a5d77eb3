"""Gold and standings by HTTP."""

import json

import pytest

from annotation.models import Task
from annotation.router import main_queue
from annotation.services import gold
from tests.annotation.gold import (
    RIGHT,
    WRONG,
    Chance,
    answer_gold,
    claim_of,
    labels,
    make_golds,
    make_texts,
    mixed_queue,
    say,
    text_schema,
)
from tests.factories import make_annotators, make_completion, make_prompt

pytestmark = pytest.mark.django_db


@pytest.fixture
def base(cast):
    return f"/api/v1/projects/{cast.project.slug}"


def gold_body(cast, **more):
    return {
        "queue": main_queue(cast.project).public_id,
        "schema": text_schema(cast.project).public_id,
        "data": {"text": "Please."},
        "answers": labels(RIGHT),
        **more,
    }


def test_a_manager_writes_reads_corrects_and_retires_gold(cast, api, base):
    mona = api(cast.mona)
    made = mona.post(f"{base}/gold", gold_body(cast, explanation="It asks."), format="json")
    assert made.status_code == 201, made.content
    path = f"{base}/gold/{made.json()['id']}"
    fixed = mona.patch(path, {"answers": labels(WRONG), "explanation": ""}, format="json").json()
    assert (fixed["answers"]["labels"]["labels"], fixed["data"]) == ([WRONG], {"text": "Please."})
    assert mona.post(f"{path}:retire").json()["retired"] is True
    assert mona.post(f"{path}:retire").status_code == 409
    assert mona.post(f"{path}:restore").json()["retired"] is False
    [listed] = mona.get(f"{base}/gold").json()["results"]
    assert listed["id"] == made.json()["id"]


def test_a_pair_becomes_gold_by_its_completions(cast, api, base):
    prompt = make_prompt(cast.project)
    first, second = make_completion(prompt), make_completion(prompt)
    body = {
        "queue": main_queue(cast.project).public_id,
        "pair": {"first": first.public_id, "second": second.public_id},
        "answers": {"preference": {"choice": "second"}},
    }
    made = api(cast.mona).post(f"{base}/gold", body, format="json")
    assert made.status_code == 201, made.content
    assert made.json()["prompt"] == prompt.messages


def test_what_people_agree_on_is_listed_and_promoted(cast, api, base):
    [task] = make_texts(cast.project, 1, overlap=3)
    for person in (cast.bob, *make_annotators(cast.project, 2)):
        say(person, claim_of(person), RIGHT)
    mona = api(cast.mona)
    [found] = mona.get(f"{base}/gold:promote").json()
    assert (found["task"], found["answers"], found["agreement"]) == (task.public_id, 3, 1.0)
    made = mona.post(f"{base}/gold:promote", {"task": task.public_id}, format="json")
    assert (made.status_code, made.json()["promoted_from"]) == (201, task.public_id)
    assert mona.get(f"{base}/gold:promote").json() == []


def test_a_submit_to_gold_says_how_it_was_where_the_queue_tells(cast, api, base, monkeypatch):
    monkeypatch.setattr(gold, "_chance", Chance(0.0))
    mixed_queue(cast.project, gold_rate=0.5, gold_feedback=True)
    make_texts(cast.project, 1)
    make_golds(cast, 1, explanation="It asks.")
    bob, told = api(cast.bob), []
    for key in ("a", "b"):
        slot = bob.post(f"{base}/queue:next", {}).json()
        body = {"lease": slot["lease"], "answers": labels(WRONG)}
        for _retry in range(2):
            path = f"/api/v1/slots/{slot['id']}:submit"
            told.append(bob.post(path, body, format="json", headers={"Idempotency-Key": key}).json())
    assert [answer["feedback"] is None for answer in told] == [False, False, True, True]
    assert told[0]["feedback"] == told[1]["feedback"]
    feedback = told[0]["feedback"]
    assert (feedback["score"], feedback["explanation"]) == (0, "It asks.")
    assert feedback["right_answers"]["labels"]["labels"] == [RIGHT]
    refused = bob.post(f"{base}/annotations/{told[0]['annotation']['id']}:undo")
    assert (refused.status_code, refused.json()["code"]) == (409, "nothing_to_undo")


def test_standings_are_listed_blocked_and_lifted(cast, api, base):
    queue = mixed_queue(cast.project)
    make_golds(cast, 1)
    answer_gold(cast.bob, queue, WRONG)
    mona = api(cast.mona)
    [row] = mona.get(f"{base}/standings").json()["results"]
    assert (row["actor"], row["state"], row["answered"]) == (cast.bob.public_id, "good", 1)
    asked = {"actor": cast.bob.public_id, "queue": queue.public_id, "reason": "Too fast."}
    assert mona.post(f"{base}/standings:block", asked, format="json").json()["state"] == "blocked"
    [mine] = api(cast.bob).get(f"{base}/standing").json()
    assert (mine["state"], mine["reason"]) == ("blocked", "Too fast.")
    assert not {"right", "answered"} & set(mine)
    make_texts(cast.project, 1)
    barred = api(cast.bob).post(f"{base}/queue:next", {})
    assert (barred.status_code, barred.json()["code"]) == (403, "barred")
    assert mona.post(f"{base}/standings:lift", asked, format="json").json()["state"] == "good"
    assert mona.post(f"{base}/standings:admit", asked, format="json").status_code == 422
    assert api(cast.bob).post(f"{base}/queue:next", {}).status_code == 200


def test_a_standing_that_says_nothing_yet_is_not_told(cast, api, base):
    """A count that moved with every gold answer would tell which tasks are gold."""
    queue = mixed_queue(cast.project)
    make_golds(cast, 1)
    answer_gold(cast.bob, queue, WRONG)
    assert api(cast.bob).get(f"{base}/standing").json() == []


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("path", ["gold", "gold:promote", "standings"])
def test_keys_and_standings_are_for_managers_alone(cast, api, base, path, method):
    if (path, method) == ("standings", "post"):
        path = "standings:block"
    for actor, expected in ((cast.bob, 403), (cast.carol, 403), (cast.mallory, 404)):
        assert getattr(api(actor), method)(f"{base}/{path}").status_code == expected


def test_gold_of_another_project_does_not_exist(cast, api, base):
    make_golds(cast, 1)
    elsewhere = f"/api/v1/projects/{cast.mallory.project.slug}/gold"
    mallory = api(cast.mallory)
    assert mallory.get(f"{elsewhere}/{Task.objects.get().public_id}").status_code == 404
    assert mallory.post(elsewhere, gold_body(cast), format="json").status_code == 404
    [task] = make_texts(cast.project, 1)
    assert api(cast.mona).get(f"{base}/gold/{task.public_id}").status_code == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"data": None},
        {"data": {"text": "\x00"}},
        {"data": {"text": "\ud800"}},
        {"data": {"text": 1e400}},
        {"data": [[[[]]]]},
        {"answers": {"labels": {"labels": [{}]}}},
        {"answers": "kind"},
        {"queue": "que_nobody"},
        {"queue": "\x00"},
        {"schema": "sch_"},
        {"explanation": "x" * 6000},
        {"explanation": "\ud800"},
        {"pair": {"first": "a", "second": "b"}},
        {"surprise": 1},
    ],
)
def test_no_body_makes_the_server_fail(cast, api, base, wrong):
    body = json.dumps(gold_body(cast, **wrong))
    refused = api(cast.mona).generic("POST", f"{base}/gold", body, content_type="application/json")
    assert refused.status_code in (400, 404, 422), refused.content
    assert refused.json()["code"]
