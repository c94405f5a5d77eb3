"""What is chosen in a live talk becomes preferences over whole conversations."""

import json
from pathlib import Path

import pytest

from annotation.services import chat, replies
from annotation.services.slots import undo
from feedback.chats import Reply, from_chat
from feedback.models import Preference
from feedback.selectors import preferences_of
from feedback.services import drain_outbox, rebuild_preferences
from models_registry.models import Completion
from tests.annotation import chat_story as story
from tests.factories import make_prompt

pytestmark = pytest.mark.django_db
store = pytest.mark.store

KNOWN = {
    "cmp_a": Reply(1, 10, "stop", 5),
    "cmp_b": Reply(2, 10, "length", 5),
    "cmp_c": Reply(3, 11, "stop", 5),
    "cmp_d": Reply(4, 11, "stop", 5),
    "cmp_s": Reply(6, 11, "stopped", 5),
}


def turn(one, other, choice="first", **more):
    return {"user": "?", "replies": [one, other], "order": [1, 0], "choice": choice, "strength": 2, **more}


def test_each_turn_prefers_a_reply_after_all_that_was_said():
    """`first` is the reply of ordinal 0, which stood second on the screen; the talk began with prompt 10."""
    found = from_chat("talk", {"turns": [turn("cmp_a", "cmp_b"), turn("cmp_c", "cmp_d", "second")]}, KNOWN)
    first, second = (projected for projected, _root in found)
    assert (first.prompt, first.first, first.second, first.outcome, first.strength) == (10, 1, 2, "first", 2)
    assert (second.prompt, second.outcome, second.part, second.origin) == (11, "second", "talk:1", "chat")
    assert first.first_shown_first is False
    assert [root for _projected, root in found] == [10, 10]


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"turns": None},
        {"turns": "x"},
        {"turns": [None, {}, {"replies": 7}, {"replies": [[], {}]}]},
        {"turns": [{"replies": ["cmp_a"], "choice": "first"}]},
        {"turns": [turn("cmp_a", "cmp_c")]},
        {"turns": [turn("cmp_a", "cmp_a")]},
        {"turns": [turn("cmp_a", "cmp_x")]},
        {"turns": [turn("cmp_c", "cmp_s")]},
        {"turns": [turn("cmp_a", "cmp_b", "tie")]},
    ],
)
def test_what_is_no_choice_between_two_whole_replies_prefers_nothing(said):
    assert from_chat("talk", said, KNOWN) == []


@store
def test_a_talk_of_two_turns_is_two_preferences_of_one_conversation_and_undo_withdraws_them(cast):
    story.make_chat_tasks(cast.project)
    slot, token, conversation = story.begin(cast.bob)
    story.talk(cast.bob, conversation, 1, 0)
    annotation = story.submit(cast.bob, slot, token, conversation)
    drain_outbox()
    one, other = Preference.objects.order_by("part")
    turns = list(conversation.turns.all())
    assert [one.prompt, other.prompt] == [turns[0].prompt, turns[1].prompt]
    assert (one.root, other.root) == (None, turns[0].prompt)
    assert (one.outcome, other.outcome, one.origin) == ("second", "first", "chat")
    assert one.first == turns[0].replies.get(ordinal=0).completion
    assert one.first_shown_first == (turns[0].replies.get(ordinal=0).place == 0)
    assert other.prompt.messages[1]["content"] == one.second.text, "it went on from the chosen reply"
    assert one.actor == cast.bob
    undo(actor=cast.bob, annotation=annotation)
    drain_outbox()
    assert not preferences_of(cast.project).exists()
    assert rebuild_preferences(project=cast.project) == 0


