"""Talking with models inside a task: what the person does. What the models say is written by `annotation.services.replies`."""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import Actor
from accounts.services import EVERYBODY, require_role
from annotation.errors import ChatMoved, KeyReused, LeaseLost, TaskGone
from annotation.models import Annotation, ChatReply, ChatTurn, Conversation, Draft, Schema, Slot, Task
from annotation.questions.chat import PLACES, read_message, sides_of, turns_of
from annotation.services import replies
from ground import clock
from ground.digests import digest_of
from ground.errors import Conflict, Invalid, NotFound
from models_registry.services import keep_prompt

HELD = (Slot.State.LEASED, Slot.State.PARKED)
UNFINISHED = (ChatReply.State.WAITING, ChatReply.State.WRITING)
ANYTHING: Any = object()


def chat_question(task: Task, name: str) -> dict[str, Any]:
    """Errors: NotFound when the task's schema has no chat question of that name."""
    for question in Schema.body_of(task.schema_id)["questions"]:
        if question["name"] == name and question["kind"] == "chat":
            return dict(question)
    raise NotFound(_("This task has no chat called %(name)s.") % {"name": name[:80]})


def open_conversation(*, actor: Actor, task: Task, question: str) -> Conversation:
    """The actor's conversation for this question, begun on first sight. Errors: NotFound, LeaseLost, TaskGone."""
    require_role(actor, *EVERYBODY)
    chat_question(task, question)
    found = Conversation.objects.filter(task=task, actor=actor, question=question).first()
    if found is not None:
        return found
    _require_in_hand(actor, task)
    made, _new = Conversation.objects.get_or_create(
        task=task, actor=actor, question=question, defaults={"project_id": task.project_id}
    )
    return made


@transaction.atomic
def send(
    *,
    actor: Actor,
    conversation: Conversation,
    key: str,
    text: str = "",
    after: int | None = None,
    seen: Any = ANYTHING,
) -> ChatTurn:
    """What the person says next, with a reply waiting to be written for each model. A repeated key returns the first turn.

    The first turn of a task with a prompt is that prompt's last message: send no text. `after` is how many turns the client
    knows, `seen` the place of the reply it means to go on from. Errors: Invalid, KeyReused, ChatMoved, LeaseLost, TaskGone.
    """
    if not isinstance(key, str) or not 1 <= len(key) <= 80 or "\x00" in key:
        raise Invalid(_("Send an Idempotency-Key of 1 to 80 characters, new for each message, the same on a retry."))
    held = _lock(actor, conversation)
    before = held.turns.filter(key=key).first()
    if before is not None:
        return _same(before, text)
    _require_open(actor, held)
    turns = list(held.turns.prefetch_related("replies__completion"))
    question = chat_question(held.task, held.question)
    _require_place(turns, question, after, seen)
    opening = _opening(held.task) if not turns else None
    said = opening if opening is not None else _checked(text)
    if opening is not None and text not in ("", opening):
        raise Invalid(_("This conversation begins with the task's own message; send no text for the first turn."))
    messages = _messages(held.task, question, turns)
    return _write(held, question, turns, key, said, messages)


def _same(before: ChatTurn, text: str) -> ChatTurn:
    if text not in ("", before.text):
        raise KeyReused(
            _("This Idempotency-Key already stands for another message."), hint=_("Make a new key for each message.")
        )
    return before


def _checked(text: Any) -> str:
    try:
        return read_message(text)
    except ValueError as error:
        raise Invalid(str(error)) from error


def _lock(actor: Actor, conversation: Conversation) -> Conversation:
    """The conversation's row, locked: two tabs of one person take turns. Errors: NotFound for somebody else's."""
    rows = Conversation.objects.select_for_update(of=("self",), no_key=True).select_related("task__prompt", "project")
    held = rows.filter(pk=conversation.pk, actor=actor).first()
    if held is None:
        raise NotFound(_("There is no such conversation here."))
    return held


def _require_open(actor: Actor, conversation: Conversation) -> None:
    if Annotation.objects.filter(task_id=conversation.task_id, actor=actor, counted=True, settlement=False).exists():
        raise Conflict(_("This conversation was submitted."), hint=_("Take your answer back to go on with it."))
    _require_in_hand(actor, conversation.task)


