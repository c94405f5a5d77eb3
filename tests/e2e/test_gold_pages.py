"""A manager writes gold, promotes what people agree on, and acts on where people stand."""

import pytest

from annotation.models import GoldKey, Standing, Task
from annotation.services.standings import block
from tests.annotation.gold import RIGHT, WRONG, answer_gold, claim_of, make_golds, make_texts, mixed_queue, say
from tests.e2e.asking import make_schema
from tests.factories import make_annotators

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]
BOTH = pytest.mark.parametrize(("dark", "width"), [(False, 1366), (True, 390)], ids=["light-wide", "dark-phone"])


def clean(page, axe):
    assert axe(page) == []
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth"), "wider than the screen"


def agreed_task(cast):
    [task] = make_texts(cast.project, 1, overlap=3)
    for person in make_annotators(cast.project, 3):
        say(person, claim_of(person), RIGHT)
    return task


def doubtful_gold(cast, queue):
    [task] = make_golds(cast, 1, queue, label=WRONG)
    for person in (cast.bob, *make_annotators(cast.project, 4)):
        answer_gold(person, queue, RIGHT)
    return task


@BOTH
def test_the_gold_pages_are_clean_by_axe(cast, sign_in, axe, dark, width):
    queue = mixed_queue(cast.project, gold_rate=0.1)
    page = sign_in(cast.mona, dark=dark, width=width)
    page.goto(f"/p/{cast.project.slug}/gold/")
    page.get_by_role("heading", name="No gold yet").wait_for()
    clean(page, axe)
    agreed_task(cast)
    task = doubtful_gold(cast, queue)
    block(actor=cast.mona, person=cast.bob, queue=queue, reason="Too fast.")
    page.reload()
    page.get_by_role("heading", name="1 gold task is missed by most people").wait_for()
    clean(page, axe)
    page.goto(f"/p/{cast.project.slug}/gold/{task.public_id}/")
    page.get_by_text("Most people miss this one.").wait_for()
    clean(page, axe)
    page.goto(f"/p/{cast.project.slug}/gold/new/{task.schema.public_id}/")
    clean(page, axe)


def test_gold_is_promoted_written_corrected_and_retired(cast, sign_in):
    task = agreed_task(cast)
    page = sign_in(cast.mona)
    page.goto(f"/p/{cast.project.slug}/gold/")
    page.get_by_role("button", name="Make gold").click()
    page.get_by_text("It is gold now.").wait_for()
    assert GoldKey.objects.get().promoted_from == task

    page.get_by_role("link", name="Write gold: tone").click()
    page.get_by_label("Text").fill("Get lost.")
    page.get_by_role("button", name="Go on to the key").click()
    page.locator("[data-question][data-active]").wait_for()
    page.get_by_role("button", name="Make it gold").click()
    page.locator("[data-problem]:not([hidden])").wait_for()
    page.get_by_label(WRONG).check()
    page.get_by_role("button", name="Make it gold").click()
    page.get_by_text("handed out from now on").wait_for()
    written = GoldKey.objects.get(source="written")
    assert (written.task.data["text"], written.answers["labels"]["labels"]) == ("Get lost.", [WRONG])

    page.get_by_role("link", name="Get lost.").click()
    page.locator("[data-question][data-active]").wait_for()
    page.get_by_label("neither").check()
    page.get_by_role("button", name="Save the key").click()
    page.get_by_text("The key is corrected.").wait_for()
    written.refresh_from_db()
    assert written.answers["labels"]["labels"] == ["neither"]
    page.get_by_role("button", name="Retire").click()
    page.get_by_text("handed out no more").wait_for()
    assert Task.objects.get(pk=written.task_id).state == Task.State.ARCHIVED


def test_a_manager_blocks_and_lifts_with_a_reason(cast, sign_in):
    queue = mixed_queue(cast.project)
    page = sign_in(cast.mona)
    page.goto(f"/p/{cast.project.slug}/gold/")
    for button, reason, state in (("Block", "Too fast.", "BLOCKED"), ("Lift", "We talked.", "GOOD")):
        page.get_by_label("Person").select_option(label=str(cast.bob))
        page.get_by_role("combobox", name="Queue", exact=True).select_option(label=str(queue))
        page.get_by_label("Why").fill(reason)
        page.get_by_role("button", name=button).click()
        page.get_by_text("Done. The person").wait_for()
        standing = Standing.objects.get(actor=cast.bob)
        assert (standing.state, standing.reason) == (Standing.State[state], reason)


def test_gold_of_a_ranking_is_written_on_the_page(cast, sign_in, axe):
    """Content first, then the key by the same keys as on the labeling page: second before first."""
    order = {"name": "order", "kind": "ranking", "text": "Which order?"}
    schema = make_schema(cast.project, order)
    page = sign_in(cast.mona)
    page.goto(f"/p/{cast.project.slug}/gold/new/{schema.public_id}/")
    page.get_by_label("Prompt").fill("How do I descale a kettle?")
    page.get_by_label("Response A").fill("Buy another one.")
    page.get_by_label("Response B").fill("Boil vinegar in it.")
    page.get_by_role("button", name="Go on to the key").click()
    page.locator("[data-question=order][data-active]").wait_for()
    page.get_by_role("heading", name="Which order?").wait_for()
    clean(page, axe)
    page.locator("[data-question=order]").focus()
    page.keyboard.press("2")
    page.keyboard.press("1")
    page.get_by_role("button", name="Make it gold").click()
    page.get_by_text("handed out from now on").wait_for()
    key = GoldKey.objects.get()
    assert key.answers["order"]["ranks"] == [2, 1]
    assert [row.completion.text for row in key.task.candidates.all()] == ["Buy another one.", "Boil vinegar in it."]
    page.goto(f"/p/{cast.project.slug}/gold/{key.task.public_id}/")
    page.locator("[data-question=order]").wait_for()
    clean(page, axe)


def test_what_gold_shows_is_checked_before_the_key_and_can_be_changed(cast, sign_in):
    order = {"name": "order", "kind": "ranking", "text": "Which order?"}
    schema = make_schema(cast.project, order)
    page = sign_in(cast.mona)
    page.goto(f"/p/{cast.project.slug}/gold/new/{schema.public_id}/")
    page.get_by_label("Prompt").fill("[1]")
    page.get_by_label("Response A").fill("One.")
    page.get_by_label("Response B").fill("Two.")
    page.get_by_role("button", name="Go on to the key").click()
    page.get_by_text("expected an object with role and content").wait_for()
    page.get_by_label("Prompt").fill("Which?")
    page.get_by_role("button", name="Go on to the key").click()
    page.get_by_role("button", name="Change what it shows").click()
    assert page.get_by_label("Response B").input_value() == "Two."
