"""Places in a text are marked and related: by keyboard alone and by mouse, in code points whatever the script."""

import json

import pytest

from tests.e2e.asking import ask, press, submitted

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]
FIELDS = [{"name": "note", "text": "Survey note"}]
TEXT = (
    "🙂 In March 2024 the Harbour Museum in Tromsø asked Ingrid Sletten to survey the trawler Havbris.\nShe said yes."
)
OPTIONS = [
    {"value": "person", "text": "Person"},
    {"value": "organisation", "text": "Organisation"},
    {"value": "place", "text": "Place"},
    {"value": "date", "text": "Date"},
]
RELATIONS = [
    {"value": "works_for", "text": "works for", "subject": ["person"], "object": ["organisation"]},
    {"value": "is_in", "text": "is in", "object": ["place"]},
]


def spans(**more):
    return {"name": "names", "kind": "spans", "text": "Mark the names", "field": "note", "options": OPTIONS, **more}


def relations(**more):
    options = {"options": RELATIONS, **more}
    return {"name": "links", "kind": "relations", "text": "Relate them", "spans": "names", **options}


def exported(api, cast):
    lines = api(cast.mona).get(f"/api/v1/projects/{cast.project.slug}/export.jsonl").getvalue().decode().splitlines()
    return json.loads(lines[0])["annotations"][0]["answers"]


def places(answer, text=TEXT):
    return [(text[one["start"] : one["end"]], one["label"]) for one in answer["names"]["spans"]]


def highlighted(page, name):
    """What is painted under a name once the page has drawn what was pressed."""
    return page.evaluate(
        """async (name) => {
          for (const frame of [1, 2]) await new Promise(requestAnimationFrame);
          return [...(CSS.highlights.get(name) ?? [])].map((range) => range.toString());
        }""",
        name,
    )


def test_names_are_marked_by_keyboard_and_read_back_in_code_points(cast, sign_in, axe, api):
    page = ask(sign_in, cast, spans(notes=True), fields=FIELDS, data={"note": TEXT})
    press(page, "Enter")
    page.get_by_text("Nothing is marked. Submit once more").first.wait_for()
    press(page, "t", *("ArrowRight",) * 2, "Shift+ArrowRight")
    assert highlighted(page, "cursor") == ["March 2024"]
    press(page, "4", *("ArrowRight",) * 2, "Shift+ArrowRight", "2", "Shift+ArrowLeft", "3")
    assert highlighted(page, "s3") == ["Harbour"]
    press(page, "m")
    page.keyboard.type("Part of the name.")
    press(page, "Escape", "n", "n")
    assert highlighted(page, "cursor") == ["March 2024"], "after the last comes the first"
    press(page, "p", "Backspace", "n")
    page.locator(".marks .line").first.wait_for()
    assert page.locator(".marks .tag").all_inner_texts() == ["Date", "Place"]
    assert axe(page) == []
    submitted(page)
    said = exported(api, cast)
    assert places(said) == [("March 2024", "date"), ("Harbour", "place")]
    assert said["names"]["spans"][0]["start"] == 5
    assert said["names"]["spans"][1]["note"] == "Part of the name."


def test_a_selection_is_widened_and_narrowed_by_character_from_both_ends(cast, sign_in):
    page = ask(sign_in, cast, spans(), fields=FIELDS, data={"note": "naïve👨‍👩‍👧tests, e\u0301t\u0301"})
    text = "naïve👨‍👩‍👧tests, e\u0301t\u0301"
    press(page, "t", "w", "Shift+ArrowRight")
    assert highlighted(page, "cursor") == ["naïve👨‍👩‍👧"], "a family is one character"
    press(page, "1", "o", "Shift+ArrowRight", "Shift+ArrowRight")
    assert highlighted(page, "cursor") == ["ïve👨‍👩‍👧"]
    press(page, "2", "w", "End", "3")
    found = places(submitted(page), text)
    assert found == [("naïve👨‍👩‍👧", "person"), ("ïve👨‍👩‍👧", "organisation"), ("e\u0301t\u0301", "place")]


