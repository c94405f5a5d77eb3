"""A talk with one or two models, as its rows and its rules have it."""

import threading
import uuid

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection

from annotation.checks import check_gateway_is_reachable
from annotation.errors import ChatMoved, KeyReused, LeaseLost, TaskGone
from annotation.models import Annotation, ChatReply, ChatTurn, Conversation, Draft, Slot
from annotation.questions import KINDS
from annotation.questions.chat import as_asked, sides_of, turns_of
from annotation.schemas import check_answers, schema_errors
from annotation.selectors.chat import chat_warnings, state_of
from annotation.services import chat, replies
from annotation.services.slots import expire_leases, skip, submit_answer, take_next, undo
from annotation.services.tasks import archive_tasks
from config.addresses import origin
from ground.digests import digest_of
from ground.errors import Conflict, Invalid, NotFound
from models_registry.models import Completion, Prompt
from tests.annotation import chat_story as story
from tests.factories import make_prompt

pytestmark = pytest.mark.django_db
store = pytest.mark.store


# ---- the question


def test_a_question_names_one_or_two_models_each_with_its_sampling():
    body = story.chat_body(["a@champion", {"model": "a@champion", "temperature": 0.2, "max_tokens": 50}], strength=True)
    assert schema_errors(body) == []
    one, other = sides_of(body["questions"][0])
    assert (one.model, one.sampling) == ("a@champion", {})
    assert other.sampling == {"temperature": 0.2, "max_new_tokens": 50}


@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        ({"models": []}, "questions[0].models"),
        ({"models": ["a", "b", "c"]}, "questions[0].models"),
        ({"models": "a"}, "questions[0].models"),
        ({"models": [7]}, "questions[0].models[0]"),
        ({"models": ["a\x00"]}, "questions[0].models[0]"),
        ({"models": [{"model": ""}]}, "questions[0].models[0].model"),
        ({"models": [{"model": "a", "temprature": 1}]}, "questions[0].models[0].temprature"),
        ({"models": [{"model": "a", "temperature": 3}]}, "questions[0].models[0].temperature"),
        ({"models": [{"model": "a", "temperature": True}]}, "questions[0].models[0].temperature"),
        ({"models": [{"model": "a", "max_tokens": 1.5}]}, "questions[0].models[0].max_tokens"),
        ({"models": [{"model": "a", "seed": 1}, {"model": "a", "seed": 1}]}, "questions[0].models"),
        ({"models": [{"model": "a", "temperature": 0}] * 2}, "questions[0].models"),
        ({"turns": {"min": 3, "max": 2}}, "questions[0].turns.min"),
        ({"turns": {"max": 41}}, "questions[0].turns.max"),
        ({"turns": [1]}, "questions[0].turns"),
        ({"system": " "}, "questions[0].system"),
        ({"strength": "steps"}, "questions[0].strength"),
    ],
)
def test_a_wrong_question_is_refused_by_its_path(wrong, path):
    body = story.chat_body()
    body["questions"][0].update(wrong)
    assert [found for found, _why in schema_errors(body)] == [path]


def test_whoever_answers_sees_how_many_models_there_are_and_not_which():
    shown = as_asked(story.chat_body(system="Be brief.")["questions"][0])
    assert shown["sides"] == 2
    assert "talker" not in str(shown)
    assert "brief" not in str(shown)
    assert turns_of(shown) == (1, 20)


def test_an_answer_that_was_given_before_is_canonical():
    body = story.chat_body()
    turn = {"user": "a", "replies": ["cmp_1", "cmp_2"], "order": [1, 0], "choice": "second", "strength": None}
    given = {"talk": {"conversation": "cnv_1", "turns": [turn]}}
    assert check_answers(body, given)["talk"] == {**given["talk"], "reason": "", "flags": []}
    for wrong in (
        {"replies": ["cmp_1"]},
        {"order": [0, 0]},
        {"order": ["0", "1"]},
        {"choice": "third"},
        {"strength": 4},
        {"user": 1},
    ):
        with pytest.raises(ValueError, match=r"answers\.talk\.turns\[0\]"):
            check_answers(body, {"talk": {"conversation": "cnv_1", "turns": [{**turn, **wrong}]}})


