"""Replies of a live chat at a real gateway process, with a real server behind it that speaks slowly."""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from accounts.models import Membership
from annotation.live_chat import tickets
from annotation.models import ChatReply, Slot
from annotation.selectors.chat import state_of
from annotation.services import chat
from models_registry.models import Completion, Deployment
from models_registry.services import move_alias
from tests.annotation import chat_story as story
from tests.models_registry.kit import FakeBackend, gateway, until

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = "http://page.example.org"
LIMITS = {"PLUMBLINE_CHAT_STALE_SECONDS": "2", "PLUMBLINE_GATEWAY_TIMEOUT": "20"}


@pytest.fixture(scope="module")
def address(django_db_setup: None, django_db_blocker: Any) -> Iterator[str]:
    with gateway(**LIMITS) as (found, _process):
        yield found


@pytest.fixture
def fake() -> Iterator[FakeBackend]:
    backend = FakeBackend()
    yield backend
    backend.release.set()
    backend.shutdown()
    backend.server_close()


@pytest.fixture
def versions(cast: Any, fake: FakeBackend) -> list[Any]:
    found = story.two_versions(cast.project)
    for version, name in zip(found, ("kestrel", "osprey"), strict=True):
        story.serve(cast.project, version, fake.url, name)
    return found


@pytest.fixture
def conversation(cast: Any, versions: list[Any]) -> Any:
    story.make_chat_tasks(cast.project)
    return story.begin(cast.bob)[2]


def tickets_of(actor: Any, conversation: Any, origin: str = PAGE) -> list[str]:
    state = state_of(actor, conversation.task, "talk", conversation, origin=origin)
    return [reply["ticket"] for reply in state["turns"][-1]["replies"] if "ticket" in reply]


def post(address: str, ticket: str, origin: str = PAGE) -> httpx.Response:
    headers = {"Origin": origin} if origin else {}
    return httpx.post(f"{address}/live/reply", content=ticket, headers=headers, trust_env=False, timeout=60)


def frames(text: str) -> list[tuple[str, Any]]:
    found = [part.split("\n") for part in text.split("\n\n") if part.startswith("event: ")]
    return [(lines[0].removeprefix("event: "), json.loads(lines[1].removeprefix("data: "))) for lines in found]


def heard(text: str) -> str:
    said = ""
    for event, data in frames(text):
        said = data["text"] if event == "begin" else said + data.get("text", "")
    return said


def test_two_models_stream_and_are_stored_with_their_versions(
    address: str, cast: Any, conversation: Any, versions: Any
) -> None:
    turn = story.say(cast.bob, conversation, "slow 5")
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda ticket: post(address, ticket), tickets_of(cast.bob, conversation)))
    assert [answer.headers["Access-Control-Allow-Origin"] for answer in answers] == [PAGE, PAGE]
    for answer, reply in zip(answers, turn.replies.select_related("completion__version"), strict=True):
        name = ("kestrel", "osprey")[reply.ordinal]
        assert heard(answer.text) == reply.completion.text == " ".join(f"{name}-{n}" for n in range(5)) + " "
        assert frames(answer.text)[-1] == ("done", {})
        assert reply.completion.version == versions[reply.ordinal]
        assert reply.completion.usage["milliseconds"] >= reply.completion.usage["first_milliseconds"]
        assert reply.completion.prompt == turn.prompt
        blind = str(answer.headers) + answer.text.replace(f"{name}-", "")
        assert not any(word in blind for word in ("talker", "ver_", "cmp_", "dep_", name))


def test_words_arrive_while_the_model_still_speaks(address: str, cast: Any, conversation: Any) -> None:
    story.say(cast.bob, conversation, "slow 30")
    ticket = tickets_of(cast.bob, conversation)[0]
    began, first = time.monotonic(), None
    with httpx.stream("POST", f"{address}/live/reply", content=ticket, trust_env=False, timeout=30) as answer:
        for text in answer.iter_text():
            if "-0 " in text:
                first = first or time.monotonic() - began
    assert first is not None
    assert first + 0.7 < time.monotonic() - began


