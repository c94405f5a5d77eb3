"""Each kind of question is answered by keyboard alone and read back through the API as it was said."""

import pytest

from tests.e2e.asking import ask, make_schema, make_task, open_label, press, submitted

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]
PAIR = {"prompt": "How do I descale a kettle?", "candidates": ["Boil vinegar in it.", "Use bleach."]}
TEXT = {"fields": [{"name": "text", "text": "Text"}], "data": {"text": "Get lost."}}


def pairwise(**more):
    return {"name": "better", "kind": "pairwise", "text": "Which is better?", **more}


def test_steps_ask_for_a_side_and_then_by_how_much(cast, sign_in, axe):
    page = ask(sign_in, cast, pairwise(strength="steps"), **PAIR)
    press(page, "3", "Enter")
    page.get_by_text("Say by how much: 1, 2 or 3.").first.wait_for()
    assert axe(page) == []
    press(page, "3", "1", "2")
    said = submitted(page)["better"]
    assert (said["choice"], said["strength"]) == ("first", 2)


def test_without_strength_a_side_is_enough_and_a_tie_can_be_switched_off(cast, sign_in):
    page = ask(sign_in, cast, pairwise(tie=False, neither=False), **PAIR)
    press(page, "2", "4", "Enter")
    page.get_by_text("Choose one of the two first.").first.wait_for()
    press(page, "3")
    said = submitted(page)["better"]
    assert (said["choice"], said["strength"]) == ("second", None)


def test_aspects_are_compared_row_by_row_with_the_same_keys(cast, sign_in, axe):
    aspects = [{"name": "true", "text": "Truth"}, {"name": "kind", "text": "Kindness"}]
    page = ask(sign_in, cast, pairwise(strength=True, aspects=aspects), **PAIR)
    press(page, "1", "1", "j", "2", "Enter")
    page.get_by_text("Choose a side, a tie or both bad first.").first.wait_for()
    assert axe(page) == []
    press(page, "3")
    said = submitted(page)["better"]
    assert said["aspects"] == {"true": {"choice": "first", "strength": 2}, "kind": {"choice": "tie", "strength": None}}
    assert (said["choice"], said["strength"]) == ("second", 1)


def test_candidates_are_flagged_and_a_better_one_is_written(cast, sign_in, axe):
    page = ask(sign_in, cast, pairwise(rewrite=True, reason=True), **PAIR)
    press(page, "Shift+Digit3", "Tab", "Space", "Shift+Tab")
    press(page, *("Tab",) * 4, "Enter")
    page.keyboard.type("Use citric acid.")
    press(page, "Escape", "4", "r")
    page.keyboard.type("Neither is safe.")
    assert axe(page) == []
    said = submitted(page)["better"]
    assert said["choice"] == "neither"
    assert said["flags"] == ["second:unsafe"]
    assert said["rewrite"] == {"of": "second", "text": "Use citric acid."}
    assert said["reason"] == "Neither is safe."


def test_labels_in_a_tree_are_found_by_typing_and_bring_their_parents(cast, sign_in, axe):
    animals = [{"value": f"animal{n}", "text": f"Animal {n}"} for n in range(14)]
    options = [{"value": "animal", "text": "Animals", "children": animals}, {"value": "plant", "text": "Plants"}]
    question = {"name": "what", "kind": "labels", "text": "What is it?", "options": options, "multiple": True, "max": 2}
    page = ask(sign_in, cast, question, **TEXT)
    press(page, "/")
    page.keyboard.type("animal 13")
    press(page, "Enter", "Escape")
    assert page.locator("[data-implied]").inner_text().startswith("Animals")
    assert axe(page) == []
    press(page, "2", "3")
    page.get_by_text("Choose at most 2: take one away first.").first.wait_for()
    said = submitted(page)["what"]
    assert said["labels"] == ["animal0", "animal13"]


def test_letters_choose_labels_after_the_digits(cast, sign_in):
    options = [{"value": f"v{n}", "text": f"Label {n}"} for n in range(12)]
    page = ask(sign_in, cast, {"name": "what", "kind": "labels", "text": "What is it?", "options": options}, **TEXT)
    press(page, "0")
    assert page.locator("output").first.inner_text() == "Label 9"
    press(page, "b")
    assert submitted(page)["what"]["labels"] == ["v11"]


ASPECTS = [
    {"name": "correct", "text": "Correct", "anchors": {"1": "Dangerous or false", "5": "Nothing wrong"}},
    {"name": "clear", "text": "Clear"},
    {"name": "tone", "text": "Tone", "required": False},
]


def rating(**more):
    return {"name": "marks", "kind": "rating", "text": "How good is it?", "aspects": ASPECTS, **more}


def test_digits_rate_an_aspect_and_open_the_next(cast, sign_in, axe):
    page = ask(sign_in, cast, rating(notes=True), **TEXT)
    press(page, "5")
    page.get_by_text("Nothing wrong", exact=True).last.wait_for()
    press(page, "Enter")
    page.get_by_text("Rate “Clear”.").first.wait_for()
    assert axe(page) == []
    press(page, "2", "k", "m")
    page.keyboard.type("Hard to follow.")
    said = submitted(page)["marks"]
    assert said["ratings"] == {"correct": 5, "clear": 2}
    assert said["notes"] == {"clear": "Hard to follow."}


