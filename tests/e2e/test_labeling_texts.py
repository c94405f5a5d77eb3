"""Texts are sorted into classes by keyboard, beside pairs, and where people are told at once how they did."""

import pytest

from annotation.models import Annotation, Group, Queue, Standing
from annotation.services import gold
from annotation.services.standings import block
from tests.annotation.conftest import make_tasks  # noqa: F401
from tests.annotation.gold import RIGHT, WRONG, Chance, make_golds, make_texts, mixed_queue
from tests.e2e.test_labeling import wait_for_answers

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]


def test_texts_and_pairs_are_labeled_by_keyboard_in_one_sitting(cast, make_tasks, sign_in, axe):  # noqa: F811
    make_texts(cast.project, 2)
    make_tasks(1)
    page = sign_in(cast.bob)
    page.goto(f"/p/{cast.project.slug}/label/")
    page.get_by_role("heading", name="How does it sound?").first.wait_for()
    first = page.locator("[data-slot]:not([hidden])").get_attribute("data-slot")
    assert axe(page) == []

    page.keyboard.press("Enter")
    page.get_by_text("Choose a label first.").first.wait_for()
    page.keyboard.press("2")
    page.keyboard.press("r")
    page.keyboard.type("It shouts.")
    page.keyboard.press("Control+Enter")
    wait_for_answers(page, 1)
    said = Annotation.objects.get().answers["labels"]
    assert (said["labels"], said["reason"]) == ([WRONG], "It shouts.")

    page.keyboard.press("z")
    wait_for_answers(page, 0)
    assert page.locator("[data-slot]:not([hidden])").get_attribute("data-slot") == first
    assert page.locator("[name=labels]:checked").get_attribute("value") == WRONG, "the answer is there again"
    page.keyboard.press("1")
    page.keyboard.press("f")
    page.keyboard.press("Enter")
    wait_for_answers(page, 1)
    said = Annotation.objects.counted().get().answers["labels"]
    assert (said["labels"], said["flags"]) == ([RIGHT], ["review"])

    page.keyboard.press("3")
    page.keyboard.press("e")
    wait_for_answers(page, 2)
    page.locator(".dock [data-kind=pairwise]").wait_for()
    assert page.locator("[data-options]").count() == 0
    page.keyboard.press("1")
    page.keyboard.press("e")
    wait_for_answers(page, 3)
    assert Annotation.objects.counted().latest("pk").answers["preference"]["strength"] == 1


def test_several_labels_are_toggled_and_none_takes_two_presses(cast, sign_in):
    make_texts(cast.project, 2, multiple=True)
    page = sign_in(cast.bob)
    page.goto(f"/p/{cast.project.slug}/label/")
    for key in ("1", "2", "3", "2", "Enter"):
        page.keyboard.press(key)
    wait_for_answers(page, 1)
    assert Annotation.objects.get().answers["labels"]["labels"] == [RIGHT, "neither"]
    page.keyboard.press("Enter")
    page.get_by_text("Submit once more to say that none fits.").first.wait_for()
    page.keyboard.press("e")
    wait_for_answers(page, 2)
    assert Annotation.objects.latest("pk").answers["labels"]["labels"] == []


def test_passing_a_test_leads_on_to_work_without_a_reload(cast, sign_in):
    group = Group.objects.create(project=cast.project, name="Trained")
    mixed_queue(cast.project, group=group)
    make_texts(cast.project, 1)
    entry = Queue.objects.create(project=cast.project, name="entry", position=1, qualifies_for=group, pass_after=1)
    gold.forget_settings(cast.project.pk)
    make_golds(cast, 1, entry)
    page = sign_in(cast.bob)
    page.goto(f"/p/{cast.project.slug}/label/")
    page.get_by_text("Gold ").wait_for()
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    page.locator("[data-slot]:not([hidden]) .plain").get_by_text("Text ").wait_for()


@pytest.mark.parametrize(("dark", "width"), [(False, 1366), (True, 390)])
def test_an_answer_to_gold_is_told_calmly_before_the_next_task(cast, sign_in, axe, monkeypatch, dark, width):
    monkeypatch.setattr(gold, "_chance", Chance(0.0))
    mixed_queue(cast.project, gold_rate=0.5, gold_feedback=True)
    make_texts(cast.project, 2)
    make_golds(cast, 1, explanation="It says please.")
    page = sign_in(cast.bob, dark=dark, width=width)
    page.goto(f"/p/{cast.project.slug}/label/")
    page.keyboard.press("2")
    page.keyboard.press("Enter")
    page.get_by_text("That one had a known answer, and it is another one").first.wait_for()
    page.get_by_text("It says please.").wait_for()
    assert axe(page) == []
    assert page.locator(".dock").is_hidden()
    assert page.locator(".toast").is_hidden(), "nothing can be taken back"
    page.keyboard.press("Enter")
    page.locator("[data-slot]:not([hidden])").wait_for()
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    wait_for_answers(page, 2)
    page.locator("[data-slot]:not([hidden])").wait_for()


def test_whoever_is_barred_reads_why_and_what_to_do(cast, sign_in, axe):
    queue = mixed_queue(cast.project)
    make_texts(cast.project, 1)
    block(actor=cast.mona, person=cast.bob, queue=queue, reason="Talk to Mona on Monday.")
    assert Standing.objects.get(actor=cast.bob).state == Standing.State.BLOCKED
    page = sign_in(cast.bob)
    page.goto(f"/p/{cast.project.slug}/label/")
    page.get_by_role("heading", name="Nothing more for you here, for now").wait_for()
    page.get_by_text("Talk to Mona on Monday.").wait_for()
    assert axe(page) == []
