"""What stands around the task: notes, guidelines, sensitive tasks, skips taken back, own answers, own numbers; in Chromium."""

import uuid

import pytest

from annotation.display import order_for
from annotation.models import Annotation, Exposure, GuidelineRead, Note, Skip, Slot
from annotation.services import guidelines, notes, sensitive, slots
from tests.annotation.conftest import make_tasks  # noqa: F401
from tests.e2e.asking import make_schema, make_task

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]
LOOKS = pytest.mark.parametrize(
    ("dark", "width"), [(False, 1366), (True, 320), (True, 640)], ids=["light", "dark-320", "dark-zoomed"]
)
PLACES = ("work/", "work/answers/", "work/notes/", "work/sensitive/", "label/")
OPTIONS = [{"value": "yes", "text": "Yes"}, {"value": "no", "text": "No"}]
ASKED = {"name": "ok", "kind": "labels", "text": "Is it fine?", "options": OPTIONS, "reason": True}


def answer(actor, choice="first"):
    claim = slots.take_next(actor=actor)
    slot = Slot.objects.select_related("task__schema", "task__project").get(pk=claim.slot_id)
    side = {"first": "second", "second": "first"}[choice] if order_for(actor, slot.task) == [1, 0] else choice
    given = {"preference": {"choice": side, "strength": 2, "reason": "It says how."}}
    return slots.submit_answer(
        actor=actor, slot=slot, token=claim.token, key=uuid.uuid4().hex, answers=given, seconds=12.0
    )[0]


@pytest.fixture
def go(cast, sign_in):
    def to(path, actor=None, **options):
        page = sign_in(actor or cast.bob, **options)
        page.goto(f"/p/{cast.project.slug}/{path}")
        return page

    return to


def sharp(project, count=2):
    schema = make_schema(project, ASKED, fields=[{"name": "text", "text": "Text"}])
    return [make_task(schema, data={"text": f"A cruel line {n}.", "sensitive": "insults"}) for n in range(count)]


