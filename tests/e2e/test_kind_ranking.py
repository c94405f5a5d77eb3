"""Candidates are put in order: by keyboard, by pointer and by the selects on the cards."""

import json

import pytest

from annotation.models import Annotation
from tests.e2e.asking import ask, press, submitted, wait_for_answers

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]
TEXTS = ["Rake it out and regrout.", "Push new grout over it.", "Call a tiler.", "Use silicone by the bath."]
GROUT = {"prompt": "The grout is cracking. Can I fix it?", "candidates": TEXTS}


def ranking(**more):
    return {"name": "order", "kind": "ranking", "text": "Put the answers in order", **more}


def exported(api, cast):
    """What the export says: ranks by ordinal."""
    lines = api(cast.mona).get(f"/api/v1/projects/{cast.project.slug}/export.jsonl").getvalue().decode().splitlines()
    return [json.loads(line) for line in lines]


def stored(page):
    """Submit, and read the answer as it is kept: by ordinal, wherever a candidate stood."""
    submitted(page)
    return Annotation.objects.counted().latest("pk").answers["order"]


def by_text(page):
    """The number that stands on each card, by its text."""
    cards = page.locator("[data-slot]:not([hidden]) [data-candidate]")
    return {
        cards.nth(n).locator(".prose").inner_text().strip(): cards.nth(n).locator("header > kbd").inner_text()
        for n in range(cards.count())
    }


def ranks_of(answer):
    return dict(zip(TEXTS, answer["ranks"], strict=True))


def test_numbers_rank_best_first_with_a_tie_and_one_taken_back(cast, sign_in, axe, api):
    page = ask(sign_in, cast, ranking(all_bad=True, reason=True), **GROUT)
    key = by_text(page)
    first, second, third, fourth = (key[text] for text in TEXTS)
    press(page, "Enter")
    page.get_by_text("Place every answer first.").first.wait_for()
    press(page, fourth, second, "Backspace", first, "=", third)
    assert page.get_by_text("1 left.").count()
    assert axe(page) == []
    press(page, second, "r")
    page.keyboard.type("Silicone holds.")
    assert ranks_of(stored(page)) == {TEXTS[3]: 1, TEXTS[0]: 2, TEXTS[2]: 2, TEXTS[1]: 3}
    (line,) = exported(api, cast)
    said = line["annotations"][0]["answers"]["order"]
    assert (said["ranks"], said["reason"]) == ([2, 3, 2, 1], "Silicone holds.")


def test_the_numeric_pad_ranks_with_one_hand_and_ties_can_be_switched_off(cast, sign_in):
    page = ask(sign_in, cast, ranking(tie=False), **GROUT)
    key = by_text(page)
    press(
        page,
        *(f"Numpad{key[text]}" for text in TEXTS[:2]),
        "0",
        *(f"Numpad{key[text]}" for text in TEXTS[2:]),
        "NumpadEnter",
    )
    page.get_by_text("Submitted:").first.wait_for()
    wait_for_answers(page, 1)
    assert Annotation.objects.get().answers["order"]["ranks"] == [1, 2, 3, 4], "0 ties nothing here"


def test_alt_and_arrows_move_the_focused_chip_and_nothing_else(cast, sign_in):
    page = ask(sign_in, cast, ranking(), **GROUT)
    key = by_text(page)
    here = page.url
    press(page, *(key[text] for text in TEXTS))
    page.locator(".tier [data-chip]").last.focus()
    press(page, "Alt+ArrowLeft", "Alt+ArrowLeft")
    assert order_of(page) == [[TEXTS[0]], [TEXTS[3]], [TEXTS[1]], [TEXTS[2]]]
    press(page, "Alt+ArrowDown")
    assert order_of(page) == [[TEXTS[0], TEXTS[3]], [TEXTS[1]], [TEXTS[2]]]
    press(page, "Alt+ArrowRight", "Alt+ArrowRight")
    assert order_of(page) == [[TEXTS[0]], [TEXTS[1]], [TEXTS[3]], [TEXTS[2]]]
    assert page.url == here
    assert stored(page)["ranks"] == [1, 2, 4, 3]


