"""A manager composes a schema by form and by YAML, publishes it, imports a task and sees it asked."""

import json
import os
import re

import pytest

from annotation.models import Schema, Task, TaskImport
from jobs.inprocess import run_in_process
from jobs.services import claim

SHOTS = os.environ.get("KSHOTS")
pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]


def test_a_schema_is_composed_published_imported_for_and_asked(cast, sign_in, settings, tmp_path, axe):
    settings.IMPORTS = tmp_path / "imports"
    page = sign_in(cast.mona)
    page.goto(f"/p/{cast.project.slug}/schemas/")
    page.get_by_role("heading", name="No schema yet").wait_for()
    page.get_by_role("link", name="Classification, one label").click()
    page.locator("[data-preview][data-mounted] [data-question=topic]").wait_for()

    # The form, with its preview following.
    page.get_by_label("Name", exact=True).fill("weather")
    page.get_by_role("textbox", name="Question", exact=True).first.fill("Which weather is told?")
    page.get_by_label("Labels, one a line").fill("sun | Sunny\nrain | Rainy\nother | Something else")
    page.locator("[data-preview]").get_by_text("Rainy").wait_for()
    assert page.locator("[data-preview] [data-question=other]").is_hidden()
    page.locator("[data-preview] input[value=other]").check()
    page.locator("[data-preview] [data-question=other]").wait_for()
    page.get_by_role("button", name="Try: is this answer complete?").click()
    assert page.locator("[data-preview-said]").inner_text() != ""
    page.get_by_role("button", name="Flags", exact=True).click()
    page.wait_for_function("document.activeElement.id === 'questions-2-text'")
    page.keyboard.type("Is anything wrong?")
    page.locator("[data-preview]").get_by_text("Is anything wrong?").wait_for()
    assert axe(page) == []

    # As YAML, with an error that names its path, and without losing what was typed.
    page.get_by_role("button", name="YAML").click()
    text = page.get_by_label("The schema as YAML").input_value()
    assert "Which weather is told?" in text
    page.get_by_label("The schema as YAML").fill(text.replace("kind: flags", "kind: flag"))
    page.locator("[data-problems]").get_by_text("questions[2].kind").wait_for()
    page.get_by_role("button", name="Publish").click()
    page.get_by_role("alert").get_by_text("questions[2].kind").wait_for()
    assert "kind: flag\n" in page.get_by_label("The schema as YAML").input_value()
    assert axe(page) == []
    page.get_by_label("The schema as YAML").fill(text)
    page.get_by_role("button", name="Publish").click()
    page.get_by_text("weather v1 is published").wait_for()
    assert [question["kind"] for question in Schema.objects.get().body["questions"]] == ["labels", "text", "flags"]
    assert axe(page) == []

    # A file of one task, and the task as an annotator meets it.
    page.get_by_role("link", name="Import tasks for weather").click()
    line = json.dumps({"data": {"text": "It poured all day."}}).encode()
    page.locator("[name=file]").set_input_files({"name": "a.jsonl", "mimeType": "application/x-ndjson", "buffer": line})
    page.get_by_role("button", name="Import", exact=True).click()
    page.get_by_text("The file is here").wait_for()
    if not Task.objects.exists():
        run_in_process(claim(job=TaskImport.objects.get().job))
    page.goto(f"/p/{cast.project.slug}/label/")
    page.get_by_text("It poured all day.").wait_for()
    page.get_by_role("heading", name=re.compile("Which weather is told")).wait_for()


@pytest.mark.parametrize(("dark", "width"), [(False, 1366), (True, 320)], ids=["light-wide", "dark-narrow"])
def test_the_schema_pages_are_clean_by_axe(cast, sign_in, axe, dark, width):
    page = sign_in(cast.mona, dark=dark, width=width)
    for path in ("", "new", "new?from=preference", "new?from=rubric", "new?from=subject", "new?from=cited_answer"):
        page.goto(f"/p/{cast.project.slug}/schemas/{path}")
        page.wait_for_load_state("networkidle")
        if SHOTS:
            page.screenshot(
                path=f"{SHOTS}/{'dark' if dark else 'light'}-{path.rpartition('=')[2] or 'list'}.png", full_page=True
            )
        assert axe(page) == [], path
        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth"), path
