"""Chromium runs a bundle as it runs the modules themselves."""

import pytest
from django.contrib.staticfiles import finders

from ground import modules
from ground.bundles import bundle
from tests.ground.test_bundles import FILES

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]
SITE = "http://modules.test/"


def said_by(page, files, name):
    """What a page with this module writes to the console."""
    said = []
    page.on("console", lambda message: said.append(message.text))
    page.route(f"{SITE}**", lambda route: route.fulfill(**answer(files, route.request.url.removeprefix(SITE), name)))
    page.goto(SITE)
    page.evaluate(
        f"import('/{name}').then((module) => module.whole()).then(({{ later }}) => console.log('later', later))"
    )
    return said


def answer(files, asked, name):
    if not asked:
        return {"content_type": "text/html", "body": f'<!doctype html><script type="module" src="/{name}"></script>'}
    return {"content_type": "text/javascript", "body": files[asked]}


def test_a_bundle_does_what_its_modules_do(tmp_path, monkeypatch, open_page):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(finders, "find", lambda name: str(tmp_path / name))
    modules._remembered.cache_clear()
    bundled = {"js/page.mjs": bundle("js/page.mjs"), "js/later.mjs": FILES["js/later.mjs"]}
    modules._remembered.cache_clear()
    one, other = (said_by(open_page(), files, "js/page.mjs") for files in (FILES, bundled))
    assert one == other == ["first", "c", "page b of c c Promise", "later 1"]
