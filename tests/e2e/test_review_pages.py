"""A reviewer settles by keyboard; annotators read what came of their answers."""

import pytest

from annotation.display import order_for, questions_of, restore
from annotation.models import Annotation, Case, Slot, Task
from annotation.services.reviews import next_case, release_case
from annotation.services.settling import settle
from annotation.services.slots import submit_answer, take_next
from tests.annotation.review_story import asks, decision, routed, say
from tests.e2e.asking import make_schema, make_task
from tests.factories import make_annotators, make_completion, make_prompt

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]
BOTH = pytest.mark.parametrize(("dark", "width"), [(False, 1366), (True, 390)], ids=["light-wide", "dark-phone"])


@pytest.fixture
def split(cast):
    """`split(3)`: cases of three answers each, two for the first candidate and one against."""
    from annotation.services.tasks import create_pairwise_tasks

    people = make_annotators(cast.project, 3)

    def make(count=1):
        asked = []
        for number in range(count):
            prompt = make_prompt(cast.project, f"How do I descale kettle {number}?")
            pair = (make_completion(prompt, "Boil **vinegar** in it."), make_completion(prompt, "Buy another one."))
            [task] = create_pairwise_tasks(actor=cast.mona, pairs=[pair], overlap=3)
            asks(cast.project, review_below=0.9)
            said = [say(task, person, side) for person, side in zip(people, ("first", "first", "second"), strict=True)]
            asked.append((routed(task), said))
        return asked

    return make


def flaws(page, axe, *paths):
    found, start = [], page.url
    for path in paths:
        page.goto(start + path)
        found += [f"{path}: {text}" for text in axe(page)]
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            found.append(f"{path}: wider than the screen")
    return found


@BOTH
def test_the_review_pages_are_clean_by_axe(cast, split, sign_in, axe, dark, width):
    (waits, _said), (settled, said) = split(2)
    page = sign_in(cast.mona, dark=dark, width=width)
    page.goto(f"/p/{cast.project.slug}/review/")
    case = f"{waits.public_id}/"
    assert flaws(page, axe, "", case) == []
    page.goto(f"/p/{cast.project.slug}/review/{case}")
    page.keyboard.press("t")
    page.get_by_role("button", name="Settle").wait_for()
    assert axe(page) == []
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
    rulings = dict(zip(said, ("accept", "accept", "fix"), strict=True))
    settle(actor=cast.carol, case=settled, decision=decision(settled, rulings, adopt=said[0], comment="See the rule."))
    page.goto(f"/p/{cast.project.slug}/review/")
    assert flaws(page, axe, f"{settled.public_id}/") == []
    page.goto(f"/p/{cast.project.slug}/rulings/")
    assert axe(page) == []


def test_a_reviewer_settles_by_keyboard_and_the_next_case_loads(cast, split, sign_in):
    """Of three answers one differs: the digit lets one stand, accepts the one alike, corrects the other; x rejects it."""
    (first, said), (second, _said) = split(2)
    page = sign_in(cast.carol)
    page.goto(f"/p/{cast.project.slug}/review/")
    page.get_by_role("heading", name="2 tasks wait for a reviewer").wait_for()
    page.keyboard.press("n")
    page.wait_for_url(f"**/{first.public_id}/")
    panels = page.locator("[data-answer]")
    names = [panel.locator("input[type=radio]").first.get_attribute("name") for panel in panels.all()]
    odd = next(n for n in (1, 2, 3) if "second" in _choice(page, first, n))
    alike = next(n for n in (1, 2, 3) if n != odd)
    page.keyboard.press(str(alike))
    checked = [page.locator(f"input[name={name}]:checked").get_attribute("value") for name in names]
    assert checked == ["fix" if n == odd else "accept" for n in (1, 2, 3)]
    for _ in range(odd - alike if odd > alike else alike - odd):
        page.keyboard.press("j" if odd > alike else "k")
    page.keyboard.press("x")
    page.keyboard.press("c")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/{second.public_id}/")
    page.get_by_text("Settled. Its annotators are told.").wait_for()
    first.refresh_from_db()
    assert (first.state, first.cause, first.reviewer) == (Case.State.SETTLED, "ambiguous", cast.carol)
    assert Annotation.objects.get(settlement=True).answers["preference"]["choice"] == "first"
    said[2].refresh_from_db()
    assert not said[2].counted
    assert Task.objects.get(pk=first.task_id).resolution == Task.Resolution.SETTLED


def _choice(page, case, number):
    """What answer `number` says in the candidates' own order, read from the database: the page shows it turned."""
    from annotation.services.reviews import answer_name

    said = Annotation.objects.filter(task=case.task_id, settlement=False)
    named = sorted(said, key=lambda one: answer_name(case, one.public_id))
    return named[number - 1].answers["preference"]["choice"]


def test_a_case_that_somebody_else_settled_is_said_to_be_gone(cast, split, sign_in):
    """Another reviewer settles first: the page says so, keeps what was typed, and does not fail."""
    [(case, said)] = split()
    page = sign_in(cast.carol)
    page.goto(f"/p/{cast.project.slug}/review/")
    page.keyboard.press("n")
    page.get_by_label("To all of them (optional)").fill("Read the guide.")
    page.keyboard.press("Escape")
    page.keyboard.press("1")
    page.keyboard.press("c")
    page.keyboard.press("Space")
    held = next_case(actor=cast.carol)
    release_case(actor=cast.carol, case=held)
    settle(actor=cast.mona, case=case, decision=decision(case, dict.fromkeys(said, "accept")))
    page.keyboard.press("Enter")
    page.get_by_text("This case is not yours any more").wait_for()


