"""The registry by HTTP: what is somebody else's is not found, what changes is a manager's."""

from typing import Any

import pytest

from models_registry.models import Alias, Deployment
from tests.factories import make_prompt, make_version

pytestmark = pytest.mark.django_db


@pytest.fixture
def base(cast: Any) -> str:
    return f"/api/v1/projects/{cast.project.slug}"


def test_prompts_are_imported_and_listed(api: Any, cast: Any, base: str) -> None:
    client = api(cast.mona)
    answer = client.post(f"{base}/prompts", {"rows": [{"prompt": "One?", "held_out": True}, {"prompt": ""}]})
    assert [row["status"] for row in answer.json()["results"]] == ["created", "invalid"]
    [listed] = client.get(f"{base}/prompts?held_out=true").json()["results"]
    assert listed["messages"] == [{"role": "user", "content": "One?"}]
    assert client.get(f"{base}/prompts?held_out=false").json()["results"] == []


def test_the_whole_way_to_a_champion_and_back(
    api: Any, cast: Any, base: str, model: Any, first: Any, second: Any, measured: Any
) -> None:
    client = api(cast.mona)
    verdict = client.post(f"{base}/verdicts", {"version": first.public_id, "outcome": "bootstrap"}).json()
    move = f"{base}/models/assistant/aliases/champion:move"
    body = {"version": first.public_id, "verdict": verdict["id"], "expected_generation": 0}
    assert client.post(move, body).json()["generation"] == 1
    evaluation = measured(second, first, 0.6, 0.9)
    better = client.post(f"{base}/verdicts", {"evaluation": evaluation.public_id})
    assert (better.status_code, better.json()["outcome"]) == (201, "better")
    body = {"version": "assistant@2", "verdict": better.json()["id"], "expected_generation": 1}
    assert client.post(move, body).json()["number"] == 2
    stale = client.post(move, body)
    assert (stale.status_code, stale.json()["code"]) == (409, "conflict")
    back = client.post(f"{base}/models/assistant/aliases/champion:rollback", {})
    assert (back.json()["number"], back.json()["generation"]) == (1, 3)
    shown = client.get(f"{base}/models/assistant").json()
    assert [move["generation"] for move in shown["moves"]] == [3, 2, 1]
    assert [version["number"] for version in shown["versions"]] == [2, 1]


def test_another_projects_objects_are_not_found(api: Any, cast: Any, base: str, first: Any, measured: Any) -> None:
    evaluation = measured(first, None, 0.6, 0.9)
    own = f"/api/v1/projects/{cast.mallory.project.slug}"
    client = api(cast.mallory)
    statuses = {
        client.get(f"{own}/versions/{first.public_id}").status_code,
        client.get(f"{own}/models/assistant").status_code,
        client.get(f"{base}/models").status_code,
        client.get(f"{base}/prompts").status_code,
        client.post(f"{own}/verdicts", {"evaluation": evaluation.public_id}).status_code,
        client.post(f"{own}/deployments", {"version": first.public_id, "backend": "transformers"}).status_code,
        client.post(
            f"{own}/models/assistant/aliases/champion:move", {"version": first.public_id, "expected_generation": 0}
        ).status_code,
    }
    assert statuses == {404}


def test_completions_are_filtered_and_foreign_ones_never_show(api: Any, cast: Any, base: str) -> None:
    from tests.factories import make_completion

    mine, other = make_prompt(cast.project), make_prompt(cast.project)
    shown = make_completion(mine)
    make_completion(other)
    make_completion(make_prompt(cast.mallory.project))
    client = api(cast.carol)
    assert len(client.get(f"{base}/completions").json()["results"]) == 2
    [row] = client.get(f"{base}/completions?prompt={mine.public_id}").json()["results"]
    assert row["id"] == shown.public_id
    assert client.get(f"{base}/completions?source=nobody").status_code == 400
    assert client.get(f"{base}/completions?prompt=a%00b").status_code == 400


def test_an_annotator_reads_but_changes_nothing(api: Any, cast: Any, base: str, first: Any) -> None:
    client = api(cast.bob)
    assert client.get(f"{base}/models").status_code == 200
    body = {"version": first.public_id, "backend": "transformers"}
    assert client.post(f"{base}/deployments", body).status_code == 403
    assert client.post(f"{base}/prompts", {"rows": []}).status_code == 403


def test_a_reading_token_changes_nothing(api: Any, cast: Any, base: str) -> None:
    assert api(cast.mona, "read").post(f"{base}/prompts", {"rows": []}).status_code == 403
    assert api(cast.mona, "invoke").get(f"{base}/prompts").status_code == 403


def test_a_deployment_is_wanted_once_and_stopped(api: Any, cast: Any, base: str, first: Any) -> None:
    client = api(cast.mona)
    body = {"version": first.public_id, "backend": "transformers"}
    once, again = client.post(f"{base}/deployments", body), client.post(f"{base}/deployments", body)
    assert once.json()["id"] == again.json()["id"]
    stopped = client.delete(f"{base}/deployments/{once.json()['id']}").json()
    assert (stopped["wanted"], stopped["state"]) == (False, "stopped")
    assert client.post(f"{base}/deployments", body).json()["id"] != once.json()["id"]


def test_the_key_of_a_backend_is_never_shown(api: Any, cast: Any, base: str) -> None:
    body = {"backend": "url", "url": "http://127.0.0.1:9/v1", "remote_model": "m", "api_key": "sk-secret"}
    answer = api(cast.mona).post(f"{base}/deployments", body)
    assert answer.status_code == 201
    assert b"sk-secret" not in answer.content
    assert Deployment.objects.get().api_key == "sk-secret"
    assert "sk-secret" not in str(Deployment.objects.extra(select={"raw": "api_key"}).values("raw"))


@pytest.mark.parametrize("url", ["http://169.254.169.254/latest", "ftp://example.org/v1", "http://u:p@example.org/v1"])
def test_addresses_that_may_not_be_asked_are_refused(api: Any, cast: Any, base: str, url: str) -> None:
    body = {"backend": "url", "url": url, "remote_model": "m"}
    assert api(cast.mona).post(f"{base}/deployments", body).status_code in (400, 422)
    assert not Deployment.objects.exists()


def test_a_reward_model_is_not_served(api: Any, cast: Any, base: str, model: Any) -> None:
    reward = make_version(model=model, kind="reward")
    body = {"version": reward.public_id, "backend": "transformers"}
    assert api(cast.mona).post(f"{base}/deployments", body).status_code == 422


def test_unknown_fields_are_refused_by_name(api: Any, cast: Any, base: str) -> None:
    answer = api(cast.mona).post(f"{base}/verdicts", {"verson": "ver_1"})
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["verson"])
    assert not Alias.objects.exists()


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("verdicts", b'{"\\ud800": 1}', 400),
        ("deployments", b'{"backend": "\\ud800"}', 400),
        ("prompts", b'{"rows": [{"\\ud800": 1}]}', 200),
        ("prompts", b"[" * 5000, 400),
        ("prompts", b'{"rows": ' + b"9" * 5000 + b"}", 400),
        ("prompts", b"\xff", 400),
    ],
)
def test_text_without_a_utf8_form_and_endless_nesting_break_nothing(
    api: Any, cast: Any, base: str, path: str, body: bytes, status: int
) -> None:
    answer = api(cast.mona).post(f"{base}/{path}", body, content_type="application/json")
    assert answer.status_code == status
    assert answer.json()