def order_of(page):
    key = {number: text for text, number in by_text(page).items()}
    letters = page.evaluate(
        """() => [...document.querySelectorAll(".tier:not(.pool)")].map(
          (tier) => [...tier.querySelectorAll("[data-chip]")].map((chip) => chip.firstChild.data))"""
    )
    return [[key[str("ABCD".index(letter) + 1)] for letter in tier] for tier in letters]


def drag(page, chip, target, share):
    """Onto a place: near its beginning, in its middle, near its end."""
    start, box = chip.bounding_box(), target.bounding_box()
    page.mouse.move(start["x"] + start["width"] / 2, start["y"] + start["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=4)
    page.mouse.move(box["x"] + box["width"] * share, box["y"] + box["height"] / 2, steps=4)
    page.mouse.up()


def test_chips_are_dragged_before_onto_and_after_a_place(cast, sign_in):
    page = ask(sign_in, cast, ranking(), **GROUT)
    chip = lambda letter: page.locator("[data-chip]", has_text=letter).first  # noqa: E731
    tier = lambda n: page.locator(".tier").nth(n)  # noqa: E731
    letters = lambda: page.locator("[data-kind=ranking] .ask output").inner_text()  # noqa: E731
    chip("B").click()
    drag(page, chip("C"), tier(0), 0.1)
    assert letters() == "C > B"
    drag(page, chip("D"), tier(1), 0.5)
    assert letters() == "C > B = D"
    drag(page, chip("A"), tier(1), 0.95)
    assert letters() == "C > B = D > A"
    drag(page, chip("D"), tier(0), 0.9)
    assert letters() == "C > D > B > A"
    submitted(page)


def test_the_selects_on_the_cards_rank_too(cast, sign_in, axe):
    page = ask(sign_in, cast, ranking(), screen={"dark": True, "width": 320, "height": 720}, **GROUT)
    for letter, place in (("A", "1"), ("B", "1"), ("C", "2"), ("D", "2")):
        page.get_by_label(f"Place of answer {letter}", exact=True).select_option(place)
    assert page.locator(".dock .ask output").text_content() == "A = B > C = D"
    assert axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    submitted(page)


def test_all_bad_flags_and_a_better_one_go_with_the_order(cast, sign_in):
    page = ask(sign_in, cast, ranking(all_bad=True, rewrite=True), **GROUT)
    key = by_text(page)
    press(page, *(key[text] for text in TEXTS), "x", f"Shift+Digit{key[TEXTS[1]]}", "Space")
    card = page.locator("[data-candidate]", has_text=TEXTS[1])
    card.get_by_text("Write a better one").click()
    page.keyboard.type("Seal it with silicone.")
    kept = stored(page)
    assert kept["all_bad"] is True
    assert kept["flags"] == ["second:wrong_fact"], "told of the ordinal, wherever it stood"
    assert kept["rewrite"] == {"of": "second", "text": "Seal it with silicone."}


def test_a_half_made_order_survives_a_reload(cast, sign_in):
    page = ask(sign_in, cast, ranking(), **GROUT)
    press(page, "3", "1", "=", "2")
    page.get_by_text("Saved ").wait_for()
    page.reload()
    page.locator(".tier").first.wait_for()
    assert page.locator(".dock .ask output").inner_text() == "C > A = B"
    press(page, "4")
    submitted(page)


def test_any_two_answers_are_compared(cast, sign_in):
    page = ask(sign_in, cast, ranking(), **GROUT)
    press(page, "d", "2", "4")
    assert page.evaluate("CSS.highlights.has('diff')")
    assert page.locator("[data-compare]").inner_text().startswith("B – D")
    assert page.locator(".tier:not(.pool)").count() == 0, "the numbers chose whom to compare"
    press(page, "d", "1")
    assert not page.evaluate("CSS.highlights.has('diff')")
    assert page.locator(".dock .ask output").inner_text() == "A"