def test_an_answer_in_words():
    question, turn = story.chat_body()["questions"][0], {"choice": "first", "strength": 2}
    said = KINDS["chat"].words(question, {"turns": [turn, {"choice": "second", "strength": None}]})
    assert said == "Turns: 2; better each time: A++, B"


# ---- talking


@store
def test_a_talk_goes_on_from_the_chosen_reply(cast):
    story.make_chat_tasks(cast.project, system="Be brief.")
    _slot, _token, conversation = story.begin(cast.bob)
    story.talk(cast.bob, conversation, 1)
    second = story.say(cast.bob, conversation, "And then?")
    assert second.prompt.messages == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Message 0"},
        {"role": "assistant", "content": "Reply 1 to turn 0"},
        {"role": "user", "content": "And then?"},
    ]
    assert second.prompt.digest == digest_of(second.prompt.messages)
    first = conversation.turns.get(index=0)
    assert first.prompt.metadata["root"] == second.prompt.metadata["root"] == first.prompt.digest


@store
def test_a_tasks_own_prompt_is_the_first_turn(cast):
    prompt = make_prompt(cast.project, "How are you?", held_out=True)
    story.make_chat_tasks(cast.project, prompt=prompt)
    _slot, _token, conversation = story.begin(cast.bob)
    assert state_of(cast.bob, conversation.task, "talk", conversation)["next"] == "opening"
    with pytest.raises(Invalid, match="send no text"):
        story.say(cast.bob, conversation, "Something else")
    turn = story.say(cast.bob, conversation, "")
    assert (turn.text, turn.prompt) == ("How are you?", prompt)
    story.reply_all(turn)
    story.choose(cast.bob, conversation, turn, 0)
    following = story.say(cast.bob, conversation, "And you?")
    assert following.prompt.held_out, "what grows from a held-out prompt is held out"


@store
def test_a_repeated_key_is_one_turn_and_another_text_under_it_is_refused(cast):
    story.make_chat_tasks(cast.project)
    _slot, _token, conversation = story.begin(cast.bob)
    one = chat.send(actor=cast.bob, conversation=conversation, key="k", text="Hello")
    again = chat.send(actor=cast.bob, conversation=conversation, key="k", text="Hello")
    assert one == again
    assert ChatReply.objects.count() == 2
    with pytest.raises(KeyReused):
        chat.send(actor=cast.bob, conversation=conversation, key="k", text="Goodbye")


def test_sides_are_drawn_for_each_turn(cast):
    story.make_chat_tasks(cast.project, turns={"max": 20})
    _slot, _token, conversation = story.begin(cast.bob)
    story.talk(cast.bob, conversation, *[0] * 16)
    orders = {tuple(turn.replies.values_list("ordinal", flat=True)) for turn in conversation.turns.all()}
    assert orders == {(0, 1), (1, 0)}, "one in 32,768 runs draws the same side 16 times"


@store
@pytest.mark.parametrize("text", ["", " \n", "a\x00b", "x" * 20_001, "\ud800"])
def test_a_message_no_database_keeps_is_refused(cast, text):
    story.make_chat_tasks(cast.project)
    _slot, _token, conversation = story.begin(cast.bob)
    with pytest.raises(Invalid, match="text"):
        story.say(cast.bob, conversation, text)
    assert not ChatTurn.objects.exists()


def test_nothing_is_said_before_the_last_turn_is_chosen(cast):
    story.make_chat_tasks(cast.project)
    _slot, _token, conversation = story.begin(cast.bob)
    turn = story.say(cast.bob, conversation)
    for _step in range(2):
        with pytest.raises(ChatMoved, match="not finished"):
            story.say(cast.bob, conversation)
        if turn.replies.filter(state=ChatReply.State.WAITING).exists():
            with pytest.raises(ChatMoved, match="Not all replies"):
                story.choose(cast.bob, conversation, turn, 0)
            story.reply_all(turn)


