"""A manager reads where things stand and moves them on; what is wrong is said where it was written."""

import json
import re

import pytest

from accounts.models import ApiToken, Membership
from accounts.services import digest_of_token
from annotation.models import Guideline, Task
from feedback.models import Snapshot
from jobs.inprocess import run_in_process
from jobs.models import Job
from jobs.services import claim
from models_registry.models import Prompt
from tests.e2e.story import Story

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]
BOTH = pytest.mark.parametrize(("dark", "width"), [(False, 1366), (True, 390)], ids=["light-wide", "dark-phone"])
PATHS = ("", "loop/", "data/", "settings/", "settings/guidelines/")


@pytest.fixture
def story(cast, settings, tmp_path):
    settings.SNAPSHOTS = tmp_path / "snapshots"
    return Story(cast, tmp_path)


@pytest.fixture
def go(cast, sign_in):
    """`go("data/")`: Mona on that page of the project."""

    def to(path="", actor=None, **options):
        page = sign_in(actor or cast.mona, **options)
        page.goto(f"/p/{cast.project.slug}/{path}")
        return page

    return to


@BOTH
def test_the_pages_of_an_empty_project_are_clean_by_axe(go, axe, dark, width):
    assert flaws(go(dark=dark, width=width), axe) == []


@BOTH
def test_the_pages_of_a_full_project_are_clean_by_axe(story, go, axe, dark, width):
    story.whole()
    assert flaws(go(dark=dark, width=width), axe) == []


def flaws(page, axe):
    """What axe finds on any page, and pages wider than the screen: only tables may scroll sideways."""
    found, start = [], page.url
    for path in PATHS:
        page.goto(start + path)
        found += [f"{path}: {text}" for text in axe(page)]
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            found.append(f"{path}: wider than the screen")
    return found


def test_an_empty_project_teaches_the_first_step(go):
    page = go()
    page.get_by_role("heading", name="Nothing to judge yet.").wait_for()
    page.locator("#next-step").click()
    page.wait_for_url("**/data/#prompts")
    page.get_by_role("heading", name="Prompts", exact=True).wait_for()


def test_the_overview_marks_simulated_judges_and_counts_the_queue(story, go):
    """6 prompts, 2 answers each, all twice judged: 12 judgements, 6 of them simulated."""
    story.whole()
    page = go()
    row = page.get_by_role("row", name=re.compile("Simulated Sam"))
    assert row.locator(".badge").inner_text() == "simulated"
    assert row.locator("td.num").inner_text() == "6"
    page.get_by_text("12 of 12 judgements", exact=True).wait_for()
    page.get_by_text("6 of 12 judgements are simulated").wait_for()
    page.get_by_role("heading", name="assistant@2 won 64 % of its comparisons with assistant@1").wait_for()


def test_the_overview_shows_an_answer_that_came_while_it_was_open(story, go, cast):
    story.prompts()
    base = story.version()
    story.champion(base)
    story.tasks(story.responses(base), overlap=1)
    page = go()
    page.get_by_role("heading", name="0 of 6 judgements are in.").wait_for()
    story.judge(cast.bob, most=1)
    page.get_by_role("heading", name="1 of 6 judgements are in.").wait_for()


def test_the_loop_says_where_every_item_is(story, go):
    story.whole()
    page = go("loop/")
    stations = page.locator(".station")
    assert stations.count() == 8
    assert stations.nth(0).locator(".figure").inner_text() == "12 responses"
    assert stations.nth(7).locator(".figure").inner_text() == "1 model"
    page.get_by_text("6 prompts went in. 12 judgements came of them.").wait_for()
    page.get_by_role("link", name="Freeze", exact=True).click()
    page.wait_for_url("**/data/#freeze")


