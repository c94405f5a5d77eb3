"""The gateway as applications meet it: a live process, the official client, a real server behind it."""

import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import openai
import pytest

from accounts.services import issue_token
from models_registry.models import Completion, Deployment, Prompt
from models_registry.services import move_alias
from tests.factories import make_completion, make_prompt
from tests.models_registry.kit import FakeBackend, command, gateway, until

pytestmark = pytest.mark.django_db(transaction=True)
LIMITS = {
    "PLUMBLINE_GATEWAY_CONCURRENCY": "4",
    "PLUMBLINE_GATEWAY_PATIENCE": "0.3",
    "PLUMBLINE_GATEWAY_TIMEOUT": "20",
    "PLUMBLINE_GATEWAY_BODY_BYTES": "300000",
}


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


def secret_of(actor: Any, *scopes: str) -> str:
    return issue_token(actor=actor, subject=actor, name="test", scopes=scopes or ("invoke",))[1]


@pytest.fixture
def deployment(cast: Any, model: Any, first: Any, fake: FakeBackend) -> Deployment:
    move_alias(actor=cast.mona, model=model, name="canary", version=first, expected_generation=0)
    return Deployment.objects.create(
        project=cast.project,
        version=first,
        backend="url",
        url=fake.url,
        remote_model="remote",
        api_key="sk-far",
        state="ready",
    )


@pytest.fixture
def client(address: str, cast: Any) -> Iterator[openai.OpenAI]:
    with httpx.Client(trust_env=False) as transport:
        yield openai.OpenAI(base_url=f"{address}/v1", api_key=secret_of(cast.bob), max_retries=0, http_client=transport)


def say(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "assistant@canary", "messages": [{"role": "user", "content": text}], **more}


def post(address: str, secret: str, body: Any) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
    return httpx.post(f"{address}/v1/chat/completions", content=content, headers=headers, trust_env=False, timeout=30)


def test_an_answer_is_a_stored_completion(client: Any, deployment: Any, first: Any, fake: FakeBackend) -> None:
    answer = client.chat.completions.create(
        **say("Hello", temperature=0.5, seed=3, max_tokens=9, stop="x", user="u-1", metadata={"page": "home"})
    )
    stored = Completion.objects.get(public_id=answer.id)
    assert answer.choices[0].message.content == stored.text == "Echo: Hello (3)"
    assert answer.model_version == stored.version.public_id == first.public_id
    assert stored.alias == "assistant@canary"
    assert stored.prompt.messages == [{"role": "user", "content": "Hello"}]
    assert stored.sampling == {"temperature": 0.5, "seed": 3, "max_new_tokens": 9, "stop": ["x"]}
    assert (stored.usage["prompt_tokens"], stored.usage["metadata"]) == (7, {"page": "home"})
    assert (stored.actor.kind, stored.actor.external_id) == ("end_user", "u-1")
    assert answer.usage.total_tokens == 12
    assert fake.requests[0]["model"] == "remote"
    assert fake.requests[0]["max_tokens"] == 9
    assert fake.keys == ["Bearer sk-far"]


def test_a_stream_is_stored_before_its_end_is_told(client: Any, deployment: Any) -> None:
    text, ids, stored = "", set(), None
    options = {"include_usage": True}
    for chunk in client.chat.completions.create(**say("Hello", stream=True, stream_options=options)):
        ids.add(chunk.id)
        if not chunk.choices:
            assert chunk.usage.completion_tokens == 3
            continue
        text += chunk.choices[0].delta.content or ""
        if chunk.choices[0].finish_reason:
            stored = Completion.objects.get(public_id=chunk.id)
    assert len(ids) == 1
    assert stored is not None
    assert (stored.text, stored.finish_reason) == (text, "length")
    assert text == "Echo: Hello indeed"


def test_a_stream_arrives_while_the_model_still_speaks(client: Any, deployment: Any, fake: FakeBackend) -> None:
    stream = client.chat.completions.create(**say("wait", stream=True))
    heard = ""
    for chunk in stream:
        heard += chunk.choices[0].delta.content or ""
        if heard == "Echo: wait":
            break
    assert not fake.release.is_set()
    fake.release.set()
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices) == " indeed"


def test_n_choices_are_n_requests_and_n_completions(client: Any, deployment: Any, fake: FakeBackend) -> None:
    answer = client.chat.completions.create(**say("Hello", n=2, seed=10))
    assert sorted(request["seed"] for request in fake.requests) == [10, 11]
    assert [choice.message.content for choice in answer.choices] == ["Echo: Hello (10)", "Echo: Hello (11)"]
    texts = {row.public_id: row.text for row in Completion.objects.all()}
    assert texts == {choice.completion: choice.message.content for choice in answer.choices}
    assert Prompt.objects.count() == 1