def test_a_talk_has_no_more_turns_than_it_may(cast):
    story.make_chat_tasks(cast.project, turns={"max": 2})
    _slot, _token, conversation = story.begin(cast.bob)
    story.talk(cast.bob, conversation, 0, 0)
    assert state_of(cast.bob, conversation.task, "talk", conversation)["next"] == "full"
    with pytest.raises(Conflict, match="its 2 turns"):
        story.say(cast.bob, conversation)


@store
def test_with_one_model_there_is_nothing_to_choose(cast):
    story.make_chat_tasks(cast.project, models=["talker@1"])
    slot, token, conversation = story.begin(cast.bob)
    story.talk(cast.bob, conversation, 0, 0)
    annotation = story.submit(cast.bob, slot, token, conversation)
    assert [turn["choice"] for turn in annotation.answers["talk"]["turns"]] == ["first", "first"]


def test_a_choice_can_change_until_the_next_message_and_its_strength_is_kept(cast):
    story.make_chat_tasks(cast.project, strength=True)
    _slot, _token, conversation = story.begin(cast.bob)
    turn = story.say(cast.bob, conversation)
    story.reply_all(turn)
    first, second = story.place_of_ordinal(turn, 0), story.place_of_ordinal(turn, 1)
    story.choose(cast.bob, conversation, turn, 0, strength=3, was=None)
    story.choose(cast.bob, conversation, turn, 1, strength=1, was=first)
    story.choose(cast.bob, conversation, turn, 1, strength=1, was=first)  # a retry
    turn.refresh_from_db()
    assert (turn.choice, turn.strength) == (1, 1)
    with pytest.raises(ChatMoved, match="another window"):
        story.choose(cast.bob, conversation, turn, 0, was=None)
    with pytest.raises(ChatMoved, match="another window"):
        story.say(cast.bob, conversation, seen=first)
    story.say(cast.bob, conversation, seen=second, after=1)
    with pytest.raises(ChatMoved, match="another window"):
        story.choose(cast.bob, conversation, turn, 0)


def test_strength_is_refused_where_nobody_asks_for_it(cast):
    story.make_chat_tasks(cast.project)
    _slot, _token, conversation = story.begin(cast.bob)
    turn = story.say(cast.bob, conversation)
    story.reply_all(turn)
    with pytest.raises(Invalid, match="strength"):
        story.choose(cast.bob, conversation, turn, 0, strength=2)
    with pytest.raises(Invalid, match="choice"):
        chat.choose(actor=cast.bob, conversation=conversation, turn=0, choice="tie")
    with pytest.raises(NotFound):
        chat.choose(actor=cast.bob, conversation=conversation, turn=7, choice="first")


def test_nobody_speaks_in_somebody_elses_talk(cast):
    story.make_chat_tasks(cast.project)
    _slot, _token, conversation = story.begin(cast.bob)
    turn = story.say(cast.bob, conversation)
    story.reply_all(turn)
    for other in (cast.carol, cast.mona, cast.mallory):
        with pytest.raises(NotFound):
            story.say(other, conversation)
        with pytest.raises(NotFound):
            chat.choose(actor=other, conversation=conversation, turn=0, choice="first")
        with pytest.raises(NotFound):
            chat.stop(actor=other, conversation=conversation, turn=0)


# ---- the slot


@store
def test_a_lease_that_ends_in_a_talk_parks_the_slot_and_the_talk_goes_on(cast, stopped_clock):
    story.make_chat_tasks(cast.project)
    slot, token, conversation = story.begin(cast.bob)
    story.talk(cast.bob, conversation, 0)
    assert Draft.objects.get().answers == {"talk": {"conversation": conversation.public_id}}
    stopped_clock.advance(hours=1)
    expire_leases()
    slot.refresh_from_db()
    assert slot.state == Slot.State.PARKED
    story.talk(cast.bob, conversation, 1)
    assert len(story.submit(cast.bob, slot, token, conversation).answers["talk"]["turns"]) == 2


