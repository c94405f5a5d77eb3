"""The schemas' pages as a browser without scripts sees them: what was typed is never lost."""

import json

import pytest
from django.test import Client

from annotation.models import Schema
from annotation.schema_templates import TEMPLATES, taken, template_of
from annotation.schema_text import write
from annotation.services.adding import add_tasks
from annotation.services.schemas import publish_schema
from tests.annotation.test_schemas_api import NEWER, labels

pytestmark = pytest.mark.django_db


@pytest.fixture
def at(cast):
    return lambda path="": f"/p/{cast.project.slug}/schemas/{path}"


@pytest.fixture
def mona(cast):
    client = Client()
    client.force_login(cast.mona.user)
    return client


def said(response):
    return response.content.decode()


def typed(**more):
    return {
        "name": "topic",
        "tab": "form",
        "based_on": "",
        "fields": "1",
        "fields-0-name": "text",
        "fields-0-text": "Text",
        "fields-0-required": "on",
        "questions": "1",
        "questions-0-kind": "labels",
        "questions-0-name": "q",
        "questions-0-text": "Which?",
        "questions-0-required": "on",
        "questions-0-options": "a | A\nb | B",
        **more,
    }


def test_the_empty_list_teaches_and_offers_every_template(cast, mona, at):
    page = said(mona.get(at()))
    assert "No schema yet" in page
    assert page.count("?from=") == len(TEMPLATES)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.name)
def test_every_template_opens_with_a_preview_of_its_sample(mona, at, template):
    page = mona.get(at(f"new?from={template.name}"))
    assert page.status_code == 200
    assert "data-preview-task" in said(page)
    assert page.context["told"] == []
    assert page.context["preview"].get("told") is None


def test_a_form_is_published_and_the_same_again_is_no_new_version(cast, mona, at):
    assert mona.post(at("new"), typed(act="publish")).status_code == 302
    assert Schema.objects.get().body == {
        "schema_version": 1,
        "fields": [{"name": "text", "text": "Text"}],
        "questions": [
            {
                "name": "q",
                "kind": "labels",
                "text": "Which?",
                "options": [{"value": "a", "text": "A"}, {"value": "b", "text": "B"}],
            }
        ],
    }
    assert mona.post(at("new"), typed(act="publish")).status_code == 302
    assert Schema.objects.count() == 1
    listed = said(mona.get(at()))
    assert "imports/?schema=topic" in listed
    assert 'value="old:topic" selected' in said(mona.get(f"/p/{cast.project.slug}/imports/?schema=topic"))


def test_what_is_wrong_is_told_with_its_path_and_stays_as_it_was_typed(mona, at):
    wrong = typed(act="publish", **{"questions-0-options": "a | A", "questions-0-help": "Kept <b>"})
    page = mona.post(at("new"), wrong)
    assert page.status_code == 422
    assert "<code>questions[0].options</code> needs 2 to 2000 options" in said(page)
    assert "Kept &lt;b&gt;" in said(page)
    assert not Schema.objects.exists()


def test_buttons_add_move_and_remove_and_keep_the_rest(mona, at):
    page = said(mona.post(at("new"), typed(act="add-question:rating")))
    assert 'name="questions-1-aspects"' in page
    assert 'data-focus="questions-1-text"' in page
    assert ">Which?<" in page or 'value="Which?"' in page
    page = said(mona.post(at("new"), typed(act="remove:questions:0")))
    assert "questions-0-name" not in page
    assert said(mona.post(at("new"), typed(act="add-field"))).count('name="fields-1-name"') == 1


@pytest.mark.parametrize("form", ["yaml", "json"])
def test_text_and_form_say_the_same(mona, at, form):
    as_text = mona.post(at("new"), typed(act=f"tab:{form}"))
    text = as_text.context["composed"].text
    assert "Which?" in text
    back = mona.post(at("new"), {"name": "topic", "tab": form, "text": text, "act": "tab:form"})
    assert back.context["composed"].form["questions-0-options"] == "a | A\nb | B"
    assert mona.post(at("new"), {"name": "topic", "tab": form, "text": text, "act": "publish"}).status_code == 302
    assert Schema.objects.get().body["questions"][0]["name"] == "q"