def test_n_choices_stream_side_by_side(client: Any, deployment: Any) -> None:
    texts, ids = {0: "", 1: "", 2: ""}, {}
    for chunk in client.chat.completions.create(**say("Hello", n=3, stream=True)):
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
            ids[choice.index] = choice.completion
    assert set(texts.values()) == {"Echo: Hello indeed"}
    assert set(Completion.objects.values_list("public_id", flat=True)) == set(ids.values())


def test_an_unknown_model_is_answered_with_those_there_are(client: Any, deployment: Any) -> None:
    with pytest.raises(openai.NotFoundError) as refused:
        client.chat.completions.create(**say("Hello", model="asistant"))
    assert refused.value.code == "model_not_found"
    assert "assistant@canary, assistant@1" in refused.value.message


def test_a_version_that_is_not_deployed_is_named(client: Any, deployment: Any, second: Any) -> None:
    with pytest.raises(openai.NotFoundError, match="assistant@2 is not deployed"):
        client.chat.completions.create(**say("Hello", model="assistant@2"))


def test_a_starting_model_asks_for_patience(client: Any, deployment: Any) -> None:
    Deployment.objects.update(state="starting")
    with pytest.raises(openai.InternalServerError) as refused:
        client.chat.completions.create(**say("Hello"))
    assert (refused.value.status_code, refused.value.code) == (503, "model_starting")
    assert refused.value.response.headers["Retry-After"] == "5"


@pytest.mark.parametrize("stream", [False, True])
def test_a_dead_backend_is_a_503(client: Any, deployment: Any, fake: FakeBackend, stream: bool) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        Deployment.objects.update(url=f"http://127.0.0.1:{closed.getsockname()[1]}/v1")
        with pytest.raises(openai.InternalServerError) as refused:
            client.chat.completions.create(**say("Hello", stream=stream))
    assert (refused.value.status_code, refused.value.code) == (503, "backend_unreachable")
    assert not Completion.objects.exists()


BACKEND_WRONGS = {
    "error 500": 502,
    "error 400": 400,
    "error 401": 502,
    "error 429": 429,
    "error 302": 502,
    "garbage": 502,
}


def test_what_a_backend_does_wrong_has_a_status(address: str, cast: Any, deployment: Any) -> None:
    secret = secret_of(cast.bob)
    answers = {said: post(address, secret, say(said)) for said in BACKEND_WRONGS}
    assert {said: answer.status_code for said, answer in answers.items()} == BACKEND_WRONGS
    assert {tuple(answer.json()) for answer in answers.values()} == {("error",)}
    assert not Completion.objects.exists()


def test_a_backend_that_dies_in_its_answer_ends_the_stream_with_an_error(client: Any, deployment: Any) -> None:
    heard = ""
    with pytest.raises(openai.APIError):
        for chunk in client.chat.completions.create(**say("die", stream=True)):
            heard += chunk.choices[0].delta.content or ""
    stored = Completion.objects.get()
    assert (stored.text, stored.finish_reason) == (heard, "error") == ("Echo: die", "error")


def test_what_a_client_saw_before_it_hung_up_is_stored(client: Any, deployment: Any, fake: FakeBackend) -> None:
    stream = client.chat.completions.create(**say("wait", stream=True))
    heard = ""
    for chunk in stream:
        heard += chunk.choices[0].delta.content or ""
        if heard == "Echo: wait":
            break
    stream.close()
    stored = until(lambda: Completion.objects.first())
    assert (stored.text, stored.finish_reason) == ("Echo: wait", "disconnected")


def test_text_no_database_holds_is_tidied_the_same_for_client_and_store(client: Any, deployment: Any) -> None:
    answer = client.chat.completions.create(**say("nul"))
    assert answer.choices[0].message.content == Completion.objects.get().text == "a\ufffdb ?"