@store
def test_after_the_task_went_to_somebody_else_the_talk_is_kept_as_surplus(cast, stopped_clock):
    story.make_chat_tasks(cast.project)
    slot, token, conversation = story.begin(cast.bob)
    story.talk(cast.bob, conversation, 0)
    for _end in (1, 2):
        stopped_clock.advance(days=2)
        expire_leases()
    carols, her_token, hers = story.begin(cast.carol)
    assert carols.pk == slot.pk
    assert hers != conversation
    with pytest.raises(LeaseLost):
        story.say(cast.bob, conversation)
    story.talk(cast.carol, hers, 0)
    story.submit(cast.carol, carols, her_token, hers)
    late = story.submit(cast.bob, slot, token, conversation)
    assert (late.surplus, len(late.answers["talk"]["turns"])) == (True, 1)


@store
def test_a_skipped_task_takes_no_more_messages_and_stays_as_it_was_said(cast):
    story.make_chat_tasks(cast.project)
    slot, token, conversation = story.begin(cast.bob)
    story.talk(cast.bob, conversation, 0)
    skip(actor=cast.bob, slot=slot, token=token)
    with pytest.raises(LeaseLost):
        story.say(cast.bob, conversation)
    assert Completion.objects.count() == 2


def test_an_archived_task_takes_no_more_messages(cast):
    (task,) = story.make_chat_tasks(cast.project)
    _slot, _token, conversation = story.begin(cast.bob)
    archive_tasks(actor=cast.mona, tasks=[task])
    with pytest.raises(TaskGone):
        story.say(cast.bob, conversation)


def test_without_the_slot_no_talk_begins(cast):
    (task,) = story.make_chat_tasks(cast.project)
    with pytest.raises(LeaseLost):
        chat.open_conversation(actor=cast.bob, task=task, question="talk")
    with pytest.raises(NotFound):
        chat.open_conversation(actor=cast.bob, task=task, question="other")
    assert not Conversation.objects.exists()


# ---- the answer


@store
def test_an_answer_holds_what_was_said_by_ordinals_whatever_the_client_sends(cast):
    story.make_chat_tasks(cast.project, strength=True)
    slot, token, conversation = story.begin(cast.bob)
    turn = story.say(cast.bob, conversation)
    story.reply_all(turn)
    story.choose(cast.bob, conversation, turn, 1, strength=2)
    forged = {"user": "x", "replies": ["cmp_1", "cmp_2"], "order": [0, 1], "choice": "first", "strength": None}
    answers = {"talk": {"conversation": conversation.public_id, "turns": [forged], "reason": "it was kinder"}}
    said, _next = submit_answer(actor=cast.bob, slot=slot, token=token, key="k", answers=answers)
    stored = Annotation.objects.get().answers["talk"]
    by_ordinal = [reply.completion.public_id for reply in turn.replies.order_by("ordinal")]
    order = list(turn.replies.order_by("place").values_list("ordinal", flat=True))
    expected = {"user": "Hello", "replies": by_ordinal, "order": order, "choice": "second", "strength": 2}
    assert stored["turns"] == [expected]
    assert stored["reason"] == "it was kinder"
    again, _next = submit_answer(actor=cast.bob, slot=slot, token=token, key="k", answers=answers)
    assert again.public_id == said.public_id


@store
def test_an_unfinished_talk_cannot_be_submitted_and_the_error_says_what_to_do(cast):
    story.make_chat_tasks(cast.project, turns={"min": 2})
    slot, token, conversation = story.begin(cast.bob)
    submitted = lambda: story.submit(cast.bob, slot, token, conversation)  # noqa: E731
    with pytest.raises(Invalid, match=r"answers\.talk\.turns: the conversation needs at least 2 turns; it has 0"):
        submitted()
    turn = story.say(cast.bob, conversation)
    with pytest.raises(Invalid, match=r"answers\.talk\.turns\[0\]: a reply is still being written"):
        submitted()
    story.reply_all(turn)
    with pytest.raises(Invalid, match=r"answers\.talk\.turns\[0\]: no reply is chosen"):
        submitted()
    story.choose(cast.bob, conversation, turn, 0)
    with pytest.raises(Invalid, match="it has 1"):
        submitted()
    story.talk(cast.bob, conversation, 0)
    assert submitted().counted


