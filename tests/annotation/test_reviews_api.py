"""Review by API, as a client meets it."""

import pytest

from annotation.models import Annotation, Case, Task
from annotation.services import routing
from tests.annotation.review_story import asks, routed, say
from tests.factories import make_annotators

pytestmark = pytest.mark.django_db


@pytest.fixture
def paths(cast):
    return f"/api/v1/projects/{cast.project.slug}"


@pytest.fixture
def split(cast, make_tasks):
    def make(one=None):
        [task] = make_tasks(1, overlap=2)
        asks(cast.project, review_below=0.5)
        fresh = make_annotators(cast.project, 2)
        first, second = say(task, one or fresh[0], "first"), say(task, fresh[1], "second")
        return task, first, second, routed(task)

    return make


def rulings(case, *verdicts):
    return [
        {"answer": answer["id"], "verdict": verdict, "comment": f"you: {verdict}"}
        for answer, verdict in zip(case["answers"], verdicts, strict=True)
    ]


def test_a_reviewer_takes_settles_and_takes_back(cast, api, split, paths):
    task, *_answers = split()
    carol = api(cast.carol)
    case = carol.post(f"{paths}/reviews:next", {}).json()
    assert (case["state"], case["mine"], case["reasons"], case["agreement"]) == ("leased", True, ["disagreement"], 0.0)
    assert [side["side"] for side in case["content"]["candidates"]] == ["first", "second"]
    body = {"rulings": rulings(case, "accept", "fix"), "cause": "mistake", "adopt": case["answers"][0]["id"]}
    done = carol.post(f"/api/v1/reviews/{case['id']}:settle", body)
    assert done.status_code == 200, done.content
    assert done.json()["stands"]["preference"]["choice"] == case["answers"][0]["answers"]["preference"]["choice"]
    assert [row["verdict"] for row in done.json()["answers"]] == ["accept", "fix"]
    assert carol.post(f"{paths}/reviews:next", {}).status_code == 204
    assert carol.get(f"{paths}/reviews?state=settled").json()["results"][0]["id"] == case["id"]
    assert carol.post(f"/api/v1/reviews/{case['id']}:reopen").json()["state"] == "leased"
    assert Task.objects.get(pk=task.pk).resolution == Task.Resolution.WAITING


def test_a_case_is_blind_in_every_answer_of_the_api(cast, api, split, paths):
    _task, first, second, case = split()
    carol = api(cast.carol)
    texts = [
        carol.get(f"{paths}/reviews").content,
        carol.get(f"/api/v1/reviews/{case.public_id}").content,
        carol.post(f"/api/v1/reviews/{case.public_id}:take").content,
    ]
    for said in (first, second):
        for secret in (said.public_id, said.actor.public_id, said.actor.pseudonym):
            assert all(secret.encode() not in text for text in texts)


def test_the_second_of_two_reviewers_is_told_so(cast, api, split):
    case = split()[3]
    path = f"/api/v1/reviews/{case.public_id}"
    shown = api(cast.carol).post(f"{path}:take").json()
    refused = api(cast.mona).post(f"{path}:take")
    assert (refused.status_code, refused.json()["code"]) == (409, "case_taken")
    body = {"rulings": rulings(shown, "accept", "accept"), "cause": "ambiguous"}
    assert api(cast.mona).post(f"{path}:settle", body).json()["code"] == "case_taken"
    assert api(cast.carol).post(f"{path}:settle", body).status_code == 200
    assert api(cast.carol).post(f"{path}:settle", body).json()["code"] == "case_taken"
    assert api(cast.carol).post(f"{path}:release").json()["code"] == "case_taken"