WRONG = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"\xff\xfe{",
    b"[" * 100_000,
    b'{"a": 1e999}',
    b'{"a": ' + b"9" * 5000 + b"}",
    {},
    {"model": "assistant@canary"},
    {"messages": [{"role": "user", "content": "a"}]},
    say("a", model=7),
    say("a", model=""),
    say("a", model="a\x00b"),
    say("a", model="x" * 5000),
    say(""),
    say("a\x00b"),
    b'{"model": "assistant@canary", "messages": [{"role": "user", "content": "\\ud800"}]}',
    say("a", messages=[]),
    say("a", messages="a"),
    say("a", messages=["a"]),
    say("a", messages=[{"role": "user"}]),
    say("a", messages=[{"role": "user", "content": [{"type": "image_url"}]}]),
    say("a", messages=[{"role": "tool", "content": "a"}]),
    say("a", messages=[{"role": "user", "content": "a", "tool_calls": []}]),
    say("a", messages=[{"role": "assistant", "content": "a"}]),
    *(say("a", n=n) for n in (0, 9, -1, 1.5, "2", True)),
    *(say("a", temperature=t) for t in (-1, 3, "hot", True)),
    say("a", top_p=0),
    say("a", max_tokens=0),
    say("a", max_tokens=10**30),
    say("a", max_tokens=1, max_completion_tokens=1),
    say("a", seed=2**70),
    say("a", seed=-1),
    *(say("a", stop=s) for s in ([], [""], ["a"] * 5, 7, [7], ["a\x00"])),
    say("a", stream="yes"),
    say("a", stream_options={"include_usage": True}),
    say("a", stream=True, stream_options={"other": 1}),
    say("a", user=7),
    say("a", user="\x00"),
    say("a", metadata={"a": 1}),
    say("a", metadata=[1]),
    say("a", metadata={"a": "\x00"}),
    say("a", metadata={"user": []}),
    say("a", tools=[]),
    say("a", temprature=1),
]


def test_every_wrong_body_is_refused_in_openais_shape(address: str, cast: Any, deployment: Any) -> None:
    """One test for all of them: emptying the database between tests costs seconds."""
    secret = secret_of(cast.bob)
    answers = [post(address, secret, body) for body in WRONG]
    assert [
        (body, answer.status_code) for body, answer in zip(WRONG, answers, strict=True) if answer.status_code != 400
    ] == []
    assert {tuple(answer.json()["error"]) for answer in answers} == {("message", "type", "param", "code")}
    assert not Prompt.objects.exists()