@store
def test_after_an_undo_the_new_answers_turns_are_what_counts(cast):
    story.make_chat_tasks(cast.project)
    slot, token, conversation = story.begin(cast.bob)
    story.talk(cast.bob, conversation, 0)
    claim = undo(actor=cast.bob, annotation=story.submit(cast.bob, slot, token, conversation))
    last = conversation.turns.get()
    story.choose(cast.bob, conversation, last, 1)
    story.talk(cast.bob, conversation, 1)
    story.submit(cast.bob, slot, claim.token, conversation)
    drain_outbox()
    assert list(preferences_of(cast.project).order_by("part").values_list("part", "outcome")) == [
        ("talk:0", "second"),
        ("talk:1", "second"),
    ]


def test_a_reply_that_was_stopped_neither_wins_nor_loses(cast):
    story.make_chat_tasks(cast.project)
    slot, token, conversation = story.begin(cast.bob)
    said = story.say(cast.bob, conversation)
    held = replies.claim(said.replies.get(ordinal=0))
    replies.finish(held, text="Half", reason="stopped", usage={}, version=None)
    story.reply_all(said)
    story.choose(cast.bob, conversation, said, 1)
    story.submit(cast.bob, slot, token, conversation)
    drain_outbox()
    assert not Preference.objects.exists()


def test_a_talk_with_one_model_prefers_nothing(cast):
    story.make_chat_tasks(cast.project, models=["talker@1"])
    slot, token, conversation = story.begin(cast.bob)
    story.talk(cast.bob, conversation, 0, 0)
    story.submit(cast.bob, slot, token, conversation)
    drain_outbox()
    assert not Preference.objects.exists()


def test_replies_of_another_tasks_talk_prefer_nothing_here(cast):
    """A reviewer's own answer may name any completion; only those of this task's talk count."""
    story.make_chat_tasks(cast.project, 2)
    slot, token, conversation = story.begin(cast.bob)
    story.talk(cast.bob, conversation, 0)
    annotation = story.submit(cast.bob, slot, token, conversation)
    other = story.begin(cast.carol)[2]
    if other.task_id == annotation.task_id:
        raise AssertionError("the queue offered one task twice")
    story.talk(cast.carol, other, 0)
    foreign = [reply.completion.public_id for reply in other.turns.get().replies.order_by("ordinal")]
    annotation.answers["talk"]["turns"][0]["replies"] = foreign
    annotation.save()
    rebuild_preferences(project=cast.project)
    assert not Preference.objects.filter(annotation=annotation).exists()


def test_a_frozen_talk_is_multi_turn_with_lineage_and_on_one_side_of_the_split(cast, frozen):
    prompts = [make_prompt(cast.project, f"Opening {n}?", held_out=n == 0) for n in range(6)]
    for prompt in prompts:
        story.make_chat_tasks(cast.project, prompt=prompt, turns={"max": 4})
        slot, token, conversation = story.begin(cast.bob)
        first = chat.send(actor=cast.bob, conversation=conversation, key="k0")
        story.reply_all(first)
        story.choose(cast.bob, conversation, first, 1)
        story.talk(cast.bob, conversation, 0, 1)
        story.submit(cast.bob, slot, token, conversation)
    snapshot = frozen(test_share=0.5, seed=4)
    sides: dict[str, set[str]] = {}
    rows = []
    for split in ("train", "test"):
        for line in (Path(snapshot.folder) / f"preference_{split}.jsonl").read_text().splitlines():
            row = json.loads(line)
            rows.append(row)
            sides.setdefault(row["prompt"][0]["content"], set()).add(split)
    assert len(rows) == 18
    assert all(len(side) == 1 for side in sides.values()), sides
    assert sides["Opening 0?"] == {"test"}
    longest = max(rows, key=lambda row: len(row["prompt"]))
    assert [message["role"] for message in longest["prompt"]] == ["user", "assistant"] * 2 + ["user"]
    assert longest["chosen"][0]["content"] != longest["rejected"][0]["content"]
    chosen = Completion.objects.get(public_id=longest["id"].split("-")[0])
    assert chosen.usage["metadata"]["turn"] == 2
