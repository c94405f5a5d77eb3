"""Reading in the browser: the exact source, long texts, answers beside each other, pictures, sounds and films, other scripts."""

import base64

import pytest

from annotation.models import Annotation
from annotation.services.uploads import keep_upload
from tests.annotation.media_files import png, wav
from tests.annotation.rich import CODE, DATA, MARKDOWN, make_pair, make_task
from tests.e2e.test_labeling import wait_for_answers

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]

FILM = """async () => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 64, height: 48 });
  const pen = canvas.getContext("2d"), recorder = new MediaRecorder(canvas.captureStream(10), { mimeType: "video/webm" });
  const parts = [];
  recorder.ondataavailable = (event) => parts.push(event.data);
  const stopped = new Promise((resolve) => { recorder.onstop = resolve; });
  recorder.start();
  for (let step = 0; step < 12; step += 1) {
    pen.fillRect(step * 5, 0, 5, 48);
    await new Promise((resolve) => setTimeout(resolve, 60));
  }
  recorder.stop();
  await stopped;
  const bytes = new Uint8Array(await new Blob(parts).arrayBuffer());
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}"""


def opened(page, cast, words):
    page.goto(f"/p/{cast.project.slug}/label/")
    page.locator("[data-slot]:not([hidden])").get_by_text(words).first.wait_for()
    return page


def test_the_source_of_every_text_is_exact_and_one_key_away(cast, sign_in, axe):
    make_task(cast.project, count=2)
    page = opened(sign_in(cast.bob), cast, "How to descale")
    assert axe(page) == []
    code = page.locator("[data-slot]:not([hidden]) [data-field=program] [data-text]")
    assert code.text_content() == CODE
    page.keyboard.press("u")
    source = page.locator("[data-slot]:not([hidden]) [data-field=doc] pre.source")
    source.wait_for()
    assert source.text_content() == MARKDOWN
    note = page.locator("[data-slot]:not([hidden]) [data-field=note] pre.source")
    assert note.text_content() == DATA["note"]
    assert [mark.get_attribute("data-u") for mark in note.locator(".ctl").all()][-2:] == ["→", "U+200B"]
    assert axe(page) == []
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    wait_for_answers(page, 1)
    page.locator("[data-slot]:not([hidden]) [data-field=doc] pre.source").wait_for()
    page.keyboard.press("u")
    page.locator("[data-slot]:not([hidden])").get_by_role("heading", name="How to descale").wait_for()
    assert page.locator("pre.source").count() == 0


def test_long_answers_scroll_together_and_stand_as_a_person_likes(cast, sign_in, axe):
    make_pair(cast.project, "A long line of an answer.\n\n" * 120, "Another long line.\n\n" * 90)
    page = opened(sign_in(cast.bob), cast, "long line")
    regions = page.locator("[data-regions] [data-candidate] > .prose")
    regions.nth(1).wait_for()
    assert axe(page) == []
    regions.nth(0).evaluate("(text) => { text.scrollTop = (text.scrollHeight - text.clientHeight) / 2; }")
    page.wait_for_function("() => document.querySelectorAll('[data-regions] .prose')[1].scrollTop > 100")
    shares = [
        region.evaluate("(text) => text.scrollTop / (text.scrollHeight - text.clientHeight)")
        for region in regions.all()
    ]
    assert abs(shares[0] - shares[1]) < 0.02
    page.get_by_text("View", exact=True).click()
    page.get_by_role("button", name="One below the other").click()
    page.wait_for_function("() => !document.querySelector('[data-regions]')")
    first, second = (page.locator(f"[data-candidate={side}]").bounding_box() for side in ("first", "second"))
    assert second["y"] > first["y"] + 500
    page.reload()
    page.wait_for_function("() => document.documentElement.dataset.layout === 'stacked'")


def test_a_long_document_is_folded_and_opens_for_whoever_looks_inside(cast, sign_in, axe):
    lines = "\n".join(f"Line {number} of a report." for number in range(20_000)) + "\nThe needle."
    make_task(cast.project, [{"name": "doc", "text": "Report"}], {"doc": lines})
    page = sign_in(cast.bob)
    page.goto(f"/p/{cast.project.slug}/label/")
    more = page.get_by_role("button", name="Show all of it")
    more.wait_for()
    text = page.locator("[data-field=doc] [data-text]")
    assert text.bounding_box()["height"] < 900 * 1.6
    assert axe(page) == []
    more.focus()
    page.keyboard.press("Enter")
    less = page.get_by_role("button", name="Show less")
    less.wait_for()
    assert less.evaluate("(button) => button === document.activeElement"), "the focus stays where it was"
    assert text.bounding_box()["height"] > 20_000
    less.click()
    assert text.bounding_box()["height"] < 900 * 1.6
    # The browser's search brings what it found into view; a script can only do the same.
    text.evaluate("(text) => text.querySelector('.plain').lastElementChild.scrollIntoView()")
    page.get_by_role("button", name="Show less").wait_for()
    page.keyboard.press("1")
    page.keyboard.press("e")
    wait_for_answers(page, 1)