def test_prompts_are_imported_and_every_wrong_line_is_named(cast, go):
    """Of four lines two can be read; with every 2nd kept out, the second of those is."""
    page = go("data/")
    lines = ["Why is the sky blue?", "{broken", json.dumps({"prompt": "What is rain?"}), json.dumps({"promt": "Typo"})]
    page.get_by_role("textbox", name="Prompts").fill("\n".join(lines))
    page.get_by_label("Keep out every n-th for evaluation").fill("2")
    page.get_by_role("button", name="Import").click()
    page.get_by_text("2 new prompts.").wait_for()
    page.get_by_text("2 lines were not taken.").wait_for()
    wrong = page.get_by_role("region", name="Lines that were not taken")
    assert wrong.locator("tbody td:first-child").all_inner_texts() == ["2", "4"]
    wrong.get_by_text("promt: unknown field").wait_for()
    assert page.get_by_role("textbox", name="Prompts").input_value() == f"{lines[1]}\n{lines[3]}"
    held = dict(Prompt.objects.filter(project=cast.project).values_list("messages__0__content", "held_out"))
    assert held == {"Why is the sky blue?": False, "What is rain?": True}


def test_prompts_come_from_a_file_too(cast, go, tmp_path):
    rows = tmp_path / "prompts.jsonl"
    rows.write_text('{"prompt": "One?"}\n{"prompt": "Two?"}\n')
    page = go("data/")
    page.get_by_label("Or a file of such lines").set_input_files(rows)
    page.get_by_label("Keep out every n-th for evaluation").fill("0")
    page.get_by_role("button", name="Import").click()
    page.get_by_text("2 new prompts.").wait_for()
    assert not Prompt.objects.filter(project=cast.project, held_out=True).exists()


def test_an_empty_import_says_what_is_missing(go, axe):
    page = go("data/")
    page.get_by_role("button", name="Import").click()
    page.get_by_text("Paste at least one prompt, or choose a file.").wait_for()
    assert axe(page) == []


def test_tasks_are_made_from_a_generation_once(story, go):
    story.prompts()
    base = story.version()
    story.responses(base)
    page = go("data/")
    for said in ("6 tasks are in the queue.", "All 6 pairs were in the queue already."):
        page.get_by_label("Judgements for each pair").fill("3")
        page.get_by_role("button", name="Make tasks").click()
        page.get_by_text(said).wait_for()
    assert set(Task.objects.values_list("overlap", flat=True)) == {3}


def test_freezing_nothing_is_refused_with_a_hint(go):
    page = go("data/")
    page.get_by_role("button", name="Freeze a snapshot").click()
    page.get_by_text("Nothing that was said could be learned from yet.").wait_for()
    assert Job.objects.count() == 0


def test_a_snapshot_appears_when_its_job_is_done_and_can_be_verified(story, go, cast):
    story.prompts()
    base = story.version()
    story.tasks(story.responses(base))
    story.judge(cast.bob)
    page = go("data/")
    page.get_by_label("Name (optional)").fill("spring")
    page.get_by_role("button", name="Freeze a snapshot").click()
    page.get_by_text("A snapshot is being written.").wait_for()
    run_in_process(claim(job=Job.objects.get(kind="freeze")))
    page.get_by_role("heading", name="Snapshot 1: spring").wait_for()
    page.get_by_role("button", name="Verify snapshot 1").click()
    page.get_by_text("Snapshot 1 is as it was frozen: every file has its digest.").wait_for()

    page.locator("summary", has_text="Files").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="manifest.json").or_(
            page.get_by_role("link", name="preference_train.jsonl")
        ).first.click()
    assert download.value.path().stat().st_size > 0

    (story.folder / "snapshots" / Snapshot.objects.get().public_id / "preference_train.jsonl").write_text("{}")
    page.get_by_role("button", name="Verify snapshot 1").click()
    page.get_by_text("Snapshot 1 is not as it was frozen: preference_train.jsonl.").wait_for()