def test_a_reply_is_written_to_its_end_when_the_browser_goes_away(address: str, cast: Any, conversation: Any) -> None:
    story.say(cast.bob, conversation, "slow 20")
    ticket = tickets_of(cast.bob, conversation)[0]
    with httpx.stream("POST", f"{address}/live/reply", content=ticket, trust_env=False, timeout=30) as answer:
        next(answer.iter_text())
    done = until(lambda: Completion.objects.first())
    assert len(done.text.split()) == 20


def test_asking_twice_listens_twice_and_asks_the_model_once(
    address: str, cast: Any, conversation: Any, fake: FakeBackend
) -> None:
    story.say(cast.bob, conversation, "slow 15")
    ticket = tickets_of(cast.bob, conversation)[0]
    with ThreadPoolExecutor(3) as pool:
        three = list(pool.map(lambda delay: time.sleep(delay) or post(address, ticket), (0, 0, 0.4)))
    assert len({heard(answer.text) for answer in three}) == 1
    assert len(fake.requests) == 1
    again = post(address, ticket)
    assert (heard(again.text), frames(again.text)[-1][0]) == (heard(three[0].text), "done")
    assert len(fake.requests) == 1


def test_what_an_alias_means_is_asked_when_the_reply_is_written(
    address: str, cast: Any, versions: Any, fake: FakeBackend
) -> None:
    model = versions[0].model
    alias = move_alias(actor=cast.mona, model=model, name="talks", version=versions[0], expected_generation=0)
    story.make_chat_tasks(cast.project, models=["talker@talks"])
    _slot, _token, conversation = story.begin(cast.bob)
    for version, generation in zip(versions, (1, 1), strict=True):
        turn = story.say(cast.bob, conversation, "slow 1")
        post(address, tickets_of(cast.bob, conversation)[0])
        reply = turn.replies.select_related("completion").get()
        assert (reply.completion.version_id, reply.completion.alias) == (version.pk, "talker@talks")
        if version == versions[0]:
            move_alias(
                actor=cast.mona, model=model, name="talks", version=versions[1], expected_generation=alias.generation
            )
        assert generation
    assert [request["model"] for request in fake.requests] == ["kestrel", "osprey"]


def test_one_version_with_two_samplings_makes_two_sides(
    address: str, cast: Any, versions: Any, fake: FakeBackend
) -> None:
    sides = [
        {"model": "talker@1", "temperature": 0.1, "seed": 7},
        {"model": "talker@1", "temperature": 1.5, "max_tokens": 9},
    ]
    story.make_chat_tasks(cast.project, models=sides)
    _slot, _token, conversation = story.begin(cast.bob)
    turn = story.say(cast.bob, conversation, "slow 1")
    for ticket in tickets_of(cast.bob, conversation):
        post(address, ticket)
    asked = {request["temperature"]: (request.get("seed"), request.get("max_tokens")) for request in fake.requests}
    assert asked == {0.1: (7, None), 1.5: (None, 9)}
    stored = [reply.completion.sampling for reply in turn.replies.order_by("ordinal").select_related("completion")]
    assert stored == [{"temperature": 0.1, "seed": 7}, {"temperature": 1.5, "max_new_tokens": 9}]


def test_stopping_ends_both_and_keeps_what_came(address: str, cast: Any, conversation: Any) -> None:
    turn = story.say(cast.bob, conversation, "slow 200")
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(post, address, ticket) for ticket in tickets_of(cast.bob, conversation)]
        until(lambda: all(reply.text for reply in turn.replies.all()))
        chat.stop(actor=cast.bob, conversation=conversation, turn=0)
        answers = [one.result() for one in both]
    for answer, reply in zip(answers, turn.replies.select_related("completion"), strict=True):
        assert frames(answer.text)[-1][0] == "done"
        assert reply.completion.finish_reason == "stopped"
        assert heard(answer.text) == reply.completion.text