@LOOKS
@pytest.mark.parametrize("full", [False, True], ids=["empty", "full"])
def test_the_pages_are_clean_by_axe_and_no_wider_than_the_screen(cast, make_tasks, go, axe, dark, width, full):  # noqa: F811
    places = list(PLACES)
    if full:
        make_tasks(4, overlap=2)
        guidelines.publish_guideline(actor=cast.mona, body="# Tone\n\nBe kind.")
        said = [answer(cast.bob), answer(cast.bob)]
        answer(cast.carol)
        note = notes.write_note(actor=cast.bob, text="What of jokes?", key="k", task=said[0].task)
        notes.write_note(actor=cast.bob, text="In general?", key="k2")
        notes.answer_note(actor=cast.mona, note=note, text="No jokes.")
        places.append(f"work/answers/{said[0].public_id}/")
    page = go("", dark=dark, width=width)
    for path in places:
        page.goto(f"/p/{cast.project.slug}/{path}")
        assert axe(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


@LOOKS
def test_the_managers_page_of_notes_is_clean_by_axe(cast, make_tasks, go, axe, dark, width):  # noqa: F811
    [task] = make_tasks(1)
    notes.write_note(actor=cast.bob, text="What of jokes?", key="k", task=task)
    page = go("notes/", actor=cast.mona, dark=dark, width=width)
    assert axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_label("Your answer").fill("No jokes.")
    page.get_by_role("button", name="Answer", exact=True).click()
    page.get_by_role("heading", name="No note waits for an answer").wait_for()
    assert axe(page) == []


def test_a_note_written_without_a_connection_arrives_once_it_is_back(cast, make_tasks, go):  # noqa: F811
    tasks = make_tasks(2)
    page = go("label/")
    page.locator("[data-question]").first.wait_for(state="attached")
    page.context.set_offline(True)
    page.keyboard.press("q")
    page.get_by_label("What do you want to ask or tell?").fill("Is sarcasm unkind?")
    page.get_by_role("button", name="Send").click()
    page.get_by_text("Offline, 1 kept here").wait_for()
    assert not Note.objects.exists()
    with page.expect_response("**/label/note"):
        page.context.set_offline(False)
    note = Note.objects.get()
    assert note.text == "Is sarcasm unkind?"
    assert note.task in tasks


def test_the_author_reads_the_answer_and_the_mark_goes(cast, make_tasks, go):  # noqa: F811
    make_tasks(1)
    note = notes.write_note(actor=cast.bob, text="What of jokes?", key="k")
    notes.answer_note(actor=cast.mona, note=note, text="No jokes.")
    page = go("label/")
    page.get_by_role("link", name="1 answered").click()
    page.get_by_text("new answer").wait_for()
    page.get_by_text("No jokes.").wait_for()
    page.goto(f"/p/{cast.project.slug}/label/")
    assert page.get_by_role("link", name="1 answered").count() == 0


def test_the_guidelines_are_searched_by_keyboard_and_tell_what_changed(cast, make_tasks, go, axe):  # noqa: F811
    make_tasks(1)
    first = guidelines.publish_guideline(
        actor=cast.mona, body="# Tone\n\nBe kind. Kindness counts.\n\n# Facts\n\nCheck."
    )
    guidelines.mark_read(actor=cast.bob, guideline=first)
    guidelines.publish_guideline(
        actor=cast.mona, body="# Tone\n\nBe kind. Kindness counts.\n\n# Facts\n\nCheck every kind of figure."
    )
    page = go("label/")
    page.locator("[data-unread]").wait_for()
    page.keyboard.press("g")
    page.get_by_role("heading", name="Changed since you last read them, in version 1").wait_for()
    assert "Facts" in page.locator("[data-changes] p").first.inner_text()
    assert axe(page) == []
    page.keyboard.press("/")
    page.keyboard.type("KIND")
    assert page.inner_text("#guide-found") == "1 of 3"
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    assert page.inner_text("#guide-found") == "1 of 3"
    page.keyboard.press("Shift+Enter")
    assert page.inner_text("#guide-found") == "3 of 3"
    page.keyboard.press("Control+a")
    page.keyboard.type("nowhere")
    assert page.inner_text("#guide-found") == "Not found"
    assert GuidelineRead.objects.filter(actor=cast.bob).count() == 2
    page.reload()
    assert page.locator("[data-unread]").count() == 0


def test_z_takes_a_skip_back(cast, make_tasks, go):  # noqa: F811
    make_tasks(3)
    page = go("label/")
    page.locator("[data-question]").first.wait_for(state="attached")
    first = page.locator("[data-slot]:not([hidden])").get_attribute("data-slot")
    with page.expect_response("**/skip"):
        page.keyboard.press("s")
    page.get_by_text("Skipped.", exact=True).first.wait_for()
    assert Skip.objects.count() == 1
    page.keyboard.press("z")
    page.locator(f"[data-slot='{first}']:not([hidden])").wait_for()
    assert not Skip.objects.exists()
    page.keyboard.press("1")
    page.keyboard.press("e")
    page.wait_for_function("() => document.querySelector('[data-count]').textContent === '1'")
    assert Annotation.objects.counted().get().slot.task.public_id.removeprefix("tsk_") in first


def test_a_sensitive_task_is_blurred_until_asked_for_and_then_answered(cast, go, axe):
    sharp(cast.project)
    page = go("label/")
    veil = page.locator("[data-slot]:not([hidden]) [data-veil]")
    veil.get_by_text("It is about: insults.").wait_for()
    assert axe(page) == []
    assert "blur" in page.evaluate("getComputedStyle(document.querySelector('.veiled > *')).filter")
    assert page.locator(".dock").is_hidden()
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    page.locator("[data-slot]:not([hidden])[data-opened]").wait_for()
    page.locator(".dock:not([hidden]) [data-question]").first.wait_for()
    assert page.evaluate("getComputedStyle(document.querySelector('[data-opened] > .veiled > *')).filter") == "none"
    page.keyboard.press("1")
    page.keyboard.press("e")
    page.locator("[data-slot]:not([hidden]) [data-veil]:not([hidden])").wait_for()
    page.wait_for_function("() => document.querySelector('[data-count]').textContent === '1'")
    assert Exposure.objects.filter(actor=cast.bob, opened_at__isnull=False).count() == 1


def test_all_of_them_can_be_opened_for_this_tab(cast, go):
    sharp(cast.project, 3)
    page = go("label/")
    page.get_by_role("button", name="Show all until I close this tab").click()
    for count in (1, 2):
        page.locator("[data-slot]:not([hidden])[data-opened]").wait_for()
        page.locator(".dock:not([hidden]) [data-question]").first.wait_for()
        page.keyboard.press("1")
        page.keyboard.press("e")
        page.wait_for_function("n => document.querySelector('[data-count]').textContent === String(n)", arg=count)


def test_what_upsets_is_skipped_without_a_mark(cast, go):
    sharp(cast.project, 1)
    page = go("label/")
    page.locator("[data-veil]").wait_for()
    with page.expect_response("**/skip"):
        page.keyboard.press("s")
    page.get_by_role("heading", name="You are done for now").wait_for()
    assert Skip.objects.get().reason == "upsetting"
    assert not Exposure.objects.exists()


def test_a_key_that_comes_before_the_veil_hears_is_not_lost(cast, sign_in):
    sharp(cast.project, 1)
    page = sign_in(cast.bob)
    coming = []
    page.route("**/veil*.mjs", lambda route: coming.append(route))
    page.goto(f"/p/{cast.project.slug}/label/")
    page.locator("[data-veil]").wait_for()
    while not coming:
        page.wait_for_timeout(50)
    page.keyboard.press("s")
    with page.expect_response("**/skip"):
        coming.pop().continue_()
    page.get_by_role("heading", name="You are done for now").wait_for()
    assert Skip.objects.get().reason == "upsetting"


def test_the_page_says_when_the_limit_is_reached_and_goes_on_with_others(cast, make_tasks, go):  # noqa: F811
    sharp(cast.project, 3)
    make_tasks(1)
    sensitive.set_limit(actor=cast.mona, per_hour=1, per_day=None)
    page = go("label/")
    page.get_by_text("You were handed 1 sensitive task within an hour.").wait_for()
    assert page.locator("[data-slot]").count() == 2
    assert page.locator("[data-slot][data-sensitive]").count() == 1


def test_nobody_has_to_take_them(cast, go):
    sharp(cast.project, 1)
    page = go("work/sensitive/")
    page.get_by_label("Give me no sensitive tasks in this project").check()
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("Nobody is told").first.wait_for()
    page.goto(f"/p/{cast.project.slug}/label/")
    page.get_by_role("heading", name="You are done for now").wait_for()


def test_an_own_answer_is_opened_changed_and_stands_in_the_new_form(cast, make_tasks, go, axe):  # noqa: F811
    make_tasks(1)
    old = answer(cast.bob, "first")
    page = go("work/answers/")
    page.locator("tbody a").first.click()
    page.get_by_role("button", name="Change it").wait_for()
    page.wait_for_function("() => document.querySelector('[data-own-questions] :checked')")
    assert page.evaluate("document.querySelector('[data-own-questions]').inert")
    page.keyboard.press("2")
    assert page.locator("[data-own-questions] :checked").get_attribute("value") != "tie", "it is only looked at"
    page.keyboard.press("c")
    page.wait_for_function("() => !document.querySelector('[data-own-questions]').inert")
    assert axe(page) == []
    page.keyboard.press("2")
    page.keyboard.press("e")
    page.wait_for_url(lambda url: old.public_id not in url)
    old.refresh_from_db()
    new = Annotation.objects.get(counted=True)
    assert (old.counted, old.withdrawal.replacement) == (False, new)
    assert new.answers["preference"]["choice"] == "tie"
    page.goto(f"/p/{cast.project.slug}/work/answers/{old.public_id}/")
    page.get_by_role("link", name="What stands now").wait_for()
    assert page.get_by_role("button", name="Change it").count() == 0


# ---- time on task, by a clock of our own


def seconds(page):
    return page.evaluate("import('/static/js/timer.mjs').then((timer) => timer.seconds())")


@pytest.fixture
def timed(cast, make_tasks, sign_in):  # noqa: F811
    make_tasks(1)
    page = sign_in(cast.bob)
    page.clock.install()
    page.goto(f"/p/{cast.project.slug}/label/")
    page.locator("[data-question]").first.wait_for(state="attached")
    page.evaluate("import('/static/js/timer.mjs').then((timer) => timer.restart())")
    return page


def test_time_counts_while_somebody_moves(timed):
    for _ in range(4):
        timed.mouse.move(100, 100)
        timed.clock.run_for(15_000)
        timed.mouse.move(200, 200)
    assert seconds(timed) == pytest.approx(60, abs=1)


def test_time_stops_a_minute_after_the_last_sign(timed):
    timed.clock.run_for(600_000)
    assert seconds(timed) == pytest.approx(60, abs=1)


def test_the_sleep_of_the_computer_counts_for_nothing(timed):
    timed.clock.run_for(10_000)
    timed.clock.fast_forward(50_000)
    timed.mouse.move(100, 100)
    timed.clock.run_for(5_000)
    assert seconds(timed) == pytest.approx(15, abs=2)


def test_a_hidden_tab_counts_for_nothing(timed):
    timed.clock.run_for(10_000)
    timed.evaluate("Object.defineProperty(document, 'hidden', { value: true, configurable: true })")
    timed.clock.run_for(30_000)
    timed.evaluate("Object.defineProperty(document, 'hidden', { value: false, configurable: true })")
    timed.clock.run_for(5_000)
    assert seconds(timed) == pytest.approx(15, abs=1)


def test_only_the_tab_that_has_the_focus_counts(timed):
    timed.clock.run_for(10_000)
    timed.evaluate("document.hasFocus = () => false")
    timed.clock.run_for(30_000)
    assert seconds(timed) == pytest.approx(10, abs=1)