def test_nobody_opens_their_own_work_and_the_list_marks_what_nobody_can_take(cast, api, split, make_tasks, paths):
    case = split(one=cast.carol)[3]
    refused = api(cast.carol).get(f"/api/v1/reviews/{case.public_id}")
    assert (refused.status_code, refused.json()["code"]) == (403, "own_work")
    [task] = make_tasks(1, overlap=3)
    for actor, choice in ((cast.alice, "first"), (cast.mona, "second"), (cast.carol, "first")):
        say(task, actor, choice)
    stuck = routed(task)
    rows = api(cast.carol).get(f"{paths}/reviews").json()["results"]
    assert {row["id"]: row["nobody_can_take_it"] for row in rows} == {case.public_id: False, stuck.public_id: True}


def test_annotators_and_strangers_see_no_case(cast, api, split, paths):
    case = split()[3]
    for path in (f"{paths}/reviews", f"/api/v1/reviews/{case.public_id}"):
        assert api(cast.bob).get(path).status_code == 403
        assert api(cast.mallory).get(path).status_code == 404
    assert api(cast.mallory).post(f"/api/v1/reviews/{case.public_id}:take").status_code == 404
    assert api(cast.carol, "feedback").get(f"{paths}/reviews").status_code == 403
    assert api(cast.carol).get("/api/v1/reviews/cas_0").status_code == 404


def test_a_person_signed_in_needs_no_token(cast, client, split):
    case = split()[3]
    client.force_login(cast.carol.user)
    assert client.get(f"/api/v1/reviews/{case.public_id}").status_code == 200
    client.force_login(cast.mallory.user)
    assert client.get(f"/api/v1/reviews/{case.public_id}").status_code == 404


def test_cases_are_listed_by_reason_and_state(cast, api, split, make_tasks, paths):
    split()
    [flagged] = make_tasks(1)
    say(flagged, cast.bob, "first", flags=("odd",))
    routing.drain_answers()
    carol = api(cast.carol)
    assert [row["reasons"] for row in carol.get(f"{paths}/reviews?reason=flag").json()["results"]] == [["flag"]]
    assert len(carol.get(f"{paths}/reviews").json()["results"]) == 2
    assert carol.get(f"{paths}/reviews?state=dismissed").json()["results"] == []
    assert carol.get(f"{paths}/reviews?state=all").status_code == 422
    assert carol.get(f"{paths}/reviews?reason=%00").status_code == 422


def test_a_reviewer_asks_for_a_review_of_a_task(cast, api, make_tasks, paths):
    [task] = make_tasks(1)
    carol = api(cast.carol)
    assert carol.post(f"{paths}/reviews", {"task": task.public_id}).status_code == 422
    say(task, cast.bob, "first")
    asked = carol.post(f"{paths}/reviews", {"task": task.public_id, "reason": "odd"})
    assert (asked.status_code, asked.json()["resolution"]) == (201, "waiting")
    assert Case.objects.get(public_id=asked.json()["case"]).reasons == ["asked"]
    assert carol.post(f"{paths}/reviews", {"task": "tsk_0"}).status_code == 404
    assert api(cast.bob).post(f"{paths}/reviews", {"task": task.public_id}).status_code == 403


def test_managers_watch_annotators_and_reviewers_do_not_learn_whom(cast, api, paths):
    mona = api(cast.mona)
    watched = mona.post(f"{paths}/watched", {"annotator": cast.bob.public_id, "rate": 0.5, "reason": "new"})
    assert (watched.status_code, watched.json()["rate"]) == (200, 0.5)
    assert [row["annotator"] for row in mona.get(f"{paths}/watched").json()] == [cast.bob.public_id]
    assert api(cast.carol).get(f"{paths}/watched").status_code == 403
    assert mona.post(f"{paths}/watched", {"annotator": cast.bob.public_id, "rate": 0}).status_code == 204
    assert mona.get(f"{paths}/watched").json() == []
    assert mona.post(f"{paths}/watched", {"annotator": cast.mallory.public_id, "rate": 1}).status_code == 404
    assert mona.post(f"{paths}/watched", {"annotator": cast.bob.public_id, "rate": 2}).status_code == 400