def test_a_token_is_shown_once_and_can_be_revoked(cast, go, axe):
    page = go("settings/")
    page.get_by_label("What it is for").fill("shop")
    page.get_by_role("button", name="Make the token").click()
    secret = page.get_by_label("Secret").input_value()
    token = ApiToken.objects.get(name="shop")
    assert token.digest == digest_of_token(secret)
    assert token.scopes == ["feedback", "invoke"]
    assert axe(page) == []
    page.goto(page.url.replace("tokens#tokens", ""))
    assert secret not in page.content()
    page.get_by_role("button", name="Revoke shop").click()
    page.get_by_text("The token shop is refused from now on.").wait_for()
    token.refresh_from_db()
    assert token.revoked_at is not None


def test_a_token_without_a_scope_is_refused_beside_the_boxes(go):
    page = go("settings/")
    page.get_by_label("What it is for").fill("shop")
    for box in page.get_by_role("checkbox").all():
        box.uncheck()
    page.get_by_role("button", name="Make the token").click()
    page.locator(".error", has_text="This field is required.").wait_for()
    assert not ApiToken.objects.filter(name="shop").exists()


def test_a_member_gets_a_role_and_a_stranger_is_refused(cast, go):
    page = go("settings/")
    page.get_by_label("Email").fill("nobody@example.org")
    page.get_by_role("button", name="Save the role").click()
    page.get_by_text("Nobody signs in as nobody@example.org.").wait_for()
    assert page.get_by_label("Email").input_value() == "nobody@example.org"
    page.get_by_label("Email").fill(cast.bob.user.email)
    page.get_by_label("Role", exact=True).select_option("reviewer")
    page.get_by_role("button", name="Save the role").click()
    page.get_by_text(f"{cast.bob} is reviewer here.").wait_for()
    assert Membership.objects.get(actor=cast.bob).role == "reviewer"


def test_a_simulated_annotator_is_listed_as_such(cast, go):
    page = go("settings/")
    page.get_by_label("Name", exact=True).fill("Robin")
    page.get_by_role("button", name="Add a simulated annotator").click()
    page.locator("#simulated .badge", has_text="Robin").wait_for()
    assert page.locator("#members").get_by_text("Robin").count() == 0


def test_guidelines_are_previewed_then_published(cast, go, axe):
    page = go("settings/guidelines/")
    page.get_by_label("How to judge").fill("# Kindness\n\nPrefer the **kind** answer.")
    page.get_by_role("button", name="Preview").click()
    page.get_by_role("heading", name="Preview, not published").wait_for()
    assert page.locator(".prose strong").inner_text() == "kind"
    assert Guideline.objects.count() == 0
    assert axe(page) == []
    page.get_by_role("button", name="Publish").click()
    page.get_by_role("heading", name="Guidelines, version 1").wait_for()
    assert Guideline.objects.get().body == "# Kindness\r\n\r\nPrefer the **kind** answer."


def test_guidelines_published_meanwhile_are_not_overwritten_unseen(cast, go):
    from annotation.services.guidelines import publish_guideline

    page = go("settings/guidelines/")
    page.get_by_label("How to judge").fill("Mine.")
    publish_guideline(actor=cast.alice, body="Hers.")
    page.get_by_role("button", name="Publish").click()
    page.get_by_text("Version 1 was published since you began.").wait_for()
    assert page.get_by_label("How to judge").input_value() == "Mine."
    page.get_by_role("button", name="Publish").click()
    page.get_by_role("heading", name="Guidelines, version 2").wait_for()


def test_an_annotator_sees_no_forms_and_no_names(story, go, cast, axe):
    story.whole()
    page = go(actor=cast.bob)
    assert page.get_by_text("Simulated Sam").count() == 0
    assert page.get_by_text("Last runs").count() == 0
    page.goto(f"/p/{cast.project.slug}/settings/")
    assert page.get_by_role("button", name="Save the role").count() == 0
    assert page.get_by_label("Acts as").locator("option").all_inner_texts() == [str(cast.bob)]
    page.goto(f"/p/{cast.project.slug}/data/")
    page.get_by_text("This needs the role").wait_for()
    assert axe(page) == []
