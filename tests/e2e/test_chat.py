"""A person talks with two models side by side, by keyboard alone; replies stream from a real gateway process."""

import json
import threading
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import pytest

from annotation.models import Annotation, ChatReply, ChatTurn, Conversation
from feedback.models import Preference
from feedback.services import drain_outbox
from models_registry.models import Completion, Deployment
from tests.annotation import chat_story as story
from tests.factories import make_prompt
from tests.models_registry.kit import FakeBackend, command, gateway, until

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]


@pytest.fixture(scope="module")
def address(django_db_setup: None, django_db_blocker: Any) -> Iterator[str]:
    with gateway(PLUMBLINE_CHAT_STALE_SECONDS="2", PLUMBLINE_GATEWAY_TIMEOUT="20") as (found, _process):
        yield found


@pytest.fixture
def fake() -> Iterator[FakeBackend]:
    backend = FakeBackend()
    yield backend
    backend.release.set()
    backend.shutdown()
    backend.server_close()


@pytest.fixture
def reach(settings: Any) -> Callable[[str], None]:
    """The pages send browsers to this gateway, and let them go there."""

    def to(address: str) -> None:
        settings.GATEWAY_PUBLIC_URL = address
        policy = deepcopy(settings.CONTENT_SECURITY_POLICY)
        policy["DIRECTIVES"]["connect-src"] = ["'self'", address]
        settings.CONTENT_SECURITY_POLICY = policy

    return to


@pytest.fixture
def versions(cast: Any, fake: FakeBackend, reach: Any, address: str) -> list[Any]:
    reach(address)
    found = story.two_versions(cast.project)
    for version, name in zip(found, ("kestrel", "osprey"), strict=True):
        story.serve(cast.project, version, fake.url, name)
    return found


def open_task(sign_in: Any, cast: Any, **options: Any) -> Any:
    page = sign_in(cast.bob, **options)
    page.set_default_timeout(40_000)  # the gateway, the model and the browser share the machine
    page.goto(f"/p/{cast.project.slug}/label/")
    page.locator("[data-chat-count]").wait_for()
    page.wait_for_function("() => document.querySelector('[data-chat-count]').textContent !== ''")
    return page


def say(page: Any, text: str) -> None:
    page.keyboard.press("c")
    page.keyboard.type(text)
    page.keyboard.press("Control+Enter")


def replies(page: Any, turn: int, state: str = "done") -> Any:
    return page.locator(f"[data-chat-turn='{turn}'] [data-reply][data-state='{state}']")


def wait_for(page: Any, turn: int, count: int = 2, state: str = "done") -> None:
    replies(page, turn, state).nth(count - 1).wait_for()


def choose(page: Any, turn: int, key: str) -> None:
    page.keyboard.press(key)
    page.locator(f"[data-chat-turn='{turn}']:not([data-choice=''])").wait_for()


def test_a_whole_talk_by_keyboard_becomes_an_answer_and_preferences(cast, versions, sign_in, api, axe):
    story.make_chat_tasks(cast.project, turns={"min": 2}, system="Be brief.")
    page = open_task(sign_in, cast)
    page.keyboard.press("e")
    page.get_by_text("Write to the models first.").first.wait_for()

    page.keyboard.press("Escape")
    say(page, "slow 60")
    page.wait_for_function(
        "() => document.querySelectorAll('[data-chat-turn=\"0\"] .plain')[1]?.textContent.includes('-2 ')"
    )
    assert axe(page) == [], "while replies stream"
    wait_for(page, 0)
    page.get_by_text("Choose with 1 or 2").first.wait_for(state="attached")
    choose(page, 0, "2")
    page.keyboard.press("e")
    page.get_by_text("at least 2 turns").first.wait_for()

    page.keyboard.press("Escape")
    say(page, "slow 3")
    wait_for(page, 1)
    assert axe(page) == [], "with two turns"
    choose(page, 1, "1")
    html = page.content()
    assert not any(name in html for name in ("talker", "ver_", "cmp_", "dep_", "Be brief"))
    page.keyboard.press("e")
    page.wait_for_function("() => document.querySelector('[data-count]').textContent === '1'")

    stored = Annotation.objects.get()
    turns = stored.answers["talk"]["turns"]
    assert [turn["user"] for turn in turns] == ["slow 60", "slow 3"]
    shown = [
        turn["order"][{"first": 0, "second": 1}[place]] for turn, place in zip(turns, ("second", "first"), strict=True)
    ]
    assert [("first", "second")[ordinal] for ordinal in shown] == [turn["choice"] for turn in turns]
    second = ChatTurn.objects.get(index=1)
    chosen = Completion.objects.get(public_id=turns[0]["replies"][shown[0]])
    assert second.prompt.messages[-2:] == [
        {"role": "assistant", "content": chosen.text},
        {"role": "user", "content": "slow 3"},
    ]
    lines = b"".join(api(cast.mona).get(f"/api/v1/projects/{cast.project.slug}/export.jsonl").streaming_content)
    assert json.loads(lines)["annotations"][0]["answers"]["talk"]["turns"] == turns
    drain_outbox()
    assert [row.prompt_id for row in Preference.objects.order_by("pk")] == list(
        ChatTurn.objects.order_by("index").values_list("prompt_id", flat=True)
    )