def test_annotators_get_their_rulings_back_and_mark_them_read(cast, api, split, paths):
    _task, first, second, case = split()
    carol = api(cast.carol)
    shown = carol.post(f"/api/v1/reviews/{case.public_id}:take").json()
    body = {"rulings": rulings(shown, "reject", "reject"), "cause": "guideline", "comment": "both missed the point"}
    assert carol.post(f"/api/v1/reviews/{case.public_id}:settle", body).status_code == 200
    author = api(first.actor)
    answer = author.get(f"{paths}/rulings")
    [ruling] = answer.json()["results"]
    assert (answer["X-Unread"], ruling["annotation"], ruling["verdict"]) == ("1", first.public_id, "reject")
    assert (ruling["comment"], ruling["case_comment"], ruling["read"]) == (
        "you: reject",
        "both missed the point",
        False,
    )
    order = first.display_order
    texts = dict(first.task.candidates.values_list("ordinal", "completion__text"))
    assert [row["text"] for row in ruling["candidates"]] == [texts[place] for place in order]
    assert cast.carol.pseudonym.encode() not in answer.content
    assert author.post(f"{paths}/rulings:read", {"annotations": [second.public_id]}).json() == {"read": 0, "unread": 1}
    assert author.post(f"{paths}/rulings:read", {}).json() == {"read": 1, "unread": 0}


def test_managers_unblind_after_the_settlement(cast, api, split):
    _task, first, second, case = split()
    path = f"/api/v1/reviews/{case.public_id}"
    assert api(cast.mona).post(f"{path}:unblind").status_code == 409
    shown = api(cast.carol).post(f"{path}:take").json()
    api(cast.carol).post(f"{path}:settle", {"rulings": rulings(shown, "accept", "accept"), "cause": "none"})
    authors = api(cast.mona).post(f"{path}:unblind").json()
    assert {row["actor"] for row in authors} == {first.actor.public_id, second.actor.public_id}
    assert api(cast.carol).post(f"{path}:unblind").status_code == 403


DEEP: dict = {}
for _ in range(60):
    DEEP = {"a": DEEP}


@pytest.mark.parametrize(
    "change",
    [
        {"rulings": None},
        {"rulings": []},
        {"rulings": [{"answer": "ans_x", "verdict": "accept"}]},
        {"rulings": [1, "x"]},
        {"rulings": "all"},
        {"cause": "moon"},
        {"cause": None},
        {"comment": "\x00"},
        {"comment": "\ud800"},
        {"comment": "x" * 10_001},
        {"adopt": "ans_0000"},
        {"adopt": 1e400},
        {"answers": {"preference": {"choice": "first", "strength": 10**400}}},
        {"answers": {"preference": {"choice": ["first"]}}},
        {"answers": []},
        {"answers": DEEP},
        {"ask_again": True},
        {"ask_again": {"yes": 1}},
        {"surprise": 1},
    ],
)
def test_no_body_makes_the_server_fail(cast, api, split, change):
    import json

    case = split()[3]
    path = f"/api/v1/reviews/{case.public_id}"
    carol = api(cast.carol)
    shown = carol.post(f"{path}:take").json()
    body = {"rulings": rulings(shown, "accept", "accept"), "cause": "none", **change}
    refused = carol.generic("POST", f"{path}:settle", json.dumps(body), content_type="application/json")
    assert refused.status_code in (400, 409, 422), refused.content
    assert refused.json()["code"]
    assert Case.objects.get().state == Case.State.LEASED
    assert not Annotation.objects.filter(settlement=True).exists()


@pytest.mark.parametrize("body", [[], "x", 1, None, {"after": "cas_0"}, {"after": 5}, {"after": "\x00"}, {"x": 1}])
def test_asking_for_the_next_case_wrongly_is_refused(cast, api, paths, body):
    import json

    refused = api(cast.carol).generic(
        "POST", f"{paths}/reviews:next", json.dumps(body), content_type="application/json"
    )
    assert refused.status_code in (400, 404, 422), refused.content
