"""Live chat on the labeling page: small requests, each answered with the conversation. Replies stream from the gateway."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.models import Actor
from accounts.selectors import get_member_for
from accounts.services import EVERYBODY
from annotation.live_chat.tickets import origin_of
from annotation.models import Conversation
from annotation.selectors.chat import conversation_of, has_silent_model, state_of
from annotation.selectors.queue import get_slot_for
from annotation.services import chat
from annotation.views.label import small_request
from ground.errors import Invalid, NotFound

Act = Callable[[HttpRequest, Actor, Conversation], Any]


@small_request
def act(request: HttpRequest, slug: str, slot: str, question: str, action: str) -> HttpResponse:
    """look, send, choose, stop, retry."""
    actor = get_member_for(request, slug, *EVERYBODY)
    task = get_slot_for(actor, slot).task
    if action == "send":
        _send(request, actor, chat.open_conversation(actor=actor, task=task, question=question))
    elif action != "look":
        _ACTIONS[action](request, actor, _begun(actor, task, question))
    conversation = conversation_of(actor, task, question)
    state = state_of(actor, task, question, conversation, origin=origin_of(request))
    waits = state["next"] in ("opening", "message", "retry")
    silent = action == "look" and waits and has_silent_model(task, question)
    since = _whole(request, "since") or 0
    shown = {**state, "turns": state["turns"][since:], "count": len(state["turns"]), "silent": silent}
    response = render(request, "annotation/_chat.html", {"chat": shown})
    response["Cache-Control"] = "no-store"
    return response


def _begun(actor: Actor, task: Any, question: str) -> Conversation:
    found = conversation_of(actor, task, question)
    if found is None:
        raise NotFound("This conversation has not begun.")
    return found


def _send(request: HttpRequest, actor: Actor, conversation: Conversation) -> None:
    chat.send(
        actor=actor,
        conversation=conversation,
        key=request.POST.get("key", ""),
        text=request.POST.get("text", "").replace("\r\n", "\n"),
        after=_whole(request, "after"),
        seen=_known(request, "seen"),
    )


def _choose(request: HttpRequest, actor: Actor, conversation: Conversation) -> None:
    chat.choose(
        actor=actor,
        conversation=conversation,
        turn=_turn(request),
        choice=request.POST.get("choice", ""),
        strength=_whole(request, "strength"),
        was=_known(request, "was"),
    )


def _known(request: HttpRequest, name: str) -> Any:
    """What the page knows of a choice: empty for none yet; anything where it does not say."""
    return request.POST[name] or None if name in request.POST else chat.ANYTHING


def _turn(request: HttpRequest) -> int:
    index = _whole(request, "turn")
    if index is None:
        raise Invalid("turn: needs the number of a turn")
    return index


def _whole(request: HttpRequest, name: str) -> int | None:
    text = request.POST.get(name, "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        raise Invalid(f"{name}: needs a whole number")
    return int(text)


_ACTIONS: dict[str, Act] = {
    "choose": _choose,
    "stop": lambda request, actor, found: chat.stop(actor=actor, conversation=found, turn=_turn(request)),
    "retry": lambda request, actor, found: chat.retry(actor=actor, conversation=found, turn=_turn(request)),
}
