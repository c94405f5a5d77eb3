"""Replies are written and texts corrected: by keyboard alone, kept while one types, and read back as they were written."""

import json

import pytest

from annotation.models import Annotation
from tests.e2e.asking import ask, press, submitted, wait_for_answers

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]
ORIGINAL = "Boil **two** cups of vinegar.\n\nThen rince the kettle twice."
CORRECTED = "Boil **two** cups of vinegar.\n\nThen rinse the kettle well."
KETTLE = {"prompt": "How do I descale a kettle?", "candidates": [ORIGINAL]}


def demonstration(**more):
    return {"name": "reply", "kind": "demonstration", "text": "Write the reply", **more}


def correction(**more):
    return {"name": "better", "kind": "correction", "text": "Make it right", "of": "candidate", **more}


def exported(api, cast, name):
    lines = api(cast.mona).get(f"/api/v1/projects/{cast.project.slug}/export.jsonl").getvalue().decode().splitlines()
    return json.loads(lines[0])["annotations"][0]["answers"][name]


def test_a_reply_is_written_by_keyboard_and_read_back_as_it_is(cast, sign_in, axe, api):
    page = ask(sign_in, cast, demonstration(min=3, unit="words"), prompt="How do I descale a kettle?")
    press(page, "e")
    page.get_by_text("Write a reply first.").first.wait_for()
    assert page.evaluate("document.activeElement.tagName") == "TEXTAREA", "the focus went to what is missing"
    press(page, "Escape", "c")
    page.keyboard.type("Boil vinegar.")
    assert page.get_by_text("Words: 2, at least 3 asked for").count() == 1
    press(page, "Enter")
    page.keyboard.type("  Then **rinse** 🙂 مرحبا.")
    assert axe(page) == []
    assert submitted(page)["reply"]["messages"][0]["role"] == "assistant"
    said = exported(api, cast, "reply")
    assert said["messages"] == [{"role": "assistant", "content": "Boil vinegar.\n  Then **rinse** 🙂 مرحبا."}]


@pytest.mark.parametrize(("dark", "width"), [(False, 1366), (True, 320)])
def test_several_turns_are_written_and_previewed(cast, sign_in, axe, api, dark, width):
    screen = {"dark": dark, "width": width, "height": 800}
    page = ask(sign_in, cast, demonstration(turns={"min": 1, "max": 2}), prompt="Hello", screen=screen)
    press(page, "c")
    page.keyboard.type("Hi, **what** can I do?")
    press(page, "Escape", "v", "a")
    page.keyboard.type("Tell me a joke.")
    press(page, "Control+Enter")
    page.get_by_text("Write the reply that is still empty.").first.wait_for()
    page.keyboard.type("No.")
    page.locator(".preview strong", has_text="what").wait_for()
    assert page.get_by_role("button", name="Add a turn").is_hidden(), "two replies are the most"
    assert axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    submitted(page)
    turns = [(one["role"], one["content"]) for one in exported(api, cast, "reply")["messages"]]
    assert turns == [("assistant", "Hi, **what** can I do?"), ("user", "Tell me a joke."), ("assistant", "No.")]


def test_a_long_reply_survives_a_reload(cast, sign_in):
    long = "A long reply of many words. " * 2000
    page = ask(sign_in, cast, demonstration(turns={"max": 3}), prompt="Tell me everything")
    press(page, "c")
    page.keyboard.insert_text(long)
    press(page, "Escape", "a")
    page.keyboard.type("And then?")
    page.get_by_text("Saved ").wait_for()
    page.reload()
    page.get_by_label("The person then says").wait_for()
    assert page.get_by_label("Reply 1").input_value() == long
    assert page.get_by_label("The person then says").input_value() == "And then?"
    press(page, "c")
    page.keyboard.type("That was all.")
    assert len(submitted(page)["reply"]["messages"]) == 3


def test_what_the_server_refuses_is_said_at_the_question(cast, sign_in):
    page = ask(sign_in, cast, demonstration(), prompt="Hello")
    press(page, "c")
    page.keyboard.type("Hi")
    page.route("**/submit", lambda route: route.continue_(post_data=emptied(route.request.post_data)))
    press(page, "Control+Enter")
    page.locator("[data-problem]:visible").wait_for()
    assert "needs a list of" in page.locator("[data-problem]").inner_text()
    assert page.locator("[data-turns] textarea").input_value() == "Hi", "nothing typed is lost"
    page.unroute("**/submit")
    press(page, "Control+Enter")
    wait_for_answers(page, 1)


def emptied(body):
    from urllib.parse import parse_qsl, urlencode

    fields = [(name, '{"reply": {"messages": []}}' if name == "answer" else value) for name, value in parse_qsl(body)]
    return urlencode(fields)


@pytest.mark.parametrize(("dark", "width"), [(False, 1366), (True, 320)])
def test_a_correction_shows_what_changed_word_by_word(cast, sign_in, axe, api, dark, width):
    page = ask(sign_in, cast, correction(), screen={"dark": dark, "width": width, "height": 800}, **KETTLE)
    press(page, "e")
    page.get_by_text("Correct the text, or say that there is nothing to change.").first.wait_for()
    field = page.locator("[data-kind=correction] textarea")
    assert field.input_value() == ORIGINAL, "the source, not what is shown"
    press(page, "Control+End", *("Backspace",) * len("rince the kettle twice."))
    page.keyboard.type("rinse the kettle well.")
    page.get_by_text("Words taken out: 2; put in: 2.").first.wait_for()
    press(page, "Escape", "d")
    assert page.locator("[data-diff] del").all_inner_texts() == ["rince", "twice"]
    assert page.locator("[data-diff] ins").all_inner_texts() == ["rinse", "well"]
    assert axe(page) == []
    press(page, "d")
    assert field.is_hidden()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    press(page, "c")
    assert field.is_visible()
    submitted(page)
    assert exported(api, cast, "better")["text"] == CORRECTED


def test_nothing_to_change_is_an_answer_and_can_be_taken_back(cast, sign_in, api):
    page = ask(sign_in, cast, correction(), **KETTLE)
    press(page, "c", "Control+End")
    page.keyboard.type(" Twice.")
    press(page, "Escape", "u")
    assert page.locator("[data-kind=correction] textarea").input_value() == ORIGINAL
    press(page, "u")
    assert page.locator("[data-kind=correction] textarea").input_value() == f"{ORIGINAL} Twice.", "it comes back"
    press(page, "u", "e")
    wait_for_answers(page, 1)
    assert Annotation.objects.get().answers["better"]["unchanged"] is True
    assert exported(api, cast, "better")["unchanged"] is True


def test_a_field_in_hebrew_is_corrected_in_its_own_direction_and_kept(cast, sign_in, axe):
    fields = [{"name": "text", "text": "Text", "kind": "markdown"}]
    text = "שלום **עולם**.\r\nמה שלומך?"
    page = ask(sign_in, cast, correction(of="text"), fields=fields, data={"text": text})
    field = page.locator("[data-kind=correction] textarea")
    assert (
        page.evaluate("getComputedStyle(document.querySelector('[data-kind=correction] textarea')).direction") == "rtl"
    )
    press(page, "e")
    page.get_by_text("Correct the text, or say").first.wait_for()
    press(page, "Control+End")
    page.keyboard.type(" טוב.")
    page.get_by_text("Saved ").wait_for()
    page.reload()
    page.locator("[data-kind=correction] textarea").wait_for()
    assert field.input_value() == "שלום **עולם**.\nמה שלומך? טוב."
    assert axe(page) == []
    assert submitted(page)["better"]["text"] == "שלום **עולם**.\nמה שלומך? טוב."
