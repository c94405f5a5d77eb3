"""What a task shows: every kind of field, harmless whatever it holds, and the exact source of each text for whoever may see it."""

import json

import pytest
from django.template.loader import render_to_string

from annotation.schemas import check_data, check_schema
from annotation.services import slots
from annotation.services.slots import take_next
from annotation.showing import opens_turns, shown_fields, shown_turns, sources, uploads_in
from tests.annotation.rich import CODE, DATA, EVERY, MARKDOWN, QUESTION, TALK, make_pair, make_task
from tests.ground.test_rendering import HOSTILE, Inventory

ALLOWED_TAGS = {
    *(
        "div",
        "section",
        "h2",
        "h3",
        "h4",
        "p",
        "span",
        "details",
        "summary",
        "pre",
        "code",
        "ol",
        "ul",
        "li",
        "a",
        "bdi",
        "br",
    ),
    *("strong", "em", "s", "hr", "blockquote", "table", "thead", "tbody", "tr", "th", "td"),
}


def fields_html(fields, data, questions=()):
    return render_to_string("annotation/_fields.html", {"fields": shown_fields(fields, data, questions)})


def texts_in(html):
    """The text of every element that carries `data-text`, by its key."""

    class Texts(Inventory):
        def __init__(self, page):
            self.found, self.stack = {}, []
            super().__init__(page)

        def handle_starttag(self, tag, attrs):
            super().handle_starttag(tag, attrs)
            if tag not in ("br", "hr", "img"):
                self.stack.append(dict(attrs).get("data-text"))

        def handle_endtag(self, tag):
            if tag not in ("br", "hr", "img"):
                self.stack.pop()

        def handle_data(self, data):
            for key in filter(None, self.stack):
                self.found[key] = self.found.get(key, "") + data

    return Texts(html).found


def test_the_rich_task_is_a_task():
    body = {"schema_version": 1, "fields": EVERY, "questions": [QUESTION]}
    check_schema(body)
    check_data(body, DATA)


def test_every_kind_stands_under_its_hooks():
    html = fields_html(EVERY, DATA)
    page = Inventory(html)
    kinds = [(has["data-field"], has["data-kind"]) for _tag, has in page.elements if "data-field" in has]
    assert kinds == [(field["name"], field["kind"]) for field in EVERY]
    turns = [(has["data-turn"], has["data-role"]) for _tag, has in page.elements if "data-turn" in has]
    assert turns == [(str(place), turn["role"]) for place, turn in enumerate(TALK)]
    assert [has["data-passage"] for _tag, has in page.elements if "data-passage" in has] == ["p1", "p2"]
    for words in (
        "System prompt",
        "Calls",
        "look_up",
        "What the tool answered",
        "[1]",
        "Kettles",
        "[2]",
        "Read this first.",
    ):
        assert words in page.text, words
    assert '"units": [\n' in page.text, "arguments are laid out"


def test_text_and_code_on_the_page_are_the_source_code_point_by_code_point():
    found = texts_in(fields_html(EVERY, DATA))
    assert found["f.note"] == DATA["note"]
    assert found["f.program"] == CODE
    exact = texts_in(fields_html(EVERY, DATA, [{"name": "s", "kind": "spans", "field": "doc"}]))
    assert exact["f.doc"] == MARKDOWN, "what spans are marked in is shown as its source"
    assert found["f.doc"] != MARKDOWN


def test_every_text_has_its_source_and_nothing_else_does():
    found = sources(EVERY, DATA, TALK, {"first": "A", "second": "B"})
    html = fields_html(EVERY, DATA) + render_to_string("annotation/_conversation.html", {"turns": shown_turns(TALK)})
    keys = {has["data-text"] for _tag, has in Inventory(html).elements if "data-text" in has}
    assert keys <= set(found)
    assert set(found) - keys == {"c.first", "c.second", "f.talk.2", "p.2"}, "but for the turn that only calls a tool"
    assert found["f.talk.3"] == TALK[3]["content"]
    assert json.loads(found["p.2.0"]) == TALK[2]["tool_calls"][0]["arguments"]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_field_lets_hostile_text_act(text):
    talk = [
        {"role": role, "content": text, "name": text, "tool_calls": [{"name": text, "arguments": {text: text}}]}
        for role in ("system", "user", "assistant", "tool")
    ]
    passages = [{"id": text, "title": text, "text": text, "url": text}]
    data = {"note": text, "doc": text, "program": text, "talk": talk, "found": passages}
    fields = [{**field, "text": text, "hint": text} for field in EVERY]
    for tag, has in Inventory(fields_html(fields, data)).elements:
        assert tag in ALLOWED_TAGS, tag
        assert not any(name.startswith("on") or name in ("style", "src", "id", "srcset") for name in has), has
        target = has.get("href") or "https:"
        assert target.split(":")[0] in ("https", "http", "mailto") or ":" not in target, target