def _require_in_hand(actor: Actor, task: Task) -> None:
    if task.state == Task.State.ARCHIVED:
        raise TaskGone(_("This task was taken out of the queue."), hint=_("Take the next task."))
    if not Slot.objects.filter(task=task, actor=actor, state__in=HELD).exists():
        raise LeaseLost(
            _("Your time for this task ended and it went back to the queue."),
            hint=_("What was said is kept. Submit it all the same, or take the next task."),
        )


def _require_place(turns: Sequence[ChatTurn], question: Mapping[str, Any], after: int | None, seen: Any) -> None:
    """The conversation stands where the client thinks it does, and is ready for another message."""
    last = turns[-1] if turns else None
    if after is not None and after != len(turns):
        raise _moved()
    if last is None:
        return
    if last.choice is None:
        raise ChatMoved(_("The last turn is not finished."), hint=_("Wait for the replies, then choose one."))
    if seen is not ANYTHING and len(question["models"]) > 1 and seen != place_of(last):
        raise _moved()
    most = turns_of(question)[1]
    if len(turns) >= most:
        raise Conflict(_("This conversation has its %d turns.") % most, hint=_("Submit it."))


def _moved() -> ChatMoved:
    return ChatMoved(
        _("This conversation went on in another window."),
        hint=_("It is shown here as it stands now. Look, then go on."),
    )


def place_of(turn: ChatTurn) -> str | None:
    """Where the chosen reply stood on the screen."""
    if turn.choice is None:
        return None
    return next(PLACES[reply.place] for reply in turn.replies.all() if reply.ordinal == turn.choice)


def _opening(task: Task) -> str | None:
    return str(task.prompt.messages[-1]["content"]) if task.prompt else None


def _messages(task: Task, question: Mapping[str, Any], turns: Sequence[ChatTurn]) -> list[dict[str, str]]:
    """Everything said so far, without the turn about to be written. The task's own system message goes before the question's."""
    before = [dict(message) for message in task.prompt.messages[:-1]] if task.prompt else []
    if question.get("system") and not any(message["role"] == "system" for message in before):
        before.insert(0, {"role": "system", "content": question["system"]})
    for turn in turns:
        chosen = next(reply for reply in turn.replies.all() if reply.ordinal == turn.choice)
        assert chosen.completion is not None
        before += [
            {"role": "user", "content": turn.text},
            {"role": "assistant", "content": chosen.completion.text},
        ]
    return before


def _write(
    held: Conversation,
    question: Mapping[str, Any],
    turns: Sequence[ChatTurn],
    key: str,
    said: str,
    messages: list[dict[str, str]],
) -> ChatTurn:
    messages = [*messages, {"role": "user", "content": said}]
    # All turns of a conversation fall on one side of a snapshot's split: that of its first.
    root = turns[0].prompt.metadata.get("root", turns[0].prompt.digest) if turns else digest_of(messages)
    prompt = keep_prompt(
        project=held.project,
        messages=messages,
        metadata={"source": "chat", "root": root},
        held_out=bool(held.task.prompt and held.task.prompt.held_out),
    )
    turn = ChatTurn.objects.create(conversation=held, index=len(turns), key=key, text=said, prompt=prompt)
    sides = list(enumerate(sides_of(question)))
    if len(sides) == 2 and secrets.randbelow(2):
        sides.reverse()
    ChatReply.objects.bulk_create(
        ChatReply(turn=turn, ordinal=ordinal, place=place, model=side.model, sampling=side.sampling)
        for place, (ordinal, side) in enumerate(sides)
    )
    # A draft keeps the place of somebody whose lease ends in the middle of a talk.
    Draft.objects.get_or_create(
        task_id=held.task_id,
        actor_id=held.actor_id,
        defaults={"answers": {held.question: {"conversation": held.public_id}}},
    )
    return turn


@transaction.atomic
def choose(
    *,
    actor: Actor,
    conversation: Conversation,
    turn: int,
    choice: str,
    strength: int | None = None,
    was: Any = ANYTHING,
) -> ChatTurn:
    """Which reply the conversation goes on from: `first` or `second` as they were shown. It can change until the next message.

    `was` is the choice the client knows (None: none yet). Errors: Invalid, NotFound, ChatMoved.
    """
    held = _lock(actor, conversation)
    row = _turn(held, turn)
    question = chat_question(held.task, held.question)
    _check_choice(question, choice, strength)
    now = place_of(row)
    if (now, row.strength) == (choice, strength):
        return row
    if held.turns.filter(index__gt=turn).exists() or (was is not ANYTHING and was != now):
        raise _moved()
    _require_open(actor, held)
    shown = {PLACES[reply.place]: reply for reply in row.replies.all()}
    if any(reply.state != ChatReply.State.DONE for reply in shown.values()):
        raise ChatMoved(_("Not all replies are there yet."), hint=_("Wait for them, or stop them."))
    row.choice, row.strength, row.chosen_at = shown[choice].ordinal, strength, clock.now()
    row.save(update_fields=["choice", "strength", "chosen_at"])
    return row


