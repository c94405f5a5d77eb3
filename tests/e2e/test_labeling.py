"""A person labels by keyboard alone, and nothing they do is lost."""

import pytest

from annotation.models import Annotation, Slot
from tests.annotation.conftest import make_tasks  # noqa: F401

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]


def wait_for_answers(page, count):
    page.wait_for_function("n => document.querySelector('[data-count]').textContent === String(n)", arg=count)


def test_a_person_chooses_submits_undoes_and_skips_by_keyboard(cast, make_tasks, sign_in):  # noqa: F811
    make_tasks(4)
    page = sign_in(cast.bob)
    page.goto(f"/p/{cast.project.slug}/label/")
    first = page.locator("[data-slot]:not([hidden])").get_attribute("data-slot")
    assert page.locator("[data-slot][hidden]").count() == 1, "the next task is already in the page"

    page.keyboard.press("3")
    page.keyboard.press("3")
    page.keyboard.press("e")
    wait_for_answers(page, 1)
    stored = Annotation.objects.get()
    left_is_ordinal = stored.display_order[0]
    assert stored.answers["preference"]["choice"] == ("second" if left_is_ordinal == 0 else "first")
    assert stored.answers["preference"]["strength"] == 2
    assert page.locator("[data-slot]:not([hidden])").get_attribute("data-slot") != first

    page.keyboard.press("z")
    wait_for_answers(page, 0)
    assert page.locator("[data-slot]:not([hidden])").get_attribute("data-slot") == first
    assert page.locator("[name=preference]:checked").get_attribute("value") == "second:2", "the answer is there again"

    page.keyboard.press("2")
    page.keyboard.press("Enter")
    wait_for_answers(page, 1)
    assert Annotation.objects.counted().get().answers["preference"]["choice"] == "tie"

    page.keyboard.press("s")
    page.wait_for_function("() => document.querySelectorAll('[data-slot]').length === 2")
    page.keyboard.press("4")
    page.keyboard.press("r")
    page.keyboard.type("Neither answers the question.")
    page.keyboard.press("Control+Enter")
    wait_for_answers(page, 2)
    last = Annotation.objects.counted().latest("pk").answers["preference"]
    assert (last["choice"], last["reason"]) == ("neither", "Neither answers the question.")


def test_nothing_is_lost_when_the_connection_breaks(cast, make_tasks, sign_in):  # noqa: F811
    make_tasks(3)
    page = sign_in(cast.bob)
    page.goto(f"/p/{cast.project.slug}/label/")
    page.context.set_offline(True)
    page.keyboard.press("1")
    page.keyboard.press("e")
    page.get_by_text("Offline, 1 kept here").wait_for()
    assert Annotation.objects.count() == 0
    page.context.set_offline(False)
    wait_for_answers(page, 1)
    assert Annotation.objects.counted().count() == 1


def test_signed_out_while_labeling_says_so_and_keeps_the_answer(cast, make_tasks, sign_in):  # noqa: F811
    make_tasks(2)
    page = sign_in(cast.bob)
    page.goto(f"/p/{cast.project.slug}/label/")
    page.context.clear_cookies(name="sessionid")
    page.keyboard.press("1")
    page.keyboard.press("e")
    page.get_by_text("You were signed out.").wait_for()
    assert Annotation.objects.count() == 0
    assert Slot.objects.filter(state=Slot.State.LEASED).count() == 2


def test_a_draft_survives_a_reload(cast, make_tasks, sign_in):  # noqa: F811
    make_tasks(1)
    page = sign_in(cast.bob)
    page.goto(f"/p/{cast.project.slug}/label/")
    page.wait_for_function("() => performance.getEntriesByName('label-ready').length")
    page.keyboard.press("r")
    page.keyboard.type("Half a thought")
    page.locator(".save[data-state=saved]").get_by_text("Saved").wait_for()
    page.reload()
    page.wait_for_function("() => document.querySelector('[name=reason]').value === 'Half a thought'")


@pytest.mark.parametrize(("dark", "width"), [(False, 1366), (True, 390)])
def test_the_labeling_page_is_clean_by_axe(cast, make_tasks, sign_in, axe, dark, width):  # noqa: F811
    make_tasks(2)
    page = sign_in(cast.bob, dark=dark, width=width)
    page.goto(f"/p/{cast.project.slug}/label/")
    assert axe(page) == []


def test_an_empty_queue_teaches_what_comes_next(cast, sign_in, axe):
    page = sign_in(cast.bob)
    page.goto(f"/p/{cast.project.slug}/label/")
    page.get_by_role("heading", name="You are done for now").wait_for()
    page.wait_for_load_state("networkidle")
    assert page.locator(".save").text_content() == "", "nothing was there to be saved"
    assert not page.locator(".count .num").is_visible(), "0 / 0"
    assert not page.get_by_role("button", name="Why this task?").is_visible()
    assert axe(page) == []


def test_a_person_asks_why_this_task_came_and_the_answer_goes_with_it(cast, make_tasks, sign_in, axe):  # noqa: F811
    make_tasks(2)
    page = sign_in(cast.bob)
    page.goto(f"/p/{cast.project.slug}/label/")
    page.get_by_role("button", name="Why this task?").click()
    page.locator("[data-kind=why]").get_by_text("main").wait_for()
    assert axe(page) == []
    page.keyboard.press("2")
    page.keyboard.press("e")
    wait_for_answers(page, 1)
    assert page.locator("[data-kind=why]").count() == 0