def test_a_reload_in_the_middle_restores_everything_and_a_stop_keeps_what_came(cast, versions, sign_in):
    story.make_chat_tasks(cast.project)
    page = open_task(sign_in, cast)
    say(page, "slow 80")
    page.wait_for_function(
        "() => document.querySelectorAll('[data-chat-turn=\"0\"] .plain')[1]?.textContent.includes('-3 ')"
    )
    page.keyboard.press("c")
    page.keyboard.type("half a thou")
    page.reload()
    page.wait_for_function(
        "() => document.querySelectorAll('[data-chat-turn=\"0\"] .plain')[1]?.textContent.includes('-9 ')"
    )
    assert page.locator("[data-chat-composer] textarea").input_value() == "half a thou"
    said = page.locator("[data-chat-turn='0'] [data-reply=first] .plain").text_content().split()
    assert [word.split("-")[1] for word in said] == [str(n) for n in range(len(said))], "no word twice, none lost"
    page.keyboard.press("x")
    wait_for(page, 0)
    page.get_by_text("It ends here, unfinished.").first.wait_for()
    assert set(Completion.objects.values_list("finish_reason", flat=True)) == {"stopped"}
    page.keyboard.press("e")
    page.get_by_text("A message is not sent yet").first.wait_for()


def test_a_model_that_fails_can_be_asked_again(cast, versions, sign_in):
    Deployment.objects.filter(version=versions[1]).update(remote_model="broken")
    story.make_chat_tasks(cast.project)
    page = open_task(sign_in, cast)
    say(page, "slow 2")
    wait_for(page, 0, 1, "failed")
    page.get_by_text("The model cannot be reached.").wait_for()
    Deployment.objects.filter(version=versions[1]).update(remote_model="osprey")
    page.get_by_role("button", name="Have it written again").focus()
    page.keyboard.press("Enter")
    wait_for(page, 0)
    page.locator(".question").focus()
    choose(page, 0, "1")
    assert ChatReply.objects.filter(state=ChatReply.State.DONE).count() == 2


def test_a_connection_that_breaks_loses_nothing(cast, versions, sign_in):
    story.make_chat_tasks(cast.project)
    page = open_task(sign_in, cast)
    page.context.set_offline(True)
    say(page, "slow 3")
    page.get_by_text("The server cannot be reached.").first.wait_for()
    assert page.locator("[data-chat-composer] textarea").input_value() == "slow 3"
    assert not Conversation.objects.exists()
    page.context.set_offline(False)
    wait_for(page, 0)
    assert ChatTurn.objects.count() == 1
    assert page.locator("[data-chat-composer] textarea").input_value() == ""


def test_a_gateway_that_is_killed_in_the_middle_is_awaited(cast, versions, sign_in, reach):
    story.make_chat_tasks(cast.project, models=["talker@1"])
    with gateway(PLUMBLINE_CHAT_STALE_SECONDS="2") as (own, process):
        reach(own)
        page = open_task(sign_in, cast)
        say(page, "slow 60")
        page.wait_for_function("() => document.querySelector('[data-reply] .plain')?.textContent.includes('-3 ')")
        process.kill()
        process.wait()
        page.get_by_text("The connection to the models is lost.").first.wait_for(timeout=20_000)
    port = own.rpartition(":")[2]
    with command("gateway", "--port", port, PLUMBLINE_CHAT_STALE_SECONDS="2") as process:
        threading.Thread(target=process.stdout.read, daemon=True).start()
        replies(page, 0).first.wait_for(timeout=120_000)
    assert len(Completion.objects.get().text.split()) == 60
    assert ChatReply.objects.get().attempts == 2
    page.get_by_text("The connection to the models is lost.").first.wait_for(state="hidden")