@pytest.mark.parametrize(
    ("said", "trouble"),
    [
        ("error 500", "down"),
        ("error 429", "busy"),
        ("error 503", "busy"),
        ("error 400", "refused"),
        ("garbage", "down"),
    ],
)
def test_a_failure_says_nothing_of_the_model_and_can_be_tried_again(
    address: str, cast: Any, conversation: Any, said: str, trouble: str
) -> None:
    turn = story.say(cast.bob, conversation, said)
    answer = post(address, tickets_of(cast.bob, conversation)[0])
    assert frames(answer.text)[-1] == ("failed", {"trouble": trouble})
    assert not Completion.objects.exists()
    turn.replies.update(state=ChatReply.State.FAILED)
    chat.retry(actor=cast.bob, conversation=conversation, turn=0)
    assert len(tickets_of(cast.bob, conversation)) == 2


def test_a_model_that_dies_in_its_answer_is_an_interruption_and_what_was_shown_is_stored(
    address: str, cast: Any, conversation: Any
) -> None:
    turn = story.say(cast.bob, conversation, "die")
    answer = post(address, tickets_of(cast.bob, conversation)[0])
    assert frames(answer.text)[-1] == ("failed", {"trouble": "interrupted"})
    assert Completion.objects.get().finish_reason == "error"
    assert turn.replies.get(place=0).text == "Echo: die"


def test_models_that_are_not_served_are_down_whichever_they_are(address: str, cast: Any, conversation: Any) -> None:
    Deployment.objects.all().update(wanted=False)
    story.say(cast.bob, conversation)
    answers = [post(address, ticket).text for ticket in tickets_of(cast.bob, conversation)]
    assert answers[0] == answers[1]
    assert frames(answers[0])[-1] == ("failed", {"trouble": "down"})