def test_a_last_turn_that_a_model_failed_to_answer_is_left_out(cast):
    story.make_chat_tasks(cast.project)
    slot, token, conversation = story.begin(cast.bob)
    story.talk(cast.bob, conversation, 0)
    turn = story.say(cast.bob, conversation)
    for reply in turn.replies.all():
        replies.fail(replies.claim(reply), trouble="down", text="", usage={}, version=None)
    assert len(story.submit(cast.bob, slot, token, conversation).answers["talk"]["turns"]) == 1


def test_another_persons_or_another_tasks_talk_is_no_answer(cast):
    story.make_chat_tasks(cast.project, 2)
    slot, token, _conversation = story.begin(cast.bob)
    _other, _her_token, hers = story.begin(cast.carol)
    for name in (hers.public_id, "cnv_0", "cnv_" + "f" * 32):
        with pytest.raises(Invalid, match=r"answers\.talk\.conversation: there is no such conversation of yours"):
            answers = {"talk": {"conversation": name}}
            submit_answer(actor=cast.bob, slot=slot, token=token, key=uuid.uuid4().hex, answers=answers)


@store
def test_a_submitted_talk_is_closed_until_its_answer_is_taken_back(cast):
    story.make_chat_tasks(cast.project)
    slot, token, conversation = story.begin(cast.bob)
    story.talk(cast.bob, conversation, 0)
    annotation = story.submit(cast.bob, slot, token, conversation)
    assert state_of(cast.bob, slot.task, "talk", conversation)["next"] == "closed"
    with pytest.raises(Conflict, match="was submitted"):
        story.say(cast.bob, conversation)
    claim = undo(actor=cast.bob, annotation=annotation)
    story.talk(cast.bob, conversation, 1)
    again = story.submit(cast.bob, slot, claim.token, conversation)
    assert len(annotation.answers["talk"]["turns"]) == 1
    assert len(again.answers["talk"]["turns"]) == 2


# ---- replies


@store
def test_one_gateway_writes_a_reply_and_one_that_died_is_replaced(cast, stopped_clock):
    story.make_chat_tasks(cast.project)
    _slot, _token, conversation = story.begin(cast.bob)
    reply = story.say(cast.bob, conversation).replies.first()
    held = replies.claim(reply)
    assert replies.claim(reply) is None
    assert replies.beat(held, "So far") == ""
    stopped_clock.advance(seconds=11)
    taken = replies.claim(reply)
    assert taken is not None
    assert replies.beat(held, "More") == "lost"
    assert replies.finish(held, text="More", reason="stop", usage={}, version=None) is None
    replies.fail(held, trouble="down", text="x", usage={}, version=None)
    reply.refresh_from_db()
    assert (reply.state, reply.text, reply.attempts) == (ChatReply.State.WRITING, "", 2)
    assert replies.finish(taken, text="Whole", reason="stop", usage={}, version=None).text == "Whole"
    assert Completion.objects.count() == 1


@store
def test_a_reply_is_a_completion_with_its_version_sampling_prompt_and_latency(cast):
    version, _second = story.two_versions(cast.project)
    story.make_chat_tasks(cast.project, models=[{"model": "talker@1", "temperature": 0.5, "max_tokens": 9}, "talker@2"])
    _slot, _token, conversation = story.begin(cast.bob)
    turn = story.say(cast.bob, conversation)
    reply = turn.replies.get(ordinal=0)
    stored = replies.finish(replies.claim(reply), text="Hi", reason="stop", usage={"milliseconds": 12}, version=version)
    assert (stored.version, stored.alias, stored.prompt) == (version, "talker@1", turn.prompt)
    assert stored.sampling == {"temperature": 0.5, "max_new_tokens": 9}
    about = {"conversation": conversation.public_id, "turn": 0}
    assert stored.usage == {"milliseconds": 12, "metadata": about}
    assert Prompt.objects.count() == 1