def test_two_tabs_that_choose_differently_end_in_one_choice_and_the_other_is_told(cast, versions, sign_in):
    story.make_chat_tasks(cast.project)
    page = open_task(sign_in, cast)
    say(page, "slow 2")
    wait_for(page, 0)
    other = page.context.new_page()
    other.goto(f"/p/{cast.project.slug}/label/")
    wait_for(other, 0)
    choose(other, 0, "2")
    page.evaluate(
        "Object.defineProperty(document, 'hidden', { value: true })"
    )  # no look when the tab comes to the front
    page.bring_to_front()
    page.keyboard.press("1")
    page.get_by_text("This conversation went on in another window.").first.wait_for()
    page.locator("[data-chat-turn='0'][data-choice='second']").wait_for(state="attached")
    turn = ChatTurn.objects.prefetch_related("replies").get()
    assert turn.replies.get(ordinal=turn.choice).place == 1


def test_a_talk_with_one_model_begins_with_the_tasks_own_message(cast, versions, sign_in, axe):
    body = story.chat_body(["talker@1"])
    helpful = {"name": "helpful", "kind": "labels", "text": "Did it help?"}
    body["questions"].append({**helpful, "options": [{"value": "yes", "text": "Yes"}, {"value": "no", "text": "No"}]})
    story.make_chat_tasks(cast.project, body=body, prompt=make_prompt(cast.project, "slow 3"))
    page = open_task(sign_in, cast)
    page.keyboard.press("c")
    page.keyboard.press("Enter")
    wait_for(page, 0, 1)
    say(page, "slow 2")
    wait_for(page, 1, 1)
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("1")
    assert axe(page) == []
    page.keyboard.press("e")
    page.wait_for_function("() => document.querySelector('[data-count]').textContent === '1'")
    said = Annotation.objects.get().answers
    assert [turn["user"] for turn in said["talk"]["turns"]] == ["slow 3", "slow 2"]
    assert said["helpful"]["labels"] == ["yes"]
    page.keyboard.press("z")
    wait_for(page, 1, 1)
    say(page, "slow 1")
    wait_for(page, 2, 1)
    page.keyboard.press("Escape")
    page.keyboard.press("e")
    until(lambda: Annotation.objects.filter(counted=True).count() == 1 and Annotation.objects.count() == 2)
    assert len(Annotation.objects.get(counted=True).answers["talk"]["turns"]) == 3


def test_hostile_replies_and_messages_are_only_ever_text(cast, versions, sign_in):
    story.make_chat_tasks(cast.project)
    page = open_task(sign_in, cast)
    say(page, "<img src=x onerror=alert(1)> <script>document.title='owned'</script> \u202e [a](javascript:alert(1))")
    wait_for(page, 0)
    assert page.locator(".chat img, .chat script, .chat [href^=javascript]").count() == 0
    assert "owned" not in page.title()


@pytest.mark.parametrize(("width", "dark"), [(1366, False), (1366, True), (390, False), (320, True)])
def test_the_talk_fits_every_width_in_both_themes(cast, versions, sign_in, axe, width, dark, tmp_path):
    story.make_chat_tasks(cast.project, strength=True)
    page = open_task(sign_in, cast, width=width, dark=dark)
    say(page, "slow 30")
    wait_for(page, 0)
    page.keyboard.press("2")
    page.keyboard.press("2")
    page.locator("[data-chat-turn='0'][data-strength='2']").wait_for(state="attached")
    assert axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    side, other = (page.locator(f"[data-reply={name}]").bounding_box() for name in ("first", "second"))
    assert (side["y"] == other["y"]) == (width > 800), "side by side, or one above the other"
    page.screenshot(path=tmp_path / f"chat-{width}-{'dark' if dark else 'light'}.png", full_page=True)