def test_an_annotator_reads_what_came_of_an_answer(cast, split, sign_in):
    [(case, said)] = split()
    rulings = dict(zip(said, ("accept", "accept", "reject"), strict=True))
    settle(actor=cast.carol, case=case, decision=decision(case, rulings, comment="Vinegar is in the guide."))
    page = sign_in(said[2].actor)
    page.goto(f"/p/{cast.project.slug}/rulings/")
    page.get_by_role("heading", name="Your answer was rejected").wait_for()
    page.get_by_text("you: reject").wait_for()
    page.get_by_text("Vinegar is in the guide.").wait_for()
    page.get_by_text("The task as you saw it").click()
    page.get_by_text("Buy another one.").wait_for()
    assert page.get_by_text(str(cast.carol)).count() == 0
    page.get_by_role("button", name="Mark all as read").click()
    page.get_by_text("Nothing new.").wait_for()


def test_an_empty_review_page_teaches_what_comes_here(cast, sign_in):
    page = sign_in(cast.carol)
    page.goto(f"/p/{cast.project.slug}/review/")
    page.get_by_role("heading", name="What comes here").wait_for()


SPANS = {
    "name": "marks",
    "kind": "spans",
    "text": "Who?",
    "field": "text",
    "options": [{"value": "who", "text": "Who"}],
}
FIELD = {"name": "text", "text": "Text"}


def disagreed(cast, schema, answers, **task):
    """A case of two answers that differ; `answers` name candidates by their ordinals."""
    asked = make_task(schema, overlap=2, **task)
    asks(cast.project, review_below=0.9)
    for person, said in zip(make_annotators(cast.project, 2), answers, strict=True):
        claim = take_next(actor=person)
        slot = Slot.objects.select_related("task__schema").get(pk=claim.slot_id)
        shown = restore(questions_of(asked), said, order_for(person, asked))
        submit_answer(actor=person, slot=slot, token=claim.token, key="k", answers=shown)
    return routed(asked)


def open_case(page, cast, case):
    page.goto(f"/p/{cast.project.slug}/review/{case.public_id}/")
    page.keyboard.press("t")
    page.get_by_role("button", name="Settle").wait_for()


def test_a_disagreement_on_an_order_is_settled_by_an_own_one(cast, sign_in, axe):
    """The answers stand as lists; the reviewer ranks what was shown, by digits, and rejects both."""
    order = {"name": "order", "kind": "ranking", "text": "Which order?"}
    said = [{"order": {"ranks": [1, 2, 3]}}, {"order": {"ranks": [3, 2, 1]}}]
    case = disagreed(cast, make_schema(cast.project, order), said, prompt="Kettle?", candidates=["X", "Y", "Z"])
    page = sign_in(cast.carol)
    open_case(page, cast, case)
    assert page.locator(".said-order").count() == 2
    for number in (1, 2):
        page.locator(f"[data-answer='{number}'] input[value=reject]").check()
    page.keyboard.press("o")
    question = page.locator("[data-question=order][data-active]")
    question.wait_for()
    assert axe(page) == []
    question.focus()
    for key in "213":
        page.keyboard.press(key)
    page.locator("input[name=cause]").first.check()
    page.get_by_role("button", name="Settle").click()
    page.get_by_text("Settled. Its annotators are told.").wait_for()
    settlement = Annotation.objects.get(settlement=True)
    shown = restore(questions_of(case.task), settlement.answers, settlement.display_order)
    assert shown["order"]["ranks"] == [2, 1, 3]


def test_marks_in_a_text_are_shown_where_they_stand_and_settled_by_own_ones(cast, sign_in, axe):
    """Ann and Bo were marked by one each; the reviewer marks the first word by keyboard."""
    marked = lambda start, end: {"marks": {"spans": [{"id": "a", "start": start, "end": end, "label": "who"}]}}  # noqa: E731
    schema = make_schema(cast.project, SPANS, fields=[FIELD])
    case = disagreed(cast, schema, [marked(0, 3), marked(8, 10)], data={"text": "Ann met Bo."})
    page = sign_in(cast.carol)
    open_case(page, cast, case)
    assert {text.split()[-1] for text in page.locator(".said-spans mark").all_inner_texts()} == {"Ann", "Bo"}
    for number in (1, 2):
        page.locator(f"[data-answer='{number}'] input[value=reject]").check()
    page.keyboard.press("o")
    page.locator("[data-question=marks][data-active]").wait_for()
    assert axe(page) == []
    page.locator("[data-question=marks]").focus()
    page.keyboard.press("t")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("1")
    page.locator("input[name=cause]").first.check()
    page.get_by_role("button", name="Settle").click()
    page.get_by_text("Settled. Its annotators are told.").wait_for()
    [span] = Annotation.objects.get(settlement=True).answers["marks"]["spans"]
    assert (span["label"], case.task.data["text"][span["start"] : span["end"]]) in {
        ("who", word) for word in ("Ann", "met", "Bo")
    }