@store
def test_stopping_keeps_what_came_and_fails_what_never_began(cast, stopped_clock):
    story.make_chat_tasks(cast.project)
    _slot, _token, conversation = story.begin(cast.bob)
    turn = story.say(cast.bob, conversation)
    first, second = turn.replies.all()
    held = replies.claim(first)
    replies.beat(held, "Half a")
    chat.stop(actor=cast.bob, conversation=conversation, turn=0)
    assert replies.beat(held, None) == "stop"
    second.refresh_from_db()
    assert (second.state, second.trouble) == (ChatReply.State.FAILED, "stopped")
    stopped_clock.advance(seconds=11)  # the gateway dies before it heeds it
    assert replies.claim(first) is None
    chat.stop(actor=cast.bob, conversation=conversation, turn=0)
    first.refresh_from_db()
    assert (first.state, first.completion.text, first.completion.finish_reason) == (2, "Half a", "stopped")
    assert state_of(cast.bob, conversation.task, "talk", conversation)["next"] == "retry"
    chat.retry(actor=cast.bob, conversation=conversation, turn=0)
    assert replies.claim(second) is not None


@store
def test_what_was_shown_of_a_reply_that_broke_off_is_stored(cast):
    story.make_chat_tasks(cast.project)
    _slot, _token, conversation = story.begin(cast.bob)
    reply = story.say(cast.bob, conversation).replies.first()
    replies.fail(replies.claim(reply), trouble="interrupted", text="Half a", usage={}, version=None)
    reply.refresh_from_db()
    assert (reply.state, reply.trouble, reply.text) == (ChatReply.State.FAILED, "interrupted", "Half a")
    assert Completion.objects.get().finish_reason == "error"


# ---- what people see


def test_a_talker_never_sees_a_models_name_and_a_manager_does(cast):
    version, _second = story.two_versions(cast.project)
    story.make_chat_tasks(cast.project)
    slot, _token, conversation = story.begin(cast.bob)
    turn = story.say(cast.bob, conversation)
    story.reply_all(turn, version=version)
    blind = state_of(cast.bob, slot.task, "talk", conversation, origin="http://here")
    assert "talker" not in str(blind)
    assert version.public_id not in str(blind)
    assert "cmp_" not in str(blind)
    told = state_of(cast.mona, slot.task, "talk", conversation)
    assert {reply["model"] for reply in told["turns"][0]["replies"]} == {"talker@1", "talker@2"}
    assert "ticket" not in str(told)
    assert "talker" not in str(state_of(cast.carol, slot.task, "talk", conversation))


def test_a_manager_is_warned_of_models_that_nobody_serves(cast):
    first, _second = story.two_versions(cast.project)
    story.serve(cast.project, first, "http://127.0.0.1:9/v1", "one")
    (warning,) = chat_warnings(cast.project, story.chat_body())
    assert warning.startswith("questions[0].models: talker@2 is not deployed.")
    assert "no model nobody" in chat_warnings(cast.project, story.chat_body(["nobody@1"]))[0]


