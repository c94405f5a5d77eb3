"""One's own language, time and keys, in Chromium; the keys do on the labeling page what the page of keys says."""

import pytest

from annotation.models import Skip
from tests.e2e.story import Story

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]
LOOKS = pytest.mark.parametrize(
    ("dark", "width"), [(False, 1366), (True, 320), (False, 640)], ids=["light", "dark-320", "zoomed"]
)


@pytest.fixture
def story(cast, tmp_path):
    story = Story(cast, tmp_path)
    story.prompts()
    story.champion(version := story.version())
    story.tasks(story.responses(version))
    return story


@LOOKS
def test_the_pages_are_clean_by_axe_and_no_wider_than_the_screen(cast, sign_in, axe, dark, width):
    page = sign_in(cast.bob, dark=dark, width=width)
    for path in ("/me/", "/me/keys/"):
        page.goto(path)
        assert axe(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


def test_arabic_turns_the_page_round(cast, sign_in, axe):
    page = sign_in(cast.bob)
    page.goto("/me/")
    page.get_by_label("العربيّة").check()
    page.get_by_role("button", name="Save").click()
    page.locator("html[lang=ar][dir=rtl]").wait_for()
    assert axe(page) == []


def test_the_browsers_time_zone_is_read_until_one_is_chosen(cast, chromium, live_server, sign_in):
    page = sign_in(cast.bob)
    page.goto("/me/")
    assert page.evaluate("Intl.DateTimeFormat().resolvedOptions().timeZone") in page.inner_text("#zone-hint")


def test_two_keys_trade_places_and_the_page_says_so(story, cast, sign_in):
    page = sign_in(cast.bob)
    page.goto("/me/keys/")
    page.get_by_label("Skip", exact=True).press("f")
    page.get_by_text("Also the key of: Flag for review").wait_for()
    page.get_by_label("Flag for review").press("s")
    page.keyboard.press("Enter")
    page.get_by_text("Saved. Your keys follow you").wait_for()
    page.goto(f"/p/{cast.project.slug}/label/")
    skip = page.locator("button[data-key=s]")
    assert skip.locator("kbd").inner_text() == "f"
    page.keyboard.press("s")
    page.locator("button[data-key=f][aria-pressed=true]").wait_for()
    page.keyboard.press("s")
    page.locator("button[data-key=f][aria-pressed=false]").wait_for()
    with page.expect_response("**/skip"):
        page.keyboard.press("f")
    assert Skip.objects.filter(actor=cast.bob).count() == 1


def test_a_key_that_was_moved_away_does_nothing(story, cast, sign_in):
    cast.bob.user.keys = {"schema_version": 1, "off": False, "map": {"s": "h"}}
    cast.bob.user.save(update_fields=["keys"])
    page = sign_in(cast.bob)
    page.goto(f"/p/{cast.project.slug}/label/")
    page.locator("[data-slot]:not([hidden])").wait_for()
    page.keyboard.press("s")
    page.wait_for_timeout(300)
    assert not Skip.objects.exists()
    with page.expect_response("**/skip"):
        page.keyboard.press("h")
    assert Skip.objects.count() == 1


def test_keys_can_be_switched_off(story, cast, sign_in):
    cast.bob.user.keys = {"schema_version": 1, "off": True, "map": {}}
    cast.bob.user.save(update_fields=["keys"])
    page = sign_in(cast.bob)
    page.goto(f"/p/{cast.project.slug}/label/")
    page.locator("[data-slot]:not([hidden])").wait_for()
    page.keyboard.press("s")
    page.keyboard.press("?")
    page.wait_for_timeout(300)
    assert not Skip.objects.exists()
    assert page.locator("dialog[open]").count() == 0
