"""Projects, members and tokens over HTTP."""

import datetime

import pytest
from rest_framework.test import APIClient

from accounts.models import ApiToken, Event
from ground import clock
from tests.factories import make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser():
    client = APIClient()
    client.force_login(make_user("nora"))
    return client


def test_a_signed_in_person_makes_a_project_and_owns_it(browser):
    made = browser.post("/api/v1/projects", {"slug": "soup", "name": "Soup"})
    assert made.status_code == 201, made.content
    members = browser.get("/api/v1/projects/soup/members").json()
    assert [member["role"] for member in members] == ["owner"]
    assert [project["slug"] for project in browser.get("/api/v1/projects").json()] == ["soup"]


def test_a_taken_address_is_a_conflict(browser):
    browser.post("/api/v1/projects", {"slug": "soup", "name": "Soup"})
    again = browser.post("/api/v1/projects", {"slug": "soup", "name": "Soup"})
    assert (again.status_code, again.json()["code"]) == (409, "conflict")


def test_a_tokens_secret_is_shown_once_and_only_its_digest_rests(cast, api):
    made = (
        api(cast.mona).post(f"/api/v1/projects/{cast.project.slug}/tokens", {"name": "ci", "scopes": ["read"]}).json()
    )
    token = ApiToken.objects.get(public_id=made["id"])
    assert made["token"] not in (token.digest, token.prefix)
    listed = api(cast.mona).get(f"/api/v1/projects/{cast.project.slug}/tokens").json()
    assert all("token" not in row for row in listed)


def test_a_revoked_and_an_expired_token_open_nothing(cast, stopped_clock):
    from accounts.services import issue_token, revoke_token

    revoked, first = issue_token(actor=cast.bob, subject=cast.bob, name="a", scopes=["read"])
    _expired, second = issue_token(
        actor=cast.bob,
        subject=cast.bob,
        name="b",
        scopes=["read"],
        expires_at=clock.now() + datetime.timedelta(hours=1),
    )
    revoke_token(actor=cast.bob, token=revoked)
    stopped_clock.advance(hours=2)
    for secret in (first, second):
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
        assert client.get(f"/api/v1/projects/{cast.project.slug}").status_code == 401


def test_an_annotator_cannot_issue_a_token_for_somebody_else(cast, api):
    body = {"name": "x", "scopes": ["manage"], "actor": cast.mona.public_id}
    assert api(cast.bob).post(f"/api/v1/projects/{cast.project.slug}/tokens", body).status_code == 403


def test_a_simulated_annotator_is_marked_and_can_be_given_a_token(cast, api):
    paths = f"/api/v1/projects/{cast.project.slug}"
    mona = api(cast.mona)
    actor = mona.post(f"{paths}/actors", {"external_id": "sim-1", "pseudonym": "Simulated 1"}).json()
    assert actor["kind"] == "simulated"
    token = mona.post(f"{paths}/tokens", {"name": "sim", "scopes": ["annotate"], "actor": actor["id"]}).json()
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token['token']}")
    assert client.post(f"{paths}/queue:next", {}).status_code == 204


def test_unknown_fields_are_refused_with_the_known_ones(browser):
    refused = browser.post("/api/v1/projects", {"slug": "soup", "name": "Soup", "colour": "red"})
    assert refused.status_code == 400
    assert "description, name, slug" in str(refused.json()["errors"]["colour"])


def test_issuing_a_token_is_in_the_audit_trail_without_its_secret(cast, api):
    made = (
        api(cast.mona).post(f"/api/v1/projects/{cast.project.slug}/tokens", {"name": "ci", "scopes": ["read"]}).json()
    )
    event = Event.objects.get(verb="token.issued", object_id=made["id"])
    assert made["token"] not in str(event.data)
