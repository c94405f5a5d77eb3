"""A person's own settings: language, time zone, keys. They follow the person, not the device."""

import re
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from accounts.keymap import ACTIONS, PRESETS, check_keys, why_not
from accounts.locales import languages, zones
from tests.factories import make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser() -> tuple[Client, Any]:
    user = make_user()
    client = Client()
    client.force_login(user)
    return client, user


def test_two_actions_may_trade_keys() -> None:
    assert check_keys({"map": {"s": "f", "f": "s"}})["map"] == {"s": "f", "f": "s"}


def test_a_key_taken_twice_is_told_by_the_name_of_the_other_action() -> None:
    with pytest.raises(ValueError, match=r"keys\.map\.s: f is the key of “Flag for review” too"):
        check_keys({"map": {"s": "f"}})


@pytest.mark.parametrize("key", ["ctrl+s", "F5", "Tab", " ", "Enter", "Escape", "", "ArrowLeft", "\t", "alt+x"])
def test_keys_of_browsers_and_screen_readers_are_refused(key: str) -> None:
    assert why_not("s", key)


def test_the_keys_of_quick_find_stay_the_browsers() -> None:
    assert why_not("s", "/")
    assert why_not("s", "'")
    assert not why_not("/", "/")


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda preset: preset.name)
def test_every_preset_is_a_map_that_a_person_could_save(preset: Any) -> None:
    assert check_keys({"map": dict(preset.keys)})["map"] == dict(preset.keys)


def test_every_key_that_labelers_are_told_of_can_be_moved() -> None:
    """`a`, `o`, `v`, `w` and `x` could not, and a map for one hand left nothing on some of them."""
    told = set(re.findall(r"`(.)`", (settings.BASE_DIR / "docs" / "label.md").read_text(encoding="utf-8")))
    assert len(told) > 20
    assert told - set(ACTIONS) == set()


@given(st.dictionaries(st.sampled_from(sorted(ACTIONS)), st.text(max_size=3)))
def test_a_map_that_is_taken_gives_every_action_a_key_of_its_own(chosen: dict[str, str]) -> None:
    try:
        kept = check_keys({"map": chosen})["map"]
    except ValueError:
        return
    keys = [kept.get(name, name) for name in ACTIONS]
    assert len(set(keys)) == len(keys)


def test_keys_saved_on_the_page_stand_on_every_page(browser: tuple[Client, Any]) -> None:
    client, user = browser
    form = {f"key-{name}": name for name in ACTIONS} | {"key-s": "h", "off": "1", "save": "1"}
    assert client.post("/me/keys/", form).status_code == 302
    user.refresh_from_db()
    assert user.keys == {"schema_version": 1, "off": True, "map": {"s": "h"}}
    page = client.get("/").content.decode()
    assert "data-keys-off" in page
    assert 'data-keys="{&quot;s&quot;: &quot;h&quot;}"' in page


def test_a_conflict_comes_back_with_what_was_typed(browser: tuple[Client, Any]) -> None:
    client, user = browser
    answer = client.post("/me/keys/", {"key-s": "f"})
    assert answer.status_code == 422
    assert "Flag for review" in answer.content.decode()
    user.refresh_from_db()
    assert user.keys["map"] == {}


def test_presets_and_putting_back(browser: tuple[Client, Any]) -> None:
    client, user = browser
    client.post("/me/keys/", {"preset": "right"})
    user.refresh_from_db()
    assert user.keys["map"]["1"] == "7"
    client.post("/me/keys/", {"reset": "1"})
    user.refresh_from_db()
    assert user.keys["map"] == {}


def test_the_chosen_language_goes_before_the_browsers(browser: tuple[Client, Any]) -> None:
    client, _user = browser
    assert 'lang="de"' in client.get("/", headers={"Accept-Language": "de"}).content.decode()
    assert client.post("/me/", {"locale": "ar", "time_zone": "Africa/Cairo"}).status_code == 302
    page = client.get("/", headers={"Accept-Language": "de"})
    assert '<html lang="ar" dir="rtl"' in page.content.decode()
    assert page.headers["Content-Language"] == "ar"


def test_times_stand_in_the_persons_zone_else_in_the_browsers(browser: tuple[Client, Any]) -> None:
    client, _user = browser
    client.cookies["zone"] = "Asia/Tokyo"
    assert "Asia/Tokyo" in client.get("/me/").content.decode().split("Now you read")[1]
    client.post("/me/", {"locale": "en", "time_zone": "Europe/Berlin"})
    assert "Europe/Berlin" in client.get("/me/").content.decode().split("Now you read")[1]


def test_a_zone_does_not_leak_into_the_next_persons_request(browser: tuple[Client, Any]) -> None:
    client, _user = browser
    client.post("/me/", {"locale": "", "time_zone": "Asia/Tokyo"})
    client.get("/")
    other = Client()
    other.force_login(make_user())
    assert "UTC" in other.get("/me/").content.decode().split("Now you read")[1]


@pytest.mark.parametrize(("locale", "zone"), [("xx", ""), ("", "Mars/Olympus"), ("", "../../etc/passwd")])
def test_what_does_not_exist_is_refused_in_words(browser: tuple[Client, Any], locale: str, zone: str) -> None:
    client, user = browser
    assert client.post("/me/", {"locale": locale, "time_zone": zone}).status_code == 422
    user.refresh_from_db()
    assert (user.locale, user.time_zone) == ("", "")


def test_each_language_is_listed_in_its_own_name() -> None:
    assert dict(languages()) == {
        "en": "English",
        "de": "Deutsch",
        "fr": "français",
        "es": "español",
        "ar": "العربيّة",
        "zh-hans": "简体中文",
    }
    assert "Europe/Berlin" in zones()
    assert "UTC" in zones()


def test_the_api_reads_and_changes_them(browser: tuple[Client, Any]) -> None:
    client, _user = browser
    change = {"locale": "fr", "keys": {"map": {"s": "h"}}}
    answer = client.patch("/api/v1/me", change, content_type="application/json")
    assert answer.status_code == 200, answer.content
    assert client.get("/api/v1/me").json()["keys"] == {"schema_version": 1, "off": False, "map": {"s": "h"}}
    assert client.get("/api/v1/me").json()["locale"] == "fr"
    refused = client.patch("/api/v1/me", {"keys": {"map": {"nope": "x"}}}, content_type="application/json")
    assert refused.status_code == 422
    assert "keys.map.nope" in refused.json()["detail"]


def test_a_token_stands_for_no_person(api: Any, cast: Any) -> None:
    assert api(cast.bob).get("/api/v1/me").status_code == 403
