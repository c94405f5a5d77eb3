"""A manager imports tasks, looks for some of them, changes many and opens one."""

import json
import re

import pytest

from annotation import searching
from annotation.models import BulkEdit, Task, TaskImport
from annotation.selectors.queue import get_slot_for, served
from annotation.services import slots
from jobs.inprocess import run_in_process
from jobs.services import claim

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]
BOTH = pytest.mark.parametrize(("dark", "width"), [(False, 1366), (True, 390)], ids=["light-wide", "dark-phone"])
LINES = "\n".join(
    json.dumps(
        {
            "external_id": f"t{n}",
            "data": {"text": f"Rain over {'Paris' if n % 2 else 'Berlin'}, number {n}."},
            "metadata": {"language": "fr" if n % 2 else "de"},
        }
    )
    for n in range(60)
)


@pytest.fixture(autouse=True)
def folder(settings, tmp_path):
    settings.IMPORTS = tmp_path / "imports"


@pytest.fixture
def go(cast, sign_in):
    def to(path="", actor=None, **options):
        page = sign_in(actor or cast.mona, **options)
        page.goto(f"/p/{cast.project.slug}/{path}")
        return page

    return to


def send(page, tmp_path, text=LINES):
    rows = tmp_path / "rain.jsonl"
    rows.write_text(text)
    page.get_by_label("File", exact=True).set_input_files(rows)
    page.get_by_label("What is asked").select_option("new:labels")
    page.get_by_label("Question").fill("Which language?")
    page.get_by_label("Labels, one a line").fill("de\nfr")
    page.get_by_role("button", name="Import", exact=True).click()


def work(row):
    run_in_process(claim(job=row.job))


def clean(page, axe):
    wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
    return axe(page) + (["wider than the screen"] if wide else [])


@BOTH
def test_a_file_is_imported_and_its_wrong_lines_are_listed(go, axe, tmp_path, dark, width):
    page = go("imports/", dark=dark, width=width)
    page.get_by_role("heading", name="No imports yet").wait_for()
    assert clean(page, axe) == []
    send(page, tmp_path, LINES + "\n{broken")
    page.get_by_text("The file is here; its lines are being read.").wait_for()
    assert clean(page, axe) == []
    work(TaskImport.objects.get())
    page.get_by_text("succeeded").wait_for()
    page.get_by_text("1 wrong line").click()
    page.get_by_role("region", name="Wrong lines of rain.jsonl").get_by_text("not JSON").wait_for()
    assert clean(page, axe) == []
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the wrong lines").click()
    assert '"line": 61' in download.value.path().read_text()
    assert Task.objects.count() == 60


@BOTH
def test_tasks_are_found_paged_changed_and_brought_back(cast, go, axe, tmp_path, dark, width):
    page = go("imports/", dark=dark, width=width)
    send(page, tmp_path)
    work(TaskImport.objects.get())
    while searching.index_words():
        pass
    page.goto(f"/p/{cast.project.slug}/tasks/")
    page.get_by_role("heading", name="Found: 60").wait_for()
    assert page.locator("tbody tr").count() == 50
    page.get_by_role("link", name="Next").click()
    page.wait_for_url("**after=**")
    assert page.locator("tbody tr").count() == 10
    page.get_by_role("link", name="Earlier").click()
    page.get_by_role("searchbox").fill("berlin")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Found: 30").wait_for()
    page.get_by_text("Add a condition").click()
    page.get_by_label("Where", exact=True).select_option("metadata.language")
    page.get_by_label("Value", exact=True).fill("de")
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_text("language is de").wait_for()
    page.get_by_text("Columns", exact=True).click()
    page.get_by_role("checkbox", name="language").check()
    page.get_by_role("button", name="Show these").click()
    page.get_by_role("columnheader", name="language").wait_for()
    assert clean(page, axe) == []
    page.get_by_label("Change", exact=True).select_option("all")
    page.get_by_label("What", exact=True).select_option("delete")
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("heading", name="Delete 30 tasks?").wait_for()
    assert clean(page, axe) == []
    page.get_by_role("button", name="Delete 30 tasks").click()
    page.get_by_role("heading", name="Latest changes").wait_for()
    work(BulkEdit.objects.get())
    page.get_by_role("button", name="Undo the deletion").click()
    page.get_by_text("The deletion is being undone.").wait_for()
    work(BulkEdit.objects.get())
    page.get_by_text("undone", exact=True).wait_for()
    assert Task.objects.filter(state=Task.State.OPEN).count() == 60
    assert clean(page, axe) == []


@BOTH
def test_a_task_is_opened_with_its_answers(cast, go, axe, tmp_path, dark, width):
    page = go("imports/", dark=dark, width=width)
    send(page, tmp_path)
    work(TaskImport.objects.get())
    claimed = slots.take_next(actor=cast.bob)
    slot = get_slot_for(cast.bob, served(cast.bob, claimed).id)
    answers = {"labels": {"labels": ["de"], "reason": "Berlin.", "flags": ["odd"]}}
    slots.submit_answer(actor=cast.bob, slot=slot, token=claimed.token, key="k", answers=answers, seconds=4)
    page.goto(f"/p/{cast.project.slug}/tasks/?sort=id")
    page.get_by_role("link", name=re.compile("number 0")).click()
    page.get_by_text("Berlin.", exact=True).wait_for()
    assert clean(page, axe) == []
    page.get_by_text("Retract", exact=True).click()
    page.get_by_label("Why").fill("Wrong language.")
    page.get_by_role("button", name="Retract the answer").click()
    page.get_by_text("Wrong language.").wait_for()
    page.get_by_label("Priority", exact=True).fill("9")
    page.get_by_role("button", name="Set: Priority").click()
    page.get_by_text("The priority is 9.").wait_for()
    assert clean(page, axe) == []


def test_an_empty_browser_teaches_the_first_step(go, axe):
    page = go("tasks/")
    page.get_by_role("heading", name="No tasks yet").wait_for()
    assert clean(page, axe) == []
