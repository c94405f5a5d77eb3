"""A manager shapes the queue in the browser: queues, people, batches; clean by axe, light and dark, wide and narrow."""

from datetime import timedelta

import pytest

from annotation.models import Batch, Group, Queue, Slot
from annotation.services import slots
from annotation.services.batches import create_batch
from annotation.services.groups import add_to_group, create_group
from annotation.services.queues import create_queue
from ground import clock
from tests.annotation.conftest import make_tasks  # noqa: F401
from tests.annotation.test_queue import answer

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]
LOOKS = [{"dark": False, "width": 1366}, {"dark": True, "width": 390}]


@pytest.fixture
def go(cast, sign_in):
    def to(path, **options):
        page = sign_in(cast.mona, **options)
        page.goto(f"/p/{cast.project.slug}/queue/{path}")
        return page

    return to


def flaws(go, axe, *paths):
    """What axe finds in both looks, and pages wider than the screen."""
    found = []
    for look in LOOKS:
        page = go(paths[0], **look)
        start = page.url.removesuffix(paths[0])
        for path in paths:
            page.goto(start + path)
            found += [f"{path} {look}: {text}" for text in axe(page)]
            if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                found.append(f"{path} {look}: wider than the screen")
    return found


def test_a_queue_is_made_in_the_browser_and_the_pages_are_clean(cast, go, axe):
    law = create_group(actor=cast.mona, name="law", kind="skill")
    page = go("queues/")
    page.get_by_role("link", name="New queue").click()
    page.get_by_label("Name").fill("legal")
    page.get_by_label("Conditions").fill("metadata.area is law")
    page.get_by_label("Who may work here").select_option("law")
    page.get_by_role("button", name="Make the queue").click()
    page.get_by_text("Line 1").wait_for()
    page.get_by_label("Conditions").fill("metadata.area eq law")
    page.get_by_role("button", name="Make the queue").click()
    page.get_by_text("The queue legal is there.").wait_for()
    queue = Queue.objects.get(project=cast.project, name="legal")
    assert queue.group == law
    page.get_by_role("button", name="Pause legal").click()
    page.get_by_text("The queue legal is paused.").wait_for()
    assert flaws(go, axe, "queues/", "queues/new", f"queues/{queue.public_id}/") == []


def test_people_are_put_into_a_group_by_keyboard_and_the_page_is_clean(cast, go, axe):
    page = go("people/")
    page.get_by_text("No groups yet").wait_for()
    page.get_by_label("Name").fill("law")
    page.keyboard.press("Enter")
    page.get_by_text("The group law is there.").wait_for()
    page.get_by_label("Add", exact=True).select_option(str(cast.bob))
    page.get_by_role("button", name="Add to law").press("Enter")
    page.get_by_role("button", name=f"Remove {cast.bob} from law").wait_for()
    assert list(Group.objects.get().members.values_list("actor", flat=True)) == [cast.bob.pk]
    create_queue(actor=cast.mona, name="legal", group=Group.objects.get())
    empty = create_group(actor=cast.mona, name="art")
    add_to_group(actor=cast.mona, group=empty, member=cast.carol)
    assert flaws(go, axe, "people/") == []


def test_a_batch_shows_its_burndown_and_the_pages_are_clean(cast, go, axe, make_tasks):  # noqa: F811
    """20 wanted, 2, 3, 4 and 3 given on the last days: 8 remain; a budget below what was given says so."""
    page = go("batches/")
    page.get_by_text("No batch yet").wait_for()
    page.get_by_label("Name").fill("June")
    page.get_by_role("button", name="Make the batch").click()
    page.get_by_role("heading", name="June").wait_for()
    batch = Batch.objects.get()
    work(cast, make_tasks(20, batch=batch))
    page.reload()
    page.get_by_text("Done between").wait_for()
    page.get_by_text("8 of 20 judgements remain").wait_for()
    page.get_by_label("Due").fill((clock.now() + timedelta(days=30)).date().isoformat())
    page.get_by_label("Budget").fill("10")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("2 judgements beyond the budget").wait_for()
    create_batch(actor=cast.mona, name="July")
    Batch.objects.filter(pk=batch.pk).update(budget=None)
    Slot.objects.filter(state=Slot.State.HELD).update(state=Slot.State.OPEN)
    assert flaws(go, axe, "batches/", f"batches/{batch.public_id}/") == []


def work(cast, tasks):
    """Bob gives 2, 3, 4 and 3 answers, a day apart, the last of them an hour ago."""
    with clock.stopped(clock.now() - timedelta(days=3, hours=1)) as moved:
        for today in (2, 3, 4, 3):
            for _ in range(today):
                answer(cast.bob, slots.take_next(actor=cast.bob))
            moved.advance(days=1)