def test_each_candidate_is_rated_beside_it(cast, sign_in, axe):
    page = ask(sign_in, cast, rating(each="candidates", aspects=ASPECTS[:2], scale=10), **PAIR)
    press(page, "1", "2", "0", "Enter")
    page.get_by_text("Rate “Clear” of answer B.").first.wait_for()
    assert axe(page) == []
    press(page, "4")
    said = submitted(page)["marks"]
    assert said["ratings"] == [{"correct": 1, "clear": 2}, {"correct": 10, "clear": 4}]


def test_each_turn_of_the_assistant_is_rated_below_it(cast, sign_in, axe):
    turns = [("user", "Hi"), ("assistant", "Hello."), ("user", "Help?"), ("assistant", "No.")]
    chat = [{"role": role, "content": content} for role, content in turns]
    fields = [{"name": "talk", "text": "Talk", "kind": "chat"}]
    page = ask(
        sign_in, cast, rating(each="turns", field="talk", aspects=ASPECTS[1:2]), fields=fields, data={"talk": chat}
    )
    assert axe(page) == []
    press(page, "4", "1")
    assert submitted(page)["marks"]["ratings"] == [None, {"clear": 4}, None, {"clear": 1}]


def test_flags_are_raised_with_notes_and_nothing_is_an_answer(cast, sign_in, axe):
    options = [{"value": "rude", "text": "Rude"}, {"value": "private", "text": "Private data", "review": True}]
    flags = {"name": "wrong", "kind": "flags", "text": "Anything wrong?", "options": options}
    schema = make_schema(cast.project, flags, fields=TEXT["fields"])
    make_task(schema, data=TEXT["data"])
    make_task(schema, data=TEXT["data"])
    page = open_label(sign_in(cast.bob), cast.project)
    press(page, "Enter")
    page.get_by_text("Raise a flag, or say that there is nothing to flag.").first.wait_for()
    press(page, "Shift+Digit2", "m")
    page.keyboard.type("A phone number.")
    assert axe(page) == []
    assert submitted(page, 1)["wrong"]["raised"] == [{"value": "private", "note": "A phone number."}]
    press(page, "0")
    assert submitted(page, 2)["wrong"]["raised"] == []


def test_text_is_counted_against_what_was_asked_for(cast, sign_in, axe):
    question = {"name": "story", "kind": "text", "text": "Tell it.", "min": 3, "max": 5, "enforce": True}
    page = ask(sign_in, cast, question, **TEXT)
    press(page, "c")
    page.keyboard.type("Too short")
    press(page, "Control+Enter")
    page.get_by_text("Too short: 2 of at least 3.").first.wait_for()
    assert axe(page) == []
    page.keyboard.type(" no more.")
    page.get_by_text("Words: 4, 3 to 5 asked for").wait_for()
    assert submitted(page)["story"]["text"] == "Too short no more."


KINDS = [{"value": "a", "text": "Advice"}, {"value": "o", "text": "Other"}]
QUESTIONS = (
    {"name": "kind", "kind": "labels", "text": "Of what kind?", "options": KINDS},
    {"name": "what", "kind": "text", "text": "What else is it?", "when": {"question": "kind", "is": "o"}},
    rating(aspects=ASPECTS[:2], reason="required"),
    {"name": "more", "kind": "text", "text": "Anything more?", "required": False},
)  # fmt: skip


def test_several_questions_are_walked_and_what_is_missing_is_listed(cast, sign_in, axe):
    page = ask(sign_in, cast, *QUESTIONS, **TEXT)
    assert page.locator("[data-question=what]").is_hidden()
    press(page, "2")
    page.locator("[data-question=what]").wait_for()
    press(page, "Enter")
    assert page.locator("[data-gaps] li").all_inner_texts() == [
        "What else is it? Write something first.",
        "How good is it? Rate “Correct”.",
    ]
    assert page.evaluate("document.activeElement.closest('[data-question]').dataset.question") == "what"
    assert axe(page) == []
    page.keyboard.type("A threat.")
    press(page, "Escape", "j", "4", "5", "k", "r")
    page.keyboard.type("It says so.")
    said = submitted(page)
    assert said["kind"]["labels"] == ["o"]
    assert said["what"]["text"] == "A threat."
    assert said["marks"]["ratings"] == {"correct": 4, "clear": 5}
    assert said["marks"]["reason"] == "It says so."
    assert "more" not in said


def test_an_answer_taken_back_comes_back_whole(cast, sign_in):
    page = ask(sign_in, cast, *QUESTIONS, **TEXT)
    press(page, "1", "j", "3", "4", "k", "r")
    page.keyboard.type("Because.")
    submitted(page)
    press(page, "z")
    page.get_by_text("Taken back.").first.wait_for(state="attached")
    assert page.locator("[data-question=kind] :checked").get_attribute("value") == "a"
    assert page.locator("[data-question=marks] :checked").count() == 2
    assert page.locator("[data-question=marks] [data-reason]").input_value() == "Because."
