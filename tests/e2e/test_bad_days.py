"""What goes wrong while somebody labels: nothing typed is lost, and the person is told what happened."""

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from annotation.models import Annotation, Slot, Task
from annotation.services.tasks import current_schema
from tests.e2e.asking import ask, make_schema, make_task, open_label, press, submitted, wait_for_answers
from tests.factories import make_annotators

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]
FIELDS = [{"name": "text", "text": "Text"}]
DATA = {"text": "Get lost."}
STORY = {"name": "story", "kind": "text", "text": "What is it about?"}
SHOWN = "[data-slot]:not([hidden])"
STORY_FIELD = "[data-question=story] [data-text]"


def told(page, words):
    page.locator("[data-notes]").get_by_text(words).first.wait_for()


def type_raw(page, text):
    """What no keyboard types but a paste may bring: characters by their escapes."""
    js = f"field => {{ field.value = '{text}'; field.dispatchEvent(new Event('input', {{ bubbles: true }})); }}"
    page.locator(STORY_FIELD).evaluate(js)


def stories(cast, count):
    schema = make_schema(cast.project, STORY, fields=FIELDS)
    return [make_task(schema, data={"text": f"Text {n}"}) for n in range(count)]


def test_work_goes_on_without_a_connection_and_each_answer_arrives_once(cast, sign_in):
    stories(cast, 3)
    page = open_label(sign_in(cast.bob), cast.project)
    keys = []
    page.on("request", lambda request: keys.append(request.post_data) if request.url.endswith("/submit") else None)
    page.context.set_offline(True)
    for words in ("One", "Two"):
        press(page, "c")
        page.keyboard.type(words)
        press(page, "Control+Enter")
    page.get_by_text("Offline, 2 kept here").wait_for()
    page.wait_for_timeout(2500)
    page.context.set_offline(False)
    wait_for_answers(page, 2)
    said = [row.answers["story"]["text"] for row in Annotation.objects.order_by("pk")]
    assert said == ["One", "Two"]
    first = [body.partition("&key=")[2].partition("&")[0] for body in keys if "One" in body]
    assert len(first) > 1, "the page tried more than once"
    assert len(set(first)) == 1, "under the same key"


def test_the_same_task_in_two_tabs_is_told_and_counts_once(cast, sign_in):
    stories(cast, 1)
    one = open_label(sign_in(cast.bob), cast.project)
    two = one.context.new_page()
    open_label(two, cast.project)
    press(two, "c")
    two.keyboard.type("Written in the second tab")
    press(one, "c")
    one.keyboard.type("Written in the first tab")
    one.keyboard.press("Control+Enter")
    one.get_by_role("heading", name="You are done for now").wait_for()
    told(two, "You answered this task in another tab just now.")
    assert two.locator(STORY_FIELD).input_value() == "Written in the second tab"
    two.keyboard.press("Control+Enter")
    two.wait_for_function("() => document.querySelector('[data-notes]').textContent.includes('kept as an extra one')")
    assert list(Annotation.objects.order_by("pk").values_list("counted", "surplus")) == [(True, False), (False, True)]
    assert Annotation.objects.last().answers["story"]["text"] == "Written in the second tab"


def test_a_lease_that_ends_while_somebody_types_is_told_and_the_text_still_goes_out(cast, sign_in):
    [task] = stories(cast, 1)
    page = open_label(sign_in(cast.bob), cast.project)
    press(page, "c")
    page.keyboard.type("Half of it")
    page.locator(".save[data-state=saved]").wait_for()
    [other] = make_annotators(cast.project, 1)
    lost = {"actor": other, "lease_token": uuid.uuid4(), "lease_expires_at": timezone.now() + timedelta(minutes=5)}
    Slot.objects.filter(task=task).update(**lost)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    told(page, "Your time for this task ended")
    page.keyboard.type(", and the rest")
    assert page.locator(STORY_FIELD).input_value() == "Half of it, and the rest"
    press(page, "Control+Enter")
    page.wait_for_function("() => document.body.textContent.includes('kept as an extra one')")
    assert Annotation.objects.get().answers["story"]["text"] == "Half of it, and the rest"


def test_whoever_is_signed_out_while_typing_loses_nothing(cast, sign_in):
    from tests.factories import PASSWORD

    stories(cast, 2)
    page = open_label(sign_in(cast.bob), cast.project)
    press(page, "c")
    page.keyboard.type("Typed before")
    page.context.clear_cookies(name="sessionid")
    page.keyboard.type(" and after")
    told(page, "You were signed out.")
    assert page.locator(STORY_FIELD).input_value() == "Typed before and after"
    press(page, "Control+Enter")
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Sign in").click()
    tab = opened.value
    tab.get_by_label("Email").fill(cast.bob.user.email)
    tab.get_by_label("Password").fill(PASSWORD)
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/label/")
    wait_for_answers(tab, 1)
    assert Annotation.objects.get().answers["story"]["text"] == "Typed before and after"