def test_pictures_sounds_and_films_are_judged_by_keyboard(cast, sign_in, axe):
    page = sign_in(cast.bob)
    film = keep_upload(actor=cast.mona, blocks=[base64.b64decode(page.evaluate(FILM))])[0]
    photo, hum = (keep_upload(actor=cast.mona, blocks=[content])[0] for content in (png(300, 200), wav(3)))
    fields = [
        {"name": name, "text": name.title(), "kind": kind}
        for name, kind in (("photo", "image"), ("hum", "audio"), ("film", "video"))
    ]
    data = {
        "photo": {"upload": photo.public_id, "alt": "A grey wall"},
        "hum": {"upload": hum.public_id, "alt": "A hum"},
        "film": {"upload": film.public_id, "alt": "A bar that grows"},
    }
    make_task(cast.project, fields, data)
    opened(page, cast, "A grey wall")
    page.wait_for_function("() => document.querySelector('img[alt=\"A grey wall\"]').naturalWidth === 300")
    page.wait_for_function("() => document.querySelector('audio').duration > 2.9")
    page.wait_for_function("() => document.querySelector('video').videoWidth === 64")
    assert axe(page) == []
    picture = page.locator("figure[data-zoom]")
    picture.locator(".scroll").focus()
    for key, zoom in (("+", "1"), ("+", "2"), ("-", "1")):
        page.keyboard.press(key)
        assert picture.get_attribute("data-zoom") == zoom
    page.locator("video").focus()
    page.keyboard.press("1")
    assert page.locator(".dock input:checked").count() == 0, "the player's keys are its own"
    page.keyboard.press("Escape")
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    wait_for_answers(page, 1)
    assert Annotation.objects.get().answers["good"]["labels"] == ["yes"]


def test_scripts_from_right_to_left_and_of_east_asia_stand_right(cast, sign_in, axe):
    arabic = "هل **الغلاية** نظيفة؟\n\n- نعم، تكلف $5\n- Latin in between\n\n```python\nx = 1\n```"
    fields = [{"name": name, "text": name.upper(), "kind": "markdown"} for name in ("ar", "ja", "zh", "ko")]
    data = {
        "ar": arabic,
        "ja": "これは**日本語**の文です。",
        "zh": "这是**中文**文本。",
        "ko": "한국어 **문장**입니다.",
    }
    make_task(cast.project, fields, data)
    page = opened(sign_in(cast.bob), cast, "Latin in between")
    found = page.locator("[data-field=ar] .prose").evaluate(
        "(text) => [getComputedStyle(text).direction, getComputedStyle(text.querySelector('ul')).direction,"
        " getComputedStyle(text.querySelector('pre')).direction]"
    )
    assert found == ["rtl", "rtl", "ltr"]
    for name in ("ja", "zh", "ko"):
        assert page.locator(f"[data-field={name}] .prose").get_attribute("lang") == name
    assert axe(page) == []


@pytest.mark.parametrize(("dark", "width"), [(False, 1366), (True, 320)])
def test_files_are_sent_with_their_progress_and_what_was_wrong(cast, sign_in, axe, dark, width):
    page = sign_in(cast.mona, dark=dark, width=width)
    page.goto(f"/p/{cast.project.slug}/uploads/")
    page.get_by_role("heading", name="No uploads yet").wait_for()
    assert axe(page) == []
    files = [
        {"name": "kettle.png", "mimeType": "image/png", "buffer": png()},
        {"name": "again.png", "mimeType": "image/png", "buffer": png()},
        {"name": "drawing.svg", "mimeType": "image/svg+xml", "buffer": b"<svg/>"},
    ]
    page.get_by_label("Files", exact=True).set_input_files(files)
    page.get_by_text("was here already").wait_for()
    page.get_by_text("SVG is not taken").wait_for()
    assert page.locator("[data-sent] code").first.text_content().startswith("upl_")
    assert axe(page) == []
    page.reload()
    page.get_by_role("link", name="kettle.png").wait_for()
    assert axe(page) == []