# ---- races, each in threads of its own


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="one writer at a time")
class TestRaces:
    def at_once(self, *works):
        """Run all at once; what each gave or raised."""
        found, barrier = [None] * len(works), threading.Barrier(len(works))

        def run(place, work):
            barrier.wait()
            try:
                found[place] = work()
            except Exception as error:
                found[place] = error
            finally:
                connection.close()

        threads = [threading.Thread(target=run, args=item) for item in enumerate(works)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        return found

    def test_two_tabs_choose_differently_and_one_of_them_is_told(self, cast):
        story.make_chat_tasks(cast.project)
        _slot, _token, conversation = story.begin(cast.bob)
        turn = story.say(cast.bob, conversation)
        story.reply_all(turn)
        found = self.at_once(
            *(
                lambda place=place: chat.choose(
                    actor=cast.bob, conversation=conversation, turn=0, choice=place, was=None
                )
                for place in ("first", "second")
            )
        )
        kinds = sorted(type(one).__name__ for one in found)
        assert kinds == ["ChatMoved", "ChatTurn"]

    def test_two_tabs_send_at_once_and_one_turn_comes_of_it(self, cast):
        story.make_chat_tasks(cast.project)
        _slot, _token, conversation = story.begin(cast.bob)
        found = self.at_once(*(lambda n=n: story.say(cast.bob, conversation, f"Hello {n}", after=0) for n in range(4)))
        assert sorted(type(one).__name__ for one in found) == ["ChatMoved"] * 3 + ["ChatTurn"]
        assert ChatTurn.objects.count() == 1

    def test_a_key_sent_many_times_at_once_is_one_turn(self, cast):
        story.make_chat_tasks(cast.project)
        _slot, _token, conversation = story.begin(cast.bob)
        found = self.at_once(*[lambda: chat.send(actor=cast.bob, conversation=conversation, key="k", text="Hello")] * 4)
        assert len({turn.pk for turn in found}) == 1

    def test_many_gateways_claim_a_reply_and_one_has_it(self, cast):
        story.make_chat_tasks(cast.project)
        _slot, _token, conversation = story.begin(cast.bob)
        reply = story.say(cast.bob, conversation).replies.first()
        found = self.at_once(*[lambda: replies.claim(reply)] * 6)
        assert sum(one is not None for one in found) == 1

    def test_a_conversation_begun_in_two_tabs_is_one(self, cast):
        story.make_chat_tasks(cast.project)
        slot, _token = story.take(cast.bob)
        found = self.at_once(*[lambda: chat.open_conversation(actor=cast.bob, task=slot.task, question="talk")] * 4)
        assert len({one.pk for one in found}) == 1


def test_the_queue_hands_out_a_talk_without_its_models_names(cast, api):
    story.make_chat_tasks(cast.project)
    slot = api(cast.bob).post(f"/api/v1/projects/{cast.project.slug}/queue:next", {}).json()
    assert slot["task"]["questions"][0]["sides"] == 2
    assert "talker" not in str(slot)
    assert take_next(actor=cast.carol) is None


@pytest.mark.parametrize(
    ("public", "secure", "hosts", "found"),
    [
        ("http://127.0.0.1:8001", False, ["127.0.0.1", "localhost"], []),
        ("https://gate.example.org", True, ["plumb.example.org"], []),
        ("http://gate.example.org", True, ["plumb.example.org"], ["annotation.W001"]),
        ("https://127.0.0.1:8001", False, ["plumb.example.org"], ["annotation.W002"]),
    ],
)
def test_a_gateway_that_browsers_cannot_reach_is_said_at_start(settings, public, secure, hosts, found):
    settings.GATEWAY_PUBLIC_URL, settings.SESSION_COOKIE_SECURE, settings.ALLOWED_HOSTS = public, secure, hosts
    assert [warning.id for warning in check_gateway_is_reachable()] == found


def test_the_pages_may_connect_to_the_gateway_and_nowhere_else(client, cast, settings):
    client.force_login(cast.bob.user)
    policy = client.get(f"/p/{cast.project.slug}/label/").headers["Content-Security-Policy"]
    (connect,) = [part.strip() for part in policy.split(";") if "connect-src" in part]
    assert connect == f"connect-src 'self' {settings.GATEWAY_PUBLIC_URL}"


@pytest.mark.parametrize(
    "wrong", ["gate.example.org", "ftp://gate", "http://", "http://a b", "http://a;script-src *", "http://a:b"]
)
def test_a_gateway_address_that_is_none_is_one_clear_sentence(wrong):
    assert origin("https://gate.example.org/deep/path") == "https://gate.example.org"
    with pytest.raises(ImproperlyConfigured, match="PLUMBLINE_GATEWAY_PUBLIC_URL"):
        origin(wrong)


def test_a_schema_tells_managers_what_is_not_served_and_others_no_names(cast, api):
    path, body = f"/api/v1/projects/{cast.project.slug}/schemas", story.chat_body(["nobody@1"])
    made = api(cast.mona).post(path, {"name": "talk", "body": body})
    assert made.status_code == 201, made.content
    assert "no model nobody" in made.json()["warnings"][0]
    assert "no model nobody" in api(cast.mona).post(f"{path}:check", {"body": body}).json()["warnings"][0]
    one = f"{path}/{made.json()['id']}"
    assert api(cast.mona).get(one).json()["body"]["questions"][0]["models"] == ["nobody@1"]
    for other in (cast.bob, cast.carol):
        assert "nobody" not in api(other).get(one).content.decode()
        assert api(other).post(f"{path}:check", {"body": body}).json()["warnings"] == []