def changed_schema(cast, task):
    """The task asks for another set of labels and has lost its second question."""
    tone = {"name": "tone", "kind": "labels", "text": "Tone now?", "options": options("kind", "neutral")}
    body = {**task.schema.body, "questions": [tone, STORY]}
    Task.objects.filter(pk=task.pk).update(schema=current_schema(cast.project, task.schema.name, body))


def options(*values):
    return [{"value": value, "text": value.title()} for value in values]


BEFORE = (
    {"name": "tone", "kind": "labels", "text": "Tone?", "options": options("rude", "kind")},
    STORY,
    {"name": "why", "kind": "text", "text": "Why?"},
)


def test_questions_that_change_under_an_open_task_keep_what_fits_and_show_the_rest(cast, sign_in, axe):
    page = ask(sign_in, cast, *BEFORE, fields=FIELDS, data=DATA)
    press(page, "1", "j", "c")
    page.keyboard.type("A threat")
    press(page, "Escape", "j")
    page.locator("[data-question=why] [data-text]").fill("It says so")
    changed_schema(cast, Task.objects.get())
    press(page, "Control+Enter")
    told(page, "The questions of this task were changed while you had it open.")
    kept = page.locator("[data-notes] [data-kept]").inner_text()
    assert kept == "rude: It says so"
    assert page.locator("[data-question=tone] h2").inner_text() == "Tone now?"
    assert page.locator(STORY_FIELD).input_value() == "A threat"
    assert page.locator("[data-question=why]").count() == 0
    assert Annotation.objects.count() == 0
    assert axe(page) == []
    page.locator("body").click(position={"x": 5, "y": 5})
    page.get_by_label("Neutral").check()
    said = submitted(page)
    assert (said["tone"]["labels"], said["story"]["text"]) == (["neutral"], "A threat")


def test_a_change_is_noticed_before_the_answer_is_sent(cast, sign_in):
    page = ask(sign_in, cast, *BEFORE, fields=FIELDS, data=DATA)
    press(page, "2")
    changed_schema(cast, Task.objects.get())
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    told(page, "The questions of this task were changed while you had it open.")
    assert page.locator("[data-question=tone] :checked").get_attribute("value") == "kind"


def test_an_answer_of_two_hundred_kilobytes_is_kept_and_taken(cast, sign_in):
    page = ask(sign_in, cast, STORY, fields=FIELDS, data=DATA)
    words = "plumb line " * 18_200
    page.locator(STORY_FIELD).fill(words)
    page.locator(".save[data-state=saved]").wait_for()
    page.reload()
    page.wait_for_function(f"() => document.querySelector('{STORY_FIELD}')?.value.length === {len(words)}")
    assert submitted(page)["story"]["text"] == words


def test_an_answer_the_server_refuses_comes_back_to_the_question(cast, sign_in):
    page = ask(sign_in, cast, STORY, fields=FIELDS, data=DATA)
    type_raw(page, "half a pair: \\ud800")
    press(page, "Control+Enter")
    page.locator("[data-question=story] [data-problem]").get_by_text("holds half a surrogate pair").wait_for()
    assert page.locator(STORY_FIELD).evaluate("field => field.value.charCodeAt(field.value.length - 1)") == 0xD800
    assert Annotation.objects.count() == 0
    page.locator(STORY_FIELD).fill("A whole one.")
    assert submitted(page)["story"]["text"] == "A whole one."


HOSTILE = {
    "script": "<script>window.pwned = 1</script><img src=x onerror='window.pwned = 1'>",
    "right to left": "\u202etxet desrever\u202c and on",
    "one long line": "W" * 1_000_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_is_shown_as_it_is_and_taken_as_it_is(cast, sign_in, text):
    page = ask(sign_in, cast, STORY, fields=FIELDS, data={"text": text})
    assert page.evaluate("window.pwned") is None
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth"), "wider than the screen"
    typed = text[:200_000]
    page.locator(STORY_FIELD).fill(typed)
    assert submitted(page)["story"]["text"] == typed
    assert page.evaluate("window.pwned") is None


def test_a_nul_character_is_named_before_anything_is_sent(cast, sign_in):
    page = ask(sign_in, cast, STORY, fields=FIELDS, data=DATA)
    type_raw(page, "a\\0b")
    press(page, "Control+Enter")
    page.locator("[data-question=story] [data-problem]").get_by_text("NUL character").wait_for()
    assert Annotation.objects.count() == 0
    assert page.locator(STORY_FIELD).input_value() == "a\0b"
