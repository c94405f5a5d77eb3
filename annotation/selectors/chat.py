"""Gated reads of live chat: how a conversation stands, for whoever talks, and with its models' names for managers alone."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from accounts.models import Actor, Project
from accounts.services import MANAGERS, REVIEWERS, role_of
from annotation.live_chat import tickets
from annotation.models import Annotation, ChatReply, ChatTurn, Conversation, Task
from annotation.questions.chat import PLACES, sides_of, turns_of
from annotation.services.chat import chat_question, place_of
from annotation.services.replies import CUT_OFF
from ground.errors import NotFound
from models_registry.gateway.refusals import Refusal
from models_registry.gateway.store import route

STATES = {
    ChatReply.State.WAITING: "waiting",
    ChatReply.State.WRITING: "writing",
    ChatReply.State.DONE: "done",
    ChatReply.State.FAILED: "failed",
}
PATH = "/live/reply"


def get_conversation_for(actor: Actor, public_id: str) -> Conversation:
    """The actor's own, or for who reviews and manages any of the project's. Errors: NotFound."""
    rows = Conversation.objects.select_related("task__prompt", "project", "actor")
    found = rows.filter(public_id=public_id, project_id=actor.project_id).first()
    if found is None or (found.actor_id != actor.pk and role_of(actor) not in REVIEWERS):
        raise NotFound(_("There is no conversation %(id)s here.") % {"id": public_id[:60]})
    return found


def conversation_of(actor: Actor, task: Task, question: str) -> Conversation | None:
    """The actor's own conversation in this task, when it has begun."""
    rows = Conversation.objects.select_related("task__prompt", "project", "actor")
    return rows.filter(task=task, actor=actor, question=question).first()


def state_of(
    actor: Actor, task: Task, question: str, conversation: Conversation | None, *, origin: str = ""
) -> dict[str, Any]:
    """How the conversation stands. `origin` is the page that will listen to the gateway.

    `next` says what it waits for: `opening` (the task's own message is sent as it is), `message`, `replies`, `retry`, `choice`,
    `full` (no turn more), or `closed` (submitted). Errors: NotFound where the task has no such question.
    """
    asked = chat_question(task, question)
    least, most = turns_of(asked)
    turns = list(conversation.turns.prefetch_related("replies__completion__version")) if conversation else []
    own = conversation is None or conversation.actor_id == actor.pk
    following = _next(task, turns, most)
    if conversation and following not in ("replies", "retry") and _is_submitted(conversation):
        following = "closed"
    reveal = not own and role_of(actor) in MANAGERS
    return {
        "id": conversation.public_id if conversation else None,
        "task": task.public_id,
        "question": question,
        "sides": len(asked["models"]),
        "next": following,
        "turns_min": least,
        "turns_max": most,
        "gateway": settings.GATEWAY_PUBLIC_URL + PATH,
        "turns": [_turn(conversation, turn, origin if own else None, reveal) for turn in turns if conversation],
    }


def _next(task: Task, turns: list[ChatTurn], most: int) -> str:
    if not turns:
        return "opening" if task.prompt_id is not None else "message"
    if turns[-1].choice is not None:
        return "full" if len(turns) >= most else "message"
    states = {reply.state for reply in turns[-1].replies.all()}
    if states & {ChatReply.State.WAITING, ChatReply.State.WRITING}:
        return "replies"
    return "retry" if ChatReply.State.FAILED in states else "choice"


def _is_submitted(conversation: Conversation) -> bool:
    said = Annotation.objects.filter(task_id=conversation.task_id, actor_id=conversation.actor_id, counted=True)
    return said.filter(settlement=False).exists()


def _turn(conversation: Conversation, turn: ChatTurn, origin: str | None, reveal: bool) -> dict[str, Any]:
    return {
        "index": turn.index,
        "user": turn.text,
        "choice": place_of(turn),
        "strength": turn.strength,
        "replies": [_reply(conversation, turn, reply, origin, reveal) for reply in turn.replies.all()],
    }


def _reply(
    conversation: Conversation, turn: ChatTurn, reply: ChatReply, origin: str | None, reveal: bool
) -> dict[str, Any]:
    completion = reply.completion
    shown: dict[str, Any] = {
        "place": PLACES[reply.place],
        "state": STATES[ChatReply.State(reply.state)],
        "text": completion.text if completion else reply.text,
        "trouble": reply.trouble,
        "cut_off": completion is not None and completion.finish_reason in (*CUT_OFF, "length"),
    }
    if origin is not None and reply.state in (ChatReply.State.WAITING, ChatReply.State.WRITING):
        actor = conversation.actor.public_id
        shown["ticket"] = tickets.give(conversation, reply, turn=turn.index, actor=actor, origin=origin)
    if reveal:
        shown |= {
            "ordinal": reply.ordinal,
            "model": reply.model,
            "sampling": reply.sampling,
            "completion": completion.public_id if completion else None,
            "version": completion.version.public_id if completion and completion.version else None,
            "finish_reason": completion.finish_reason if completion else "",
            "milliseconds": completion.usage.get("milliseconds") if completion else None,
        }
    return shown


def silent_models(project: Project, question: Mapping[str, Any]) -> dict[str, str]:
    """The models of a chat question that would not answer now, each with the reason in words. For managers: it names them."""
    found: dict[str, str] = {}
    for side in sides_of(question):
        try:
            route(project, side.model)
        except Refusal as refusal:
            found[side.model] = refusal.message
    return found


def chat_warnings(project: Project, body: Mapping[str, Any]) -> list[str]:
    """What a manager should know before publishing a schema: which models of its chats nobody serves. None of it is an error."""
    warnings = []
    for place, question in enumerate(body["questions"]):
        if question["kind"] == "chat":
            silent = silent_models(project, question)
            warnings += [f"questions[{place}].models: {reason}" for reason in silent.values()]
    return warnings


def has_silent_model(task: Task, question: str) -> bool:
    """Whether somebody about to talk would wait in vain."""
    return bool(silent_models(task.project, chat_question(task, question)))