RIGHT = [
    say("a", temperature=None, n=None, stop=None, user=None, metadata=None, stream=None, stream_options=None),
    say("a", messages=[{"role": "developer", "content": "b"}, {"role": "user", "content": "a", "name": "bob"}]),
    say("a", messages=[{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]),
    say("a\u202e🦊", metadata={"user": "u", "empty": ""}, frequency_penalty=0.5, top_p=1, seed=0),
    say("a", model="assistant@1"),
    say("a", max_completion_tokens=3, presence_penalty=0),
]


def test_every_right_body_is_answered(address: str, cast: Any, deployment: Any) -> None:
    secret = secret_of(cast.bob)
    answers = [post(address, secret, body) for body in RIGHT]
    assert [answer.status_code for answer in answers] == [200] * len(RIGHT)
    assert Completion.objects.filter(public_id__in=[answer.json()["id"] for answer in answers]).count() == len(RIGHT)


def test_a_huge_body_is_refused(address: str, cast: Any, deployment: Any) -> None:
    answer = post(address, secret_of(cast.bob), say("a" * 1_000_000))
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")


def test_a_huge_body_without_a_length_is_refused(address: str, cast: Any, deployment: Any) -> None:
    answer = httpx.post(
        f"{address}/v1/chat/completions", content=(b"a" * 10_000 for _ in range(100)), trust_env=False, timeout=30
    )
    assert answer.status_code == 413


def test_without_a_live_token_nobody_is_answered(address: str, deployment: Any) -> None:
    for header in ("", "Bearer", "Bearer plb_wrong", "Basic abc", "Bearer \xff"):
        headers = {b"Authorization": header.encode("latin-1")} if header else {}
        answer = httpx.post(f"{address}/v1/chat/completions", json=say("a"), headers=headers, trust_env=False)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")


def test_a_token_without_the_scope_is_refused(address: str, cast: Any, deployment: Any) -> None:
    answer = post(address, secret_of(cast.mona, "manage", "read"), say("a"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "insufficient_scope")


def test_an_archived_project_answers_nobody(address: str, cast: Any, deployment: Any) -> None:
    secret = secret_of(cast.bob)
    cast.project.archived_at = cast.project.created_at
    cast.project.save()
    answer = post(address, secret, say("a"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "project_archived")


def test_another_projects_token_reaches_no_model_of_ours(address: str, cast: Any, deployment: Any, first: Any) -> None:
    secret = secret_of(cast.mallory)
    for name in ("assistant@canary", "assistant@1", first.public_id, deployment.public_id, "remote"):
        assert post(address, secret, say("a", model=name)).status_code == 404


def test_models_are_listed_by_the_names_they_answer_to(client: Any, deployment: Any, first: Any) -> None:
    listed = {row.id: row.model_version for row in client.models.list()}
    assert listed == {"assistant@canary": first.public_id, "assistant@1": first.public_id}
    assert client.models.retrieve("assistant@1").id == "assistant@1"


def test_an_outside_model_answers_by_its_own_name(client: Any, cast: Any, fake: FakeBackend) -> None:
    Deployment.objects.create(
        project=cast.project, backend="url", url=fake.url, remote_model="vendor/big", state="ready"
    )
    answer = client.chat.completions.create(**say("Hello", model="vendor/big"))
    assert (Completion.objects.get(public_id=answer.id).source, answer.model_version) == ("endpoint", None)


def test_a_managed_server_cannot_be_reached_through_an_address(
    client: Any, cast: Any, deployment: Any, fake: FakeBackend, second: Any
) -> None:
    Deployment.objects.create(
        project=cast.mallory.project, version=second, backend="vllm", process={"port": fake.server_address[1]}
    )
    with pytest.raises(openai.InternalServerError, match="manages itself"):
        client.chat.completions.create(**say("Hello"))
    assert fake.requests == []


def test_a_completion_can_be_asked_for_again(client: Any, cast: Any, deployment: Any) -> None:
    answer = client.chat.completions.create(**say("Hello"))
    again = client.chat.completions.retrieve(answer.id)
    assert again.choices[0].message.content == answer.choices[0].message.content
    stranger = make_completion(make_prompt(cast.mallory.project))
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.retrieve(stranger.public_id)


def test_too_much_at_once_is_pushed_back(address: str, cast: Any, deployment: Any, fake: FakeBackend) -> None:
    """Four at once, two for one token: Bob's third is 429, Carol's third too; with all four held Mona waits 0.3 s, then 503."""
    bob, carol, mona = (secret_of(actor) for actor in (cast.bob, cast.carol, cast.mona))
    with ThreadPoolExecutor(4) as pool:
        held = [pool.submit(post, address, secret, say("wait")) for secret in (bob, bob, carol, carol)]
        until(lambda: fake.waiting == 4)
        crowded = post(address, bob, say("a"))
        full = post(address, mona, say("a"))
        fake.release.set()
        assert [one.result().status_code for one in held] == [200] * 4
    assert (crowded.status_code, full.status_code) == (429, 503)
    assert crowded.headers["Retry-After"]
    assert full.headers["Retry-After"]
    assert post(address, mona, say("a")).status_code == 200


def test_a_client_that_hangs_up_leaves_its_place_free(
    address: str, cast: Any, deployment: Any, fake: FakeBackend
) -> None:
    secret = secret_of(cast.bob)
    for _round in range(5):
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(
                f"{address}/v1/chat/completions",
                json=say("wait"),
                headers={"Authorization": f"Bearer {secret}"},
                trust_env=False,
                timeout=0.5,
            )
    assert until(lambda: post(address, secret, say("a")).status_code == 200)


def test_feedback_is_taken_at_the_same_door(address: str) -> None:
    assert httpx.post(f"{address}/v1/feedback", json={}, trust_env=False).status_code == 401


def test_the_gateway_serves_no_pages(address: str) -> None:
    for path in ("/", "/v1/nothing", "/admin/", "/p/x/label/", "/v1/completions"):
        answer = httpx.get(address + path, trust_env=False)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


def test_health(address: str) -> None:
    assert httpx.get(f"{address}/healthz", trust_env=False).json() == {"ok": True}
    assert httpx.get(f"{address}/readyz", trust_env=False).json() == {"ok": True}


def test_a_taken_port_is_one_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with command("gateway", "--port", str(taken.getsockname()[1])) as process:
            said, _none = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Cannot listen on 127.0.0.1" in said
    assert len(said.strip().splitlines()) == 1


def test_kill_9_loses_nothing_that_was_answered(cast: Any, deployment: Any, fake: FakeBackend) -> None:
    secret, answered, stop = secret_of(cast.bob), [], threading.Event()
    with gateway(PLUMBLINE_GATEWAY_CONCURRENCY="8") as (own, process):

        def ask(stream: bool) -> None:
            while not stop.is_set():
                try:
                    answer = post(own, secret, say("Hello", stream=stream))
                except httpx.TransportError:
                    return
                if stream and "[DONE]" in answer.text:
                    answered.append(json.loads(answer.text.splitlines()[0].removeprefix("data: "))["id"])
                elif not stream and answer.status_code == 200:
                    answered.append(answer.json()["id"])

        threads = [threading.Thread(target=ask, args=(n % 2 == 0,)) for n in range(4)]
        for thread in threads:
            thread.start()
        until(lambda: len(answered) >= 20)
        process.kill()
        process.wait()
        stop.set()
        for thread in threads:
            thread.join(30)
    assert process.returncode == -9
    assert set(answered) <= set(Completion.objects.values_list("public_id", flat=True))


def test_the_gateway_ends_on_term() -> None:
    with gateway() as (_address, process):
        process.terminate()
        assert process.wait(20) in (0, -15)