def test_a_field_that_is_not_there_and_need_not_be_is_left_out():
    fields = [{"name": "a", "text": "A", "required": False}, {"name": "b", "text": "B"}]
    assert [field["name"] for field in shown_fields(fields, {"b": "x"})] == ["b"]


def test_a_collapsed_field_is_closed_and_says_what_it_is():
    html = fields_html([{"name": "a", "text": "Logs", "collapsed": True}], {"a": "x"})
    assert "<details><summary>Show: Logs</summary>" in html


def test_media_name_their_uploads():
    fields = [{"name": "photo", "text": "Photo", "kind": "image"}, {"name": "film", "text": "Film", "kind": "video"}]
    data = {"photo": "upl_1", "film": {"upload": "upl_2", "alt": "A film", "captions": "upl_3"}}
    assert uploads_in(fields, data) == [
        ("data.photo", "upl_1", "image"),
        ("data.film", "upl_2", "video"),
        ("data.film.captions", "upl_3", "captions"),
    ]
    assert uploads_in([{"name": "note", "text": "Note"}], {"note": "upl_1"}) == []


def test_turns_that_are_rated_are_not_folded_away():
    assert opens_turns([{"kind": "rating", "each": "turns"}])
    assert not opens_turns([{"kind": "rating", "each": "turns", "field": "talk"}, {"kind": "pairwise"}])


def slot_of(page_or_claim):
    return f"slt_{page_or_claim.public_id.removeprefix('tsk_')}_0"


@pytest.mark.django_db
def test_the_source_of_a_task_in_hand_is_for_who_has_or_had_it(cast, client):
    task = make_task(cast.project)[0]
    address = f"/p/{cast.project.slug}/label/{slot_of(task)}/source"
    client.force_login(cast.bob.user)
    assert client.get(address).status_code == 404, "nobody has it yet"
    claim = take_next(actor=cast.bob)
    assert claim is not None
    found = client.get(address).json()
    assert found["f.note"] == DATA["note"]
    assert found["f.program"] == CODE
    client.force_login(cast.carol.user)
    assert client.get(address).status_code == 404, "it is in somebody else's hands"
    client.force_login(cast.mallory.user)
    assert client.get(address).status_code == 404
    client.logout()
    assert client.get(address).status_code == 302
    slots.release(actor=cast.bob, slot=task.slots.get(), token=claim.token)
    client.force_login(cast.bob.user)
    assert client.get(address).status_code == 200, "what was seen can still be read"


@pytest.mark.django_db
def test_candidates_sources_stand_in_the_order_the_reader_sees(cast, client):
    task = make_pair(cast.project, "First <b>written</b>", "Second written")
    take_next(actor=cast.bob)
    client.force_login(cast.bob.user)
    page = client.get(f"/p/{cast.project.slug}/label/").content.decode()
    found = client.get(f"/p/{cast.project.slug}/label/{slot_of(task)}/source").json()
    shown = texts_in(page[page.index("<article") : page.index("</article>")])
    assert shown["c.first"].strip() == found["c.first"]
    assert {found["c.first"], found["c.second"]} == {"First <b>written</b>", "Second written"}
    client.force_login(cast.carol.user)
    own = client.get(f"/p/{cast.project.slug}/tasks/{task.public_id}/source").json()
    assert own["c.first"] == "First <b>written</b>", "a task's page has them in their own order"


@pytest.mark.django_db
def test_the_pages_of_a_task_show_every_kind(cast, client):
    task = make_task(cast.project)[0]
    client.force_login(cast.carol.user)
    page = client.get(f"/p/{cast.project.slug}/tasks/{task.public_id}/").content.decode()
    assert "<math" in page
    assert 'data-turn="3"' in page
    assert "[1]" in page


@pytest.mark.django_db
def test_the_next_task_of_ordinary_length_is_small(cast, client):
    for number in range(2):
        text = "An answer of some words. " * 40
        make_pair(cast.project, text, f"{text}And more.", prompt=f"Question {number}?")
    client.force_login(cast.bob.user)
    page = client.get(f"/p/{cast.project.slug}/label/").content.decode()
    article = page[page.index("<article") : page.index("</article>") + 10]
    assert len(article.encode()) < 10_000, "before it is compressed"
