"""The line of places shows what a role may open."""

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db


def places(actor, slug):
    client = Client()
    client.force_login(actor.user)
    page = client.get(f"/p/{slug}/")
    assert page.status_code == 200
    line = page.content.decode().partition('<nav class="places"')[2].partition("</nav>")[0]
    return client, [part.partition('"')[0] for part in line.split('href="')[1:]]


def test_an_annotator_sees_only_places_that_open(cast):
    client, urls = places(cast.bob, cast.project.slug)
    assert len(urls) == 5
    assert {client.get(url).status_code for url in urls} == {200}


def test_a_manager_sees_them_all_and_they_open(cast):
    client, urls = places(cast.mona, cast.project.slug)
    assert len(urls) == 9
    assert {client.get(url).status_code for url in urls} == {200}


def test_an_unknown_address_of_the_api_is_a_problem_and_not_a_page(cast, api):
    answer = api(cast.mona).get("/api/v1/nowhere")
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")
    assert answer.json()["code"] == "not_found"
