"""What tests of live chat stand on: a task that asks for a talk, and replies written as a gateway writes them."""

import uuid
from typing import Any

from annotation.filing import open_slots
from annotation.models import ChatReply, ChatTurn, Conversation, Slot, Task
from annotation.questions.chat import PLACES
from annotation.router import Router, main_queue
from annotation.services import chat, replies
from annotation.services.slots import submit_answer, take_next
from annotation.services.tasks import current_schema
from models_registry.models import Deployment, Model, ModelVersion
from tests.factories import make_version

TWO = ["talker@1", "talker@2"]


def chat_body(models: Any = None, **more: Any) -> dict[str, Any]:
    question = {"name": "talk", "kind": "chat", "text": "Talk with both.", "models": models or TWO, **more}
    return {"schema_version": 1, "questions": [question]}


def make_chat_tasks(
    project: Any, count: int = 1, *, prompt: Any = None, body: Any = None, overlap: int = 1, **more: Any
) -> list[Task]:
    schema = current_schema(project, "talk", body or chat_body(**more))
    tasks = [
        Task.objects.create(
            project=project,
            queue=main_queue(project),
            schema=schema,
            overlap=overlap,
            prompt=prompt,
            data={"schema_version": 1},
        )
        for _ in range(count)
    ]
    open_slots(Router(project), tasks)
    return tasks


def two_versions(project: Any) -> list[ModelVersion]:
    """talker@1 and talker@2."""
    model = Model.objects.create(project=project, slug="talker", name="Talker")
    return [make_version(model=model), make_version(model=model)]


def serve(project: Any, version: ModelVersion, url: str, remote_model: str) -> Deployment:
    return Deployment.objects.create(
        project=project, version=version, backend="url", url=url, remote_model=remote_model, state="ready"
    )


def take(actor: Any) -> tuple[Slot, uuid.UUID]:
    claim = take_next(actor=actor)
    assert claim is not None
    return Slot.objects.select_related("task__schema", "task__project", "task__prompt").get(
        pk=claim.slot_id
    ), claim.token


def begin(actor: Any) -> tuple[Slot, uuid.UUID, Conversation]:
    slot, token = take(actor)
    return slot, token, chat.open_conversation(actor=actor, task=slot.task, question="talk")


def say(actor: Any, conversation: Conversation, text: str = "Hello", **more: Any) -> ChatTurn:
    return chat.send(actor=actor, conversation=conversation, key=uuid.uuid4().hex, text=text, **more)


def reply_all(turn: ChatTurn, *, reason: str = "stop", version: Any = None) -> None:
    """Both models reply, each with its ordinal in its words."""
    for reply in turn.replies.exclude(state=ChatReply.State.DONE):
        held = replies.claim(reply)
        assert held is not None
        text = f"Reply {reply.ordinal} to turn {turn.index}"
        assert replies.finish(held, text=text, reason=reason, usage={"milliseconds": 5}, version=version)


def place_of_ordinal(turn: ChatTurn, ordinal: int) -> str:
    return PLACES[turn.replies.get(ordinal=ordinal).place]


def choose(actor: Any, conversation: Conversation, turn: ChatTurn, ordinal: int, **more: Any) -> ChatTurn:
    place = place_of_ordinal(turn, ordinal)
    return chat.choose(actor=actor, conversation=conversation, turn=turn.index, choice=place, **more)


def talk(actor: Any, conversation: Conversation, *ordinals: int, **more: Any) -> None:
    """A turn for each ordinal, which is the one chosen."""
    for ordinal in ordinals:
        turn = say(actor, conversation, f"Message {conversation.turns.count()}")
        reply_all(turn, **more)
        if turn.replies.count() > 1:
            choose(actor, conversation, turn, ordinal)


def submit(actor: Any, slot: Slot, token: uuid.UUID, conversation: Conversation, **more: Any) -> Any:
    answers = {"talk": {"conversation": conversation.public_id}, **more}
    return submit_answer(actor=actor, slot=slot, token=token, key=uuid.uuid4().hex, answers=answers)[0]