def test_a_ticket_is_for_one_reply_one_person_one_page_and_some_minutes(
    address: str, cast: Any, conversation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn = story.say(cast.bob, conversation)
    ticket = tickets_of(cast.bob, conversation)[0]
    reply = turn.replies.get(place=0)
    carols = tickets.give(conversation, reply, turn=0, actor=cast.carol.public_id, origin=PAGE)
    for wrong in ("", "x", ticket[:-1], ticket + "x", "\x00", "é" * 50, "a" * 5000, carols):
        assert post(address, wrong).status_code == 404, wrong
    other = post(address, ticket, origin="http://elsewhere.example.org")
    assert (other.status_code, "Access-Control-Allow-Origin" in other.headers) == (403, False)
    assert httpx.get(f"{address}/live/reply", trust_env=False).status_code == 405
    monkeypatch.setattr("django.core.signing.time.time", lambda: 1_000_000_000.0)
    old = tickets_of(cast.bob, conversation)[0]
    monkeypatch.undo()
    late = post(address, old)
    assert (late.status_code, late.json()["error"]["code"]) == (410, "ticket_expired")
    assert late.headers["Access-Control-Allow-Origin"] == PAGE
    fresh = tickets_of(cast.bob, conversation)[0]
    Membership.objects.filter(actor=cast.bob).delete()
    assert post(address, fresh).status_code == 404
    assert not Completion.objects.exists()


def test_a_client_that_is_no_browser_needs_no_origin(address: str, cast: Any, conversation: Any) -> None:
    story.say(cast.bob, conversation)
    own = tickets_of(cast.bob, conversation, origin="")[0]
    assert post(address, own, origin=PAGE).status_code == 403
    assert post(address, own, origin="").status_code == 200


def test_kill_9_in_the_middle_and_another_gateway_writes_it_anew(cast: Any, conversation: Any) -> None:
    turn = story.say(cast.bob, conversation, "slow 60")
    ticket = tickets_of(cast.bob, conversation)[0]
    reply = turn.replies.get(place=0)
    with gateway(**LIMITS) as (dying, process), gateway(**LIMITS) as (other, _process):
        with httpx.stream("POST", f"{dying}/live/reply", content=ticket, trust_env=False, timeout=30) as answer:
            chunks = answer.iter_text()
            until(lambda: "-3 " in next(chunks))
            watched: list[str] = []
            # Somebody listens at the other gateway meanwhile: it reads along, and takes over once the first is dead.
            listener = threading.Thread(target=lambda: watched.append(post(other, ticket).text))
            listener.start()
            until(lambda: "-5 " in ChatReply.objects.get(pk=reply.pk).text)
            process.kill()
            process.wait()
        listener.join(60)
    reply.refresh_from_db()
    assert (reply.state, reply.attempts) == (ChatReply.State.DONE, 2)
    assert heard(watched[0]) == reply.completion.text
    assert len(reply.completion.text.split()) == 60
    begun = [data["text"] for event, data in frames(watched[0]) if event == "begin"]
    assert begun[-1] == "", "the second attempt begins anew, and says so"
    assert Completion.objects.count() == 1


def test_a_whole_talk_by_the_api_alone(address: str, cast: Any, versions: Any, api: Any, settings: Any) -> None:
    settings.GATEWAY_PUBLIC_URL = address
    story.make_chat_tasks(cast.project, turns={"min": 2}, strength=True)
    bob = api(cast.bob)
    slot = bob.post(f"/api/v1/projects/{cast.project.slug}/queue:next", {}).json()
    talk = bob.post(f"/api/v1/slots/{slot['id']}/conversations", {"question": "talk"}).json()
    assert (talk["next"], talk["turns_min"], talk["sides"]) == ("message", 2, 2)
    url = f"/api/v1/conversations/{talk['id']}"
    for n in (0, 1):
        body = {"text": f"slow {n + 1}", "after": n}
        talk = bob.post(f"{url}:send", body, headers={"Idempotency-Key": f"k{n}"}).json()
        again = bob.post(f"{url}:send", body, headers={"Idempotency-Key": f"k{n}"}).json()
        assert (talk["next"], len(again["turns"])) == ("replies", n + 1)
        for reply in talk["turns"][n]["replies"]:
            assert (
                frames(post(talk["gateway"].removesuffix("/live/reply"), reply["ticket"], origin="").text)[-1][0]
                == "done"
            )
        assert bob.get(url).json()["next"] == "choice"
        talk = bob.post(f"{url}:choose", {"turn": n, "choice": "second", "strength": 2, "was": None}).json()
        assert (talk["turns"][n]["choice"], talk["next"]) == ("second", "message")
    answer = {"lease": slot["lease"], "answers": {"talk": {"conversation": talk["id"]}}}
    done = bob.post(f"/api/v1/slots/{slot['id']}:submit", answer, headers={"Idempotency-Key": "a"})
    assert done.status_code == 200, done.content
    stored = done.json()["annotation"]["answers"]["talk"]["turns"]
    assert [turn["strength"] for turn in stored] == [2, 2]
    assert bob.get(url).json()["next"] == "closed"
    told = api(cast.mona).get(url).json()["turns"][0]["replies"]
    assert {reply["version"] for reply in told} == {version.public_id for version in versions}
    assert api(cast.mallory).get(url).status_code == 404
    dave_like = api(cast.carol)
    assert dave_like.get(url).status_code == 200, "a reviewer reads it"
    assert dave_like.post(f"{url}:send", {"text": "x"}, headers={"Idempotency-Key": "z"}).status_code == 404
    assert Slot.objects.get().state == Slot.State.DONE


WRONG = [
    ("send", {"text": 7}),
    ("send", {"text": "a", "after": -1}),
    ("send", {"text": "a", "seen": "third"}),
    ("send", {"text": "a", "more": 1}),
    ("send", []),
    ("choose", {}),
    ("choose", {"turn": "x", "choice": "first"}),
    ("choose", {"turn": 0, "choice": "tie"}),
    ("choose", {"turn": 0, "choice": "first", "strength": 9}),
    ("stop", {"turn": None}),
    ("retry", {"turn": -1}),
]


def test_wrong_requests_are_refused_and_never_break_the_server(cast: Any, conversation: Any, api: Any) -> None:
    bob, url = api(cast.bob), f"/api/v1/conversations/{conversation.public_id}"
    for action, body in WRONG:
        answer = bob.post(f"{url}:{action}", body, headers={"Idempotency-Key": "k"})
        assert answer.status_code in (400, 404, 409, 422), (action, body, answer.content)
    assert bob.post(f"{url}:send", {"text": "a"}).json()["code"] == "invalid"
    assert bob.get("/api/v1/conversations/cnv_00").status_code == 404
    assert api(cast.bob, "read").post(f"{url}:stop", {"turn": 0}).status_code == 403