def test_right_to_left_and_markdown_are_marked_in_their_source(cast, sign_in, axe):
    text = "כתבה **דנה כהן** מ[תל אביב](x).\r\nThen she left.\tשלום"
    fields = [{"name": "note", "text": "Note", "kind": "markdown"}]
    page = ask(sign_in, cast, spans(), fields=fields, data={"note": text})
    assert page.evaluate("document.querySelector('.doc .plain').textContent") == text
    press(page, "t", "ArrowLeft", "Shift+ArrowLeft")
    assert highlighted(page, "cursor") == ["דנה כהן"], "left is forward here"
    press(page, "1", "ArrowDown")
    assert highlighted(page, "cursor")[0] in text.split("\r\n")[1]
    press(page, "Home", "End", "3", "ArrowUp")
    assert axe(page) == []
    assert places(submitted(page), text) == [("דנה כהן", "person"), ("שלום", "place")]


def test_dragging_and_clicking_mark_and_choose(cast, sign_in):
    page = ask(sign_in, cast, spans(), fields=FIELDS, data={"note": TEXT})
    drag(page, "ngrid", "Slett")
    assert highlighted(page, "cursor") == ["Ingrid Sletten"], "whole words, where the arrows move by word"
    page.get_by_role("button", name="Person", exact=False).first.click()
    click(page, "Tromsø")
    page.locator("[data-label=place]").click()
    click(page, "Ingrid")
    assert highlighted(page, "cursor") == ["Ingrid Sletten"], "a click on a mark chooses the mark"
    click(page, "Ingrid")
    assert highlighted(page, "cursor") == ["Ingrid"], "and again the word"
    page.locator("[data-list] [data-remove]").last.click()
    assert places(submitted(page)) == [("Tromsø", "place")]


def spot(page, words):
    return page.evaluate(
        """(words) => {
          const walk = document.createTreeWalker(document.querySelector(".doc .plain"), NodeFilter.SHOW_TEXT);
          for (let node; (node = walk.nextNode());) {
            const at = node.data.indexOf(words);
            if (at < 0) continue;
            const range = new Range();
            range.setStart(node, at); range.setEnd(node, at + words.length);
            const box = range.getBoundingClientRect();
            return [box.left + 2, box.right - 2, box.top + box.height / 2];
          }
        }""",
        words,
    )


def click(page, words):
    left, right, y = spot(page, words)
    page.mouse.click((left + right) / 2, y)
    page.wait_for_timeout(60)


def drag(page, start, end):
    (left, _right, y), (_left, right, lower) = spot(page, start), spot(page, end)
    page.mouse.move(left, y)
    page.mouse.down()
    page.mouse.move(right, lower, steps=6)
    page.mouse.up()
    page.wait_for_timeout(60)


def test_marks_may_be_kept_from_overlapping_and_another_label_replaces(cast, sign_in):
    page = ask(sign_in, cast, spans(overlap=False), fields=FIELDS, data={"note": "Ingrid Sletten wrote"})
    press(page, "t", "Shift+ArrowRight", "1", "Shift+ArrowLeft", "2")
    assert "Marks may not overlap here" in page.locator("#live").inner_text()
    press(page, "n", "3")
    assert places(submitted(page), "Ingrid Sletten wrote") == [("Ingrid Sletten", "place")]


def test_marks_and_relations_survive_a_reload_and_nothing_is_an_answer(cast, sign_in):
    page = ask(sign_in, cast, spans(), relations(required=False), fields=FIELDS, data={"note": TEXT})
    press(page, "t", "4", "ArrowRight", "3", "p", "r", "n", "Enter")
    page.get_by_text("Saved ").wait_for()
    page.reload()
    page.locator(".marks .tag").first.wait_for()
    assert sorted(page.locator(".marks .tag").all_inner_texts()) == ["Date", "Place"]
    assert page.locator("[data-kind=relations] [data-list] li").count() == 1
    for _ in range(2):
        page.locator("[data-kind=spans] [data-list] [data-remove]").first.click()
    press(page, "Control+Enter")
    page.get_by_text("Nothing is marked. Submit once more").first.wait_for()
    assert submitted(page)["names"]["spans"] == []