def test_text_that_cannot_be_read_stays_and_says_where(mona, at):
    for act in ("publish", "tab:form"):
        page = mona.post(at("new"), {"name": "topic", "tab": "yaml", "text": "questions: [\n  kept", "act": act})
        assert "not YAML: line 2" in said(page)
        assert "kept</textarea>" in said(page)
    wrong = {"name": "topic", "tab": "yaml", "text": "questions:\n- {name: q, kind: none, text: x}", "act": "publish"}
    assert "<code>questions[0].kind</code>" in said(mona.post(at("new"), wrong))


def test_text_the_form_cannot_show_stays_text(mona, at):
    body = labels({"value": "c", "text": "x | y"})
    page = mona.post(at("new"), {"name": "topic", "tab": "json", "text": json.dumps(body), "act": "tab:form"})
    assert "The form cannot show all of this" in said(page)
    assert page.context["composed"].tab == "json"


def test_two_tabs_the_second_is_told_and_may_publish_on_top(cast, mona, at):
    first, _made = publish_schema(actor=cast.mona, name="topic", body=labels())
    second, _made = publish_schema(actor=cast.mona, name="topic", body=NEWER)
    mine = typed(act="publish", based_on=first.public_id, **{"questions-0-options": "a | A\nd | D"})
    page = mona.post(at(f"{first.public_id}/edit"), mine)
    assert page.status_code == 409
    assert "Version 2 of topic was published meanwhile." in said(page)
    assert "d | D" in said(page)
    assert f'value="{second.public_id}"' in said(page)
    assert mona.post(at(f"{first.public_id}/edit"), {**mine, "based_on": second.public_id}).status_code == 302
    assert Schema.objects.count() == 3


def test_the_preview_shows_what_is_typed_with_the_sample_or_says_what_is_wrong(mona, at):
    page = said(mona.post(at("preview"), typed(sample='{"data": {"text": "Own <b>words</b>"}}')))
    assert "Own &lt;b&gt;words&lt;/b&gt;" in page
    assert 'data-question="q"' in page
    other = said(mona.post(at("preview"), typed(sample='{"data": {}}')))
    assert "Your sample does not fit, so another is shown:</strong> data.text: needs a text" in other
    assert 'data-question="q"' in other
    wrong = said(mona.post(at("preview"), typed(**{"questions-0-options": ""})))
    assert "<code>questions[0].options</code>" in wrong


@pytest.mark.parametrize(
    "sample",
    [
        "",
        "{",
        "[]",
        '{"data": 3}',
        '{"responses": [1]}',
        '{"prompt": "x"}',
        '{"prompt": [1]}',
        "[" * 5000,
        "\x00",
        '{"prompt": [{}]}',
    ],
)
@pytest.mark.parametrize("name", ["ranking", "demonstration", "cited_answer", "media"])
def test_no_sample_breaks_the_preview(mona, at, sample, name):
    text = write(taken(template_of(name))["body"], "yaml")
    assert mona.post(at("preview"), {"tab": "yaml", "text": text, "sample": sample}).status_code == 200


def test_unanswered_tasks_are_moved_by_a_button(cast, mona, at):
    first, _made = publish_schema(actor=cast.mona, name="topic", body=labels())
    add_tasks(actor=cast.mona, schema=first, rows=[{"data": {"text": "a"}}, {"data": {"text": "b"}}])
    second, _made = publish_schema(actor=cast.mona, name="topic", body=NEWER)
    assert "To version 2" in said(mona.get(at()))
    moved = mona.post(at(f"{first.public_id}/move"), follow=True)
    assert "2 tasks moved to topic v2." in said(moved)
    assert second.tasks.count() == 2
    assert "To version 2" not in said(mona.get(at()))


def test_annotators_do_not_compose_and_strangers_see_nothing(cast, at):
    for actor, path, status in (
        (cast.bob, "new", 403),
        (cast.bob, "", 403),
        (cast.carol, "", 200),
        (cast.mallory, "", 404),
    ):
        client = Client()
        client.force_login(actor.user)
        assert client.get(at(path)).status_code == status, (actor, path)
