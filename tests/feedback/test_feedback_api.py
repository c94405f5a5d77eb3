"""What applications send is stored before they hear so, once, and reveals nothing of other projects."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from rest_framework.test import APIClient

from accounts.models import Actor
from feedback.models import FeedbackEvent, Preference
from feedback.services import drain_outbox, reconcile_pending, withdraw_feedback
from models_registry.models import Completion
from tests.factories import make_completion, make_prompt

UNKNOWN = "cmp_0199aaaabbbbccccddddeeeeffff0000"


@pytest.fixture
def answer(project):
    return make_completion(make_prompt(project), "It floats.")


@pytest.fixture
def app(api, cast):
    return api(cast.mona, "feedback")


def thumb(completion, value="up", **more):
    return {"completion": getattr(completion, "public_id", completion), "kind": "thumb", "value": value, **more}


@pytest.mark.store
def test_a_thumb_is_stored_for_the_end_user_it_came_from(app, answer, project):
    sent = app.post("/v1/feedback", thumb(answer, user="u-17", comment="nice", tags={"page": "chat"}))
    assert sent.status_code == 201, sent.content
    event = FeedbackEvent.objects.get(public_id=sent.json()["id"])
    assert sent.json() == {"id": event.public_id, "kind": "thumb", "state": "accepted", "completion": answer.public_id}
    assert (event.completion, event.value["thumb"], event.comment) == (answer, "up", "nice")
    assert (event.actor.kind, event.actor.external_id) == (Actor.Kind.END_USER, "u-17")
    assert event.tags == {"page": "chat"}


@pytest.mark.store
def test_feedback_on_a_completion_not_known_yet_is_kept_and_finds_it_later(app, project):
    sent = app.post("/v1/feedback", thumb(UNKNOWN))
    assert (sent.status_code, sent.json()["state"]) == (202, "pending")
    assert reconcile_pending() == 0
    completion = make_completion(make_prompt(project), public_id=UNKNOWN)
    assert reconcile_pending() == 1
    assert FeedbackEvent.objects.get().completion == completion
    assert app.get(f"/v1/feedback/{sent.json()['id']}").json()["state"] == "accepted"
    assert reconcile_pending() == 0


@pytest.mark.store
def test_another_projects_completion_looks_like_one_that_never_was(app, api, cast):
    theirs = make_completion(make_prompt(cast.mallory.project))
    sent, unknown = app.post("/v1/feedback", thumb(theirs)), app.post("/v1/feedback", thumb(UNKNOWN))
    assert reconcile_pending() == 0
    hide = lambda body: {**body, "id": "", "completion": ""}  # noqa: E731
    assert (sent.status_code, hide(sent.json())) == (unknown.status_code, hide(unknown.json()))
    assert not FeedbackEvent.objects.filter(completion__isnull=False).exists()
    mallory = api(cast.mallory, "feedback")
    assert mallory.get(f"/v1/feedback/{sent.json()['id']}").status_code == 404


@pytest.mark.store
def test_a_correction_becomes_a_human_completion_that_is_preferred(app, answer, cast):
    sent = app.post(
        "/v1/feedback", {"completion": answer.public_id, "kind": "correction", "value": {"text": "It sinks."}}
    )
    assert sent.status_code == 201, sent.content
    drain_outbox()
    preference = Preference.objects.get()
    written = preference.first
    assert (written.text, written.source, written.actor) == ("It sinks.", Completion.Source.HUMAN, cast.mona)
    assert (preference.outcome, preference.second, preference.prompt) == ("first", answer, answer.prompt)
    assert preference.first_shown_first is None


@pytest.mark.store
def test_a_correction_that_came_early_becomes_a_preference_when_its_completion_does(app, project):
    app.post("/v1/feedback", {"completion": UNKNOWN, "kind": "correction", "value": {"text": "Better."}})
    drain_outbox()
    assert not Completion.objects.exists()
    make_completion(make_prompt(project), public_id=UNKNOWN)
    reconcile_pending()
    drain_outbox()
    assert Preference.objects.get().first.text == "Better."


@pytest.mark.store
def test_a_comparison_is_a_preference_between_its_two_completions(app, answer):
    other = make_completion(answer.prompt)
    body = {"first": answer.public_id, "second": other.public_id, "outcome": "second", "strength": 2, "user": "u-1"}
    assert app.post("/v1/comparisons", body).status_code == 201
    drain_outbox()
    row = Preference.objects.get()
    assert (row.first, row.second, row.outcome, row.strength) == (answer, other, "second", 2)
    assert row.actor.external_id == "u-1"


@pytest.mark.store
def test_a_comparison_waits_for_both_of_its_completions(app, answer):
    sent = app.post("/v1/comparisons", {"first": answer.public_id, "second": UNKNOWN, "outcome": "first"})
    assert sent.status_code == 202
    assert reconcile_pending() == 0
    make_completion(answer.prompt, public_id=UNKNOWN)
    assert reconcile_pending() == 1
    drain_outbox()
    assert Preference.objects.get().second.public_id == UNKNOWN


@pytest.mark.store
def test_a_comparison_across_two_prompts_is_refused_or_never_projects(app, answer, project):
    elsewhere = make_completion(make_prompt(project))
    body = {"first": answer.public_id, "second": elsewhere.public_id, "outcome": "first"}
    assert app.post("/v1/comparisons", body).status_code == 422
    assert app.post("/v1/comparisons", {**body, "second": UNKNOWN}).status_code == 202
    make_completion(make_prompt(project), public_id=UNKNOWN)
    reconcile_pending()
    drain_outbox()
    assert not Preference.objects.exists()


@pytest.mark.store
def test_withdrawn_feedback_counts_no_more(app, answer, cast):
    app.post("/v1/feedback", {"completion": answer.public_id, "kind": "correction", "value": {"text": "It sinks."}})
    drain_outbox()
    assert withdraw_feedback(actor=cast.mona, event=FeedbackEvent.objects.get())
    assert not withdraw_feedback(actor=cast.mona, event=FeedbackEvent.objects.get())
    drain_outbox()
    assert not Preference.objects.filter(withdrawn_at=None).exists()


RAW = f'{{"completion": "{UNKNOWN}", "kind": "%s", "value": %s}}'
WRONG = {
    "misspelt field": thumb(UNKNOWN, coment="x"),
    "missing value": {"completion": UNKNOWN, "kind": "thumb"},
    "unknown kind": thumb(UNKNOWN) | {"kind": "clap"},
    "thumb sideways": thumb(UNKNOWN, "sideways"),
    "thumb as a list": thumb(UNKNOWN, ["up"]),
    "rating of 6": thumb(UNKNOWN, 6) | {"kind": "rating"},
    "rating true": thumb(UNKNOWN, True) | {"kind": "rating"},
    "rating as text": thumb(UNKNOWN, "4") | {"kind": "rating"},
    "rating of 10^400": RAW % ("rating", "1e400"),
    "correction as text": thumb(UNKNOWN, "better") | {"kind": "correction"},
    "correction with more": thumb(UNKNOWN, {"text": "a", "by": "me"}) | {"kind": "correction"},
    "correction of blanks": thumb(UNKNOWN, {"text": " \n"}) | {"kind": "correction"},
    "correction with NUL": thumb(UNKNOWN, {"text": "a\x00b"}) | {"kind": "correction"},
    "huge correction": thumb(UNKNOWN, {"text": "x" * 100_001}) | {"kind": "correction"},
    "huge comment": thumb(UNKNOWN, comment="x" * 10_001),
    "comment with NUL": thumb(UNKNOWN, comment="\x00"),
    "comment as number": thumb(UNKNOWN, comment=7),
    "half a character": RAW % ("thumb", '"up", "comment": "\\ud800"'),
    "half a character as a field": RAW % ("thumb", '"up", "\\ud800": 1'),
    "tag with NUL": thumb(UNKNOWN, tags={"a\x00": "b"}),
    "tag that is no text": thumb(UNKNOWN, tags={"a": {}}),
    "tags as list": thumb(UNKNOWN, tags=["a"]),
    "user with NUL": thumb(UNKNOWN, user="u\x00"),
    "long user": thumb(UNKNOWN, user="u" * 201),
    "completion as number": thumb(5),
    "completion as object": thumb({"id": UNKNOWN}),
    "another noun's id": thumb("tsk_0199"),
    "long completion": thumb("cmp_" + "a" * 70),
    "a list": [thumb(UNKNOWN)],
    "a text": '"up"',
    "null": "null",
    "not JSON": "{",
    "not UTF-8": b'{"completion": "\xff"}',
    "a deep nest": "[" * 100_000,
    "a deep nest that closes": "[" * 5000 + "]" * 5000,
    "NaN": RAW % ("rating", "NaN"),
}


@pytest.mark.store
@pytest.mark.parametrize("path", ["/v1/feedback", "/v1/comparisons"])
@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_wrong_body_is_a_clear_problem_and_stores_nothing(app, wrong, path):
    headers = {"HTTP_IDEMPOTENCY_KEY": "k"}
    if isinstance(wrong, str | bytes):
        sent = app.generic("POST", path, wrong, content_type="application/json", **headers)
    else:
        sent = app.post(path, wrong, **headers)
    assert sent.status_code in (400, 422), sent.content
    assert sent["Content-Type"] == "application/problem+json"
    assert sent.json()["detail"]
    assert not FeedbackEvent.objects.exists()


@pytest.mark.store
def test_a_body_beyond_8_mib_is_refused_before_it_is_read(app):
    sent = app.generic("POST", "/v1/feedback", b" " * (8 * 1024 * 1024 + 1), content_type="application/json")
    assert (sent.status_code, sent.json()["code"]) == (413, "too_large")


@pytest.mark.store
def test_a_misspelt_field_is_answered_with_the_known_ones(app):
    sent = app.post("/v1/feedback", thumb(UNKNOWN, coment="x"))
    assert "comment, completion, kind, tags, user, value" in sent.json()["errors"]["coment"][0]


@pytest.mark.store
def test_a_batch_has_one_result_per_item_and_a_wrong_item_spoils_no_other(app, answer):
    strange = {"completion": UNKNOWN, "kind": "thumb", "value": "up", "a\x00b": 1}
    items = [thumb(answer), thumb(answer, "no"), strange, thumb(UNKNOWN), "text", {**thumb(answer), "user": "z"}]
    sent = app.post("/v1/feedback:batch", {"items": items}, HTTP_IDEMPOTENCY_KEY="batch-1")
    assert sent.status_code == 200, sent.content
    results = sent.json()["results"]
    assert [row["index"] for row in results] == [0, 1, 2, 3, 4, 5]
    assert [row["status"] for row in results] == [201, 400, 422, 202, 400, 201]
    assert results[1]["error"]["errors"]["value"]
    assert [row.get("state") for row in results] == ["accepted", None, None, "pending", None, "accepted"]
    stored = FeedbackEvent.objects.order_by("pk").values_list("public_id", flat=True)
    assert [row["id"] for row in results if "id" in row] == list(stored)


@pytest.mark.store
@pytest.mark.parametrize(
    "body", [{"items": []}, {"items": "x"}, {"items": [1] * 1001}, {}, [], {"items": [1], "more": 1}]
)
def test_a_batch_of_another_shape_is_refused(app, body):
    assert app.post("/v1/feedback:batch", body).status_code == 422


@pytest.mark.store
def test_a_batch_of_1000_with_corrections_is_stored(app, answer):
    items = [thumb(answer, user=f"u{n}") for n in range(900)]
    items += [{"completion": answer.public_id, "kind": "correction", "value": {"text": f"No. {n}"}} for n in range(100)]
    sent = app.post("/v1/feedback:batch", {"items": items})
    assert {row["status"] for row in sent.json()["results"]} == {201}
    drain_outbox()
    assert (FeedbackEvent.objects.count(), Preference.objects.count()) == (1000, 100)


@pytest.mark.store
def test_a_replay_gets_the_first_answer_and_stores_nothing_more(app, project):
    first = app.post("/v1/feedback", thumb(UNKNOWN), HTTP_IDEMPOTENCY_KEY="k")
    make_completion(make_prompt(project), public_id=UNKNOWN)
    again = app.post("/v1/feedback", thumb(UNKNOWN), HTTP_IDEMPOTENCY_KEY="k")
    assert (again.status_code, again.json()) == (202, first.json())
    assert again["Idempotent-Replayed"] == "true"
    assert FeedbackEvent.objects.count() == 1


@pytest.mark.store
def test_a_known_key_with_another_body_or_another_address_is_refused(app, answer):
    app.post("/v1/feedback", thumb(answer), HTTP_IDEMPOTENCY_KEY="k")
    assert app.post("/v1/feedback", thumb(answer, "down"), HTTP_IDEMPOTENCY_KEY="k").status_code == 422
    elsewhere = app.post("/v1/comparisons", thumb(answer), HTTP_IDEMPOTENCY_KEY="k")
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (422, "invalid")
    assert FeedbackEvent.objects.count() == 1


@pytest.mark.store
def test_a_refused_request_does_not_use_its_key_up(app, answer):
    assert app.post("/v1/feedback", thumb(answer, "sideways"), HTTP_IDEMPOTENCY_KEY="k").status_code == 400
    assert app.post("/v1/feedback", thumb(answer, "up"), HTTP_IDEMPOTENCY_KEY="k").status_code == 201


@pytest.mark.store
def test_an_endless_key_is_refused(app, answer):
    assert app.post("/v1/feedback", thumb(answer), HTTP_IDEMPOTENCY_KEY="k" * 256).status_code == 422


@pytest.mark.store
@pytest.mark.django_db(transaction=True)
def test_the_same_key_from_two_threads_stores_one_row_and_both_hear_of_it(app, answer, api, cast):
    """Either both get the first answer, or one hears that the first is still running: never two rows."""
    start = threading.Barrier(4)
    token = app._credentials["HTTP_AUTHORIZATION"]

    def send(_number: int) -> tuple[int, str]:
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=token)
        start.wait(30)
        try:
            sent = client.post("/v1/feedback", thumb(answer, user="same"), HTTP_IDEMPOTENCY_KEY="race")
            return sent.status_code, sent.json().get("id", "")
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(send, range(4)))
    event = FeedbackEvent.objects.get()
    assert {result for result in results if result[0] != 409} == {(201, event.public_id)}


@pytest.mark.store
def test_a_token_without_the_scope_may_not_send(api, cast, answer):
    sent = api(cast.mona, "read").post("/v1/feedback", thumb(answer))
    assert (sent.status_code, sent.json()["code"]) == (403, "forbidden")


@pytest.mark.store
def test_without_a_token_nobody_may_send_not_even_signed_in(client, cast, answer):
    client.force_login(cast.mona.user)
    sent = client.post("/v1/feedback", thumb(answer), content_type="application/json")
    assert sent.status_code == 401
    assert sent["WWW-Authenticate"] == "Bearer"