def test_relations_are_drawn_by_keyboard_between_marks_that_fit(cast, sign_in, axe, api):
    page = ask(sign_in, cast, spans(), relations(), fields=FIELDS, data={"note": TEXT})
    press(
        page,
        "t",
        *("ArrowRight",) * 5,
        "Shift+ArrowRight",
        "2",
        *("ArrowRight",) * 2,
        "3",
        *("ArrowRight",) * 2,
        "Shift+ArrowRight",
        "1",
    )
    live = page.locator("#live")
    press(page, "r", "1", "n")
    assert live.inner_text() == "Ingrid Sletten works for Harbour Museum"
    press(page, "n")
    assert live.inner_text() == "Ingrid Sletten is in Tromsø"
    press(page, "1")
    assert "does not go with these two marks" in live.inner_text()
    press(page, "p", "Enter")
    assert live.inner_text().startswith("Added: Ingrid Sletten works for Harbour Museum")
    press(page, "r", "n", "n", "Enter", "r", "Escape")
    page.locator(".marks svg path").nth(3).wait_for(state="attached")
    assert page.locator(".marks .rel").all_inner_texts() == ["works for", "is in"]
    assert axe(page) == []
    press(page, "n", "Backspace")
    page.get_by_text("Relations gone with it: 1.").first.wait_for()
    press(page, "2")
    assert page.locator("[data-kind=relations] [data-list] li").count() == 2, (
        "the mark is back, and so is what hung on it"
    )
    submitted(page)
    said = exported(api, cast)
    text = {one["id"]: TEXT[one["start"] : one["end"]] for one in said["names"]["spans"]}
    told = {(text[one["subject"]], one["predicate"], text[one["object"]]) for one in said["links"]["relations"]}
    assert told == {("Ingrid Sletten", "works_for", "Harbour Museum"), ("Ingrid Sletten", "is_in", "Tromsø")}


def test_relations_are_made_by_mouse(cast, sign_in):
    page = ask(sign_in, cast, spans(), relations(), fields=FIELDS, data={"note": TEXT})
    for words, label in (("Ingrid", "person"), ("Tromsø", "place")):
        click(page, words)
        page.locator(f"[data-label={label}]").click()
    click(page, "Ingrid")
    page.get_by_role("button", name="Relate the current mark").click()
    click(page, "Tromsø")
    page.get_by_role("button", name="Add", exact=False).click()
    (one,) = submitted(page)["links"]["relations"]
    assert one["predicate"] == "is_in"


@pytest.mark.parametrize(("dark", "width"), [(True, 320), (False, 640)])
def test_marking_fits_a_narrow_screen_in_both_themes(cast, sign_in, axe, dark, width):
    page = ask(
        sign_in, cast, spans(notes=True), relations(), fields=FIELDS, data={"note": TEXT},
        screen={"dark": dark, "width": width, "height": 800},
    )  # fmt: skip
    press(page, "t", "4", "Shift+ArrowRight", "3", "Shift+ArrowRight", "2", "Shift+ArrowRight", "1", "n", "r", "n")
    page.locator(".marks .line").first.wait_for()
    assert axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_labels_are_searched_where_there_are_many(cast, sign_in):
    many = [{"value": f"v{n}", "text": f"Label {n:03}"} for n in range(60)]
    page = ask(sign_in, cast, spans(options=many), fields=FIELDS, data={"note": TEXT})
    press(page, "t", "a", "/")
    page.keyboard.type("label 042")
    press(page, "Enter")
    assert [label for _text, label in places(submitted(page))] == ["v10", "v42"]


def test_fifty_thousand_characters_stay_quick(cast, sign_in):
    text = " ".join(f"word{n} 🙂 née" for n in range(3600))
    page = ask(sign_in, cast, spans(), fields=FIELDS, data={"note": text[:50_000]})
    press(page, "t")
    slowest = page.evaluate(
        """async () => {
          const doc = document.querySelector(".doc"), took = [], frame = () => new Promise(requestAnimationFrame);
          const key = (name, code = name) => {
            const began = performance.now();
            doc.dispatchEvent(new KeyboardEvent("keydown", { key: name, code, bubbles: true, cancelable: true }));
            took.push(performance.now() - began);
          };
          for (let n = 0; n < 300; n += 1) {
            key("ArrowRight");
            key("1", "Digit1");
            if (n % 50 === 0) await frame();
          }
          await frame();
          await frame();
          took.sort((a, b) => a - b);
          const marks = document.querySelectorAll(".marks .tag").length;
          return { median: took[took.length >> 1], p95: took[Math.floor(took.length * 0.95)], marks };
        }"""
    )
    assert slowest["marks"] == 300
    assert slowest["median"] < 100, slowest
    assert slowest["p95"] < 1500, slowest
    stored = submitted(page)["names"]["spans"]
    assert len(stored) == 300
    assert text[stored[-1]["start"] : stored[-1]["end"]].strip() == text[stored[-1]["start"] : stored[-1]["end"]]
