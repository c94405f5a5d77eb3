"""Every page that a link leads to: axe finds no violation in both themes, wide and at 320 px, where nothing is cut off.

`PLUMBLINE_SHOTS=folder` keeps a picture of each, to look at.
"""

import os
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from django.urls import Resolver404, resolve

from accounts.services import set_locale
from annotation.schema_templates import TEMPLATES, taken
from annotation.services.tasks import current_schema
from tests.e2e.asking import make_task
from tests.e2e.story import Story

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]
WITHOUT_MODELS = [
    template for template in TEMPLATES if all(one["kind"] != "chat" for one in taken(template)["body"]["questions"])
]
"""The others talk with models that serve: tests/e2e/test_chat.py."""
FILES = {"upload"}
FOR_PROGRAMS = ("/api/", "/v1/", "/admin/")
MANAGERS = {
    *(
        "home",
        "person",
        "person-keys",
        "settings",
        "work",
        "own-notes",
        "notes",
        "queue",
        "review",
        "gold",
        "guidelines",
    ),
    *(
        "queues",
        "queue-settings",
        "groups",
        "batches",
        "schemas",
        "schema-new",
        "schema-edit",
        "tasks",
        "task",
        "uploads",
        "imports",
    ),
    *("project", "loop", "data", "runs", "runs-compare", "new-run", "run", "models", "model", "version", "label"),
    "webhooks",
}
ANNOTATORS = {
    "home",
    "person",
    "person-keys",
    "project",
    "label",
    "work",
    "own-answers",
    "own-answer",
    "own-notes",
    "loop",
}


def links_of(page: Any) -> list[str]:
    hrefs = page.eval_on_selector_all("a[href]", "all => all.map((a) => a.href)")
    return [url for url in hrefs if urlsplit(url).netloc == urlsplit(page.url).netloc]


def name_of(url: str) -> str | None:
    """The page's name in the URLconf; a page that shows several forms by its query counts for each of them."""
    parts = urlsplit(url)
    try:
        name = resolve(parts.path).url_name
    except Resolver404:
        return None
    if parts.path.startswith(FOR_PROGRAMS):
        return None
    return f"{name}?{parts.query}" if name == "new-run" and "method=" in parts.query else name


def walk(page: Any, axe: Any, start: str = "/") -> tuple[set[str], list[str]]:
    """Names of the pages seen, and what is wrong with them."""
    page.goto(start)
    waiting, seen, wrong = [page.url], set(), []
    while waiting:
        url = waiting.pop(0)
        name = name_of(url)
        if name is None or name in seen or name in FILES:
            continue
        response = page.goto(url)
        if not response or "html" not in response.headers.get("content-type", ""):
            continue
        seen.add(name)
        if response.status != 200:
            wrong.append(f"{name}: answers {response.status} at {url}")
        waiting += [urljoin(url, link) for link in links_of(page)]
        wrong += look(page, axe, name)
    return {name.partition("?")[0] for name in seen}, wrong


def look(page: Any, axe: Any, name: str) -> list[str]:
    wrong = []
    for scheme, width in (("light", 1366), ("dark", 320)):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(50)
        keep(page, f"{name}-{scheme}")
        wrong += [f"{name}, {scheme} {width}: {violation}" for violation in axe(page)]
        if page.evaluate("document.documentElement.scrollWidth > innerWidth + 1"):
            wrong.append(f"{name}, {scheme} {width}: wider than the window")
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 1366, "height": 900})
    return wrong


def keep(page: Any, name: str) -> None:
    if os.environ.get("PLUMBLINE_SHOTS"):
        folder = Path(os.environ["PLUMBLINE_SHOTS"])
        folder.mkdir(parents=True, exist_ok=True)
        language = page.evaluate("document.documentElement.lang")
        page.screenshot(path=folder / f"{language}-{name.replace('?', '-').replace('=', '-')[:60]}.png", full_page=True)


@pytest.fixture
def whole(cast, settings, tmp_path):
    settings.SNAPSHOTS = tmp_path / "snapshots"
    Story(cast, tmp_path).whole()


def test_every_page_of_a_manager(cast, whole, sign_in, axe):
    seen, wrong = walk(sign_in(cast.mona), axe)
    assert not wrong, "\n".join(wrong)
    assert seen >= MANAGERS


def test_every_page_of_an_annotator_in_arabic(cast, whole, sign_in, axe):
    """From right to left, with what the annotator answered and something still to do."""
    page = sign_in(cast.bob)
    set_locale(user=cast.bob.user, locale="ar", time_zone="Asia/Riyadh")
    seen, wrong = walk(page, axe)
    assert page.evaluate("document.documentElement.dir") == "rtl"
    assert not wrong, "\n".join(wrong)
    assert seen >= ANNOTATORS


@pytest.mark.parametrize("template", WITHOUT_MODELS, ids=lambda template: template.name)
def test_the_labeling_page_of_every_template(cast, sign_in, axe, template):
    made = taken(template)
    sample = made["sample"]
    said = sample["prompt"][-1]["content"] if sample["prompt"] else ""
    schema = current_schema(cast.project, made["name"], made["body"])
    make_task(schema, data=sample["data"], prompt=said, candidates=sample["responses"])
    page = sign_in(cast.bob)
    page.goto(f"/p/{cast.project.slug}/label/")
    page.locator(".veil" if made["body"].get("sensitive") else "[data-questions] [data-question]").first.wait_for()
    assert look(page, axe, f"label-{template.name}") == []