def _check_choice(question: Mapping[str, Any], choice: Any, strength: Any) -> None:
    places = PLACES[: len(question["models"])]
    if choice not in places:
        raise Invalid(_("choice: one of %s.") % ", ".join(places))
    if strength is not None and (isinstance(strength, bool) or strength not in (1, 2, 3)):
        raise Invalid(_("strength: 1, 2, 3 or null."))
    if strength is not None and (not question.get("strength") or len(places) == 1):
        raise Invalid(_("strength: this question does not ask for it."))


def _turn(conversation: Conversation, index: int) -> ChatTurn:
    row = conversation.turns.filter(index=index).prefetch_related("replies").first()
    if row is None:
        raise NotFound(_("This conversation has no turn %d.") % index)
    return row


@transaction.atomic
def stop(*, actor: Actor, conversation: Conversation, turn: int) -> None:
    """No more of the replies that are still being written: what has come stays. Nothing to do is no error."""
    row = _turn(_lock(actor, conversation), turn)
    for reply in row.replies.all():
        replies.ask_to_stop(reply)


@transaction.atomic
def retry(*, actor: Actor, conversation: Conversation, turn: int) -> None:
    """Have failed replies written anew. Nothing to do is no error. Errors: NotFound, LeaseLost."""
    held = _lock(actor, conversation)
    row = _turn(held, turn)
    _require_open(actor, held)
    row.replies.filter(state=ChatReply.State.FAILED).update(
        state=ChatReply.State.WAITING, text="", trouble="", stopping=False, beat_at=None
    )


def with_turns(*, actor: Actor, task: Task, questions: Sequence[Mapping[str, Any]], answers: dict[str, Any]) -> Any:
    """Answers to submit, with what was said written into those about a conversation. Errors: Invalid with the path."""
    chats = [question for question in questions if question["kind"] == "chat" and answers.get(question["name"])]
    said = {question["name"]: _settled(actor, task, question, answers[question["name"]]) for question in chats}
    return {**answers, **said}


def _settled(actor: Actor, task: Task, question: Mapping[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    path = f"answers.{question['name']}"
    mine = Conversation.objects.filter(task=task, actor=actor, question=question["name"])
    found = mine.filter(public_id=answer["conversation"]).first()
    if found is None:
        raise Invalid(f"{path}.conversation: " + _("there is no such conversation of yours in this task"))
    turns = _finished(found, path)
    least, _most = turns_of(question)
    if len(turns) < least:
        said = _("the conversation needs at least %(least)d turns; it has %(n)d") % {"least": least, "n": len(turns)}
        raise Invalid(f"{path}.turns: {said}", hint=_("Write another message."))
    return {**answer, "turns": [_stored(turn) for turn in turns]}


def _finished(conversation: Conversation, path: str) -> list[ChatTurn]:
    """The turns an answer holds. A last one that a model failed to answer is left out; an open one is an error."""
    turns = list(conversation.turns.prefetch_related("replies__completion"))
    last = turns[-1] if turns else None
    if last is None or last.choice is not None:
        return turns
    where = f"{path}.turns[{last.index}]: "
    states = {reply.state for reply in last.replies.all()}
    if states & set(UNFINISHED):
        raise Invalid(where + _("a reply is still being written"), hint=_("Wait for it, or stop it."))
    if states == {ChatReply.State.DONE}:
        raise Invalid(where + _("no reply is chosen"), hint=_("Choose the better reply first."))
    return turns[:-1]


def _stored(turn: ChatTurn) -> dict[str, Any]:
    """A turn as annotations keep it: replies in the order of the question's models, `order` as they were shown."""
    by_ordinal = sorted(turn.replies.all(), key=lambda reply: reply.ordinal)
    return {
        "user": turn.text,
        "replies": [reply.completion.public_id for reply in by_ordinal if reply.completion],
        "order": [reply.ordinal for reply in turn.replies.all()],
        "choice": PLACES[turn.choice or 0],
        "strength": turn.strength,
    }
