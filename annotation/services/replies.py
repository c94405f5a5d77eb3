"""The life of a reply: waiting, claimed by a gateway that writes it, done or failed. The row decides: gateways may die."""

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q

from accounts.models import Project
from annotation.models import ChatReply, ChatTurn
from ground import clock
from ground.ids import new_public_id
from models_registry.data import Answer
from models_registry.models import Completion, ModelVersion
from models_registry.services import record_exchange

STOPPED, INTERRUPTED = "stopped", "interrupted"
CUT_OFF = (STOPPED, "error")
"""How a reply ended that says nothing about its model."""


@dataclass(frozen=True)
class Claimed:
    """A reply that this process writes, and what it needs for that."""

    pk: int
    claim: uuid.UUID
    actor_id: int
    project: Project
    model: str
    sampling: dict[str, Any]
    messages: list[dict[str, str]]


def is_stale(reply: ChatReply) -> bool:
    """Whether whoever was writing it has died."""
    return reply.beat_at is not None and reply.beat_at < _dead_since()


def _dead_since() -> Any:
    return clock.now() - timedelta(seconds=settings.CHAT_STALE_SECONDS)


def claim(reply: ChatReply) -> Claimed | None:
    """Take a waiting reply, or one whose gateway died: it begins anew. None: another gateway was first, or nothing is to do."""
    token = uuid.uuid4()
    free = Q(state=ChatReply.State.WAITING) | Q(state=ChatReply.State.WRITING, beat_at__lt=_dead_since())
    taken = ChatReply.objects.filter(free, pk=reply.pk, stopping=False).update(
        state=ChatReply.State.WRITING, claim=token, beat_at=clock.now(), text="", attempts=F("attempts") + 1
    )
    if taken != 1:
        return None
    turn = ChatTurn.objects.select_related("prompt", "conversation__project").get(pk=reply.turn_id)
    return Claimed(
        pk=reply.pk,
        claim=token,
        actor_id=turn.conversation.actor_id,
        project=turn.conversation.project,
        model=reply.model,
        sampling=reply.sampling,
        messages=turn.prompt.messages,
    )


def beat(held: Claimed, text: str | None, version: ModelVersion | None = None) -> str:
    """Still writing; `text` is what has come, None when nothing new did. Returns `stop` or `lost` when there is no use going on."""
    changed: dict[str, Any] = {"beat_at": clock.now()}
    if text is not None:
        changed["text"] = text
    if version is not None:
        changed["version"] = version
    rows = ChatReply.objects.filter(pk=held.pk, claim=held.claim)
    if rows.update(**changed) != 1:
        return "lost"
    return "stop" if rows.filter(stopping=True).exists() else ""


@transaction.atomic
def finish(
    held: Claimed, *, text: str, reason: str, usage: dict[str, Any], version: ModelVersion | None
) -> Completion | None:
    """The whole reply, or what had come of it when it was stopped: committed before anybody is told. None: the claim was lost."""
    reply = _held(held)
    return _done(reply, text=text, reason=reason, usage=usage, version=version) if reply else None


@transaction.atomic
def fail(held: Claimed, *, trouble: str, text: str, usage: dict[str, Any], version: ModelVersion | None) -> None:
    """The reply did not come to its end. What was shown of it is stored, as everything that was ever shown."""
    reply = _held(held)
    if reply is None:
        return
    if text:
        _store(reply, text=text, reason="error", usage=usage, version=version)
    _failed(reply, trouble, text)


def _held(held: Claimed) -> ChatReply | None:
    rows = ChatReply.objects.select_for_update(of=("self",)).select_related(
        "turn__prompt", "turn__conversation__project"
    )
    return rows.filter(pk=held.pk, claim=held.claim).first()


def _done(
    reply: ChatReply, *, text: str, reason: str, usage: dict[str, Any], version: ModelVersion | None
) -> Completion:
    completion = _store(reply, text=text, reason=reason, usage=usage, version=version)
    reply.state, reply.completion, reply.claim = ChatReply.State.DONE, completion, None
    reply.text, reply.version = "", version
    reply.save(update_fields=["state", "completion", "claim", "text", "version"])
    if not ChatReply.objects.filter(turn=reply.turn_id).exclude(pk=reply.pk).exists():
        # A talk with one model goes on by itself.
        ChatTurn.objects.filter(pk=reply.turn_id, choice=None).update(choice=reply.ordinal, chosen_at=clock.now())
    return completion


def _store(
    reply: ChatReply, *, text: str, reason: str, usage: dict[str, Any], version: ModelVersion | None
) -> Completion:
    conversation = reply.turn.conversation
    about = {"conversation": conversation.public_id, "turn": reply.turn.index}
    answer = Answer(public_id=new_public_id("cmp"), text=text, finish_reason=reason, usage={**usage, "metadata": about})
    (completion,) = record_exchange(
        project=conversation.project,
        messages=reply.turn.prompt.messages,
        version=version,
        alias=reply.model,
        sampling=reply.sampling,
        answers=[answer],
    )
    return completion


def _failed(reply: ChatReply, trouble: str, text: str) -> None:
    reply.state, reply.trouble, reply.text, reply.claim = ChatReply.State.FAILED, trouble, text, None
    reply.save(update_fields=["state", "trouble", "text", "claim"])


def ask_to_stop(reply: ChatReply) -> None:
    """Whoever writes it stops within a second. Where nobody does, it ends here with what had come. In the caller's transaction."""
    row = ChatReply.objects.select_for_update(of=("self",)).select_related("turn__prompt", "turn__conversation__project").get(
        pk=reply.pk
    )  # fmt: skip
    if row.state == ChatReply.State.WRITING and not is_stale(row):
        ChatReply.objects.filter(pk=row.pk).update(stopping=True)
    elif row.state == ChatReply.State.WRITING and row.text:
        _done(row, text=row.text, reason=STOPPED, usage={}, version=row.version)
    elif row.state in (ChatReply.State.WRITING, ChatReply.State.WAITING):
        _failed(row, STOPPED, "")
