"""The gateway's side of live chat: `POST /live/reply` with a ticket as its body, answered by server-sent events.

The body is plain text, so that a browser asks without a preflight. Errors are the same whatever the model is.
"""

import asyncio
from collections.abc import AsyncIterator

from django.db import transaction
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _

from accounts.models import Membership
from annotation.live_chat import tickets
from annotation.live_chat.pump import Pump, frame, writing
from annotation.live_chat.tickets import Ticket
from annotation.models import ChatReply
from annotation.services import replies
from models_registry.gateway import store
from models_registry.gateway.refusals import Refusal, answers

LOOK_SECONDS = 0.5
LONGEST_TICKET = 2000
State = ChatReply.State


@answers("POST")
async def reply(request: HttpRequest) -> HttpResponseBase:
    """`begin` with what there is, `delta`s, then `done` or `failed`. Asking twice listens twice; it never asks the model twice."""
    ticket = tickets.read(request.body[:LONGEST_TICKET].decode("ascii", "replace"))
    if ticket is None:
        raise _unknown()
    origin = request.headers.get("Origin", "")
    if origin and origin != ticket.origin:
        raise Refusal(403, "wrong_origin", _("This ticket was given to another page."))
    try:
        answer = await _stream(ticket)
    except Refusal as refusal:
        answer = refusal.response()
    if origin:
        answer["Access-Control-Allow-Origin"] = origin
    answer["Vary"] = "Origin"
    return answer


async def _stream(ticket: Ticket) -> HttpResponseBase:
    if not ticket.fresh:
        raise Refusal(410, "ticket_expired", _("This ticket has expired. Ask for the conversation again."))
    row = await store.in_database(_find, ticket)
    answer = StreamingHttpResponse(_frames(row), content_type="text/event-stream")
    answer["Cache-Control"] = "no-store"
    answer["X-Accel-Buffering"] = "no"
    return answer


def _unknown() -> Refusal:
    return Refusal(404, "not_found", _("There is no such reply here."))


def _find(ticket: Ticket) -> ChatReply:
    """Errors: Refusal 404, also when its person is no member any more or the project was archived."""
    rows = ChatReply.objects.filter(
        turn__conversation__public_id=ticket.conversation,
        turn__conversation__actor__public_id=ticket.actor,
        turn__conversation__project__archived_at=None,
        turn__index=ticket.turn,
        place=ticket.place,
    )
    row = rows.select_related("completion", "turn__conversation__actor__user").first()
    if row is None:
        raise _unknown()
    actor = row.turn.conversation.actor
    gone = actor.user is not None and not actor.user.is_active
    if gone or not Membership.objects.filter(actor=actor).exists():
        raise _unknown()
    return row


def _look(pk: int) -> ChatReply:
    row = ChatReply.objects.select_related("completion").get(pk=pk)
    if row.state == State.WRITING and row.stopping and replies.is_stale(row):
        # Its gateway died before it could heed the stop.
        with transaction.atomic():
            replies.ask_to_stop(row)
    return row


async def _frames(row: ChatReply) -> AsyncIterator[bytes]:
    """Listen here if this process writes it, begin it if nobody does, else watch its row: another gateway writes it."""
    told: str | None = None
    while True:
        pump = writing(row.pk)
        if pump is None and row.state in (State.WAITING, State.WRITING):
            held = await store.in_database(replies.claim, row)
            pump = Pump(held) if held else None
        if pump is not None:
            async for chunk in pump.listen():
                yield chunk
            return
        row = await store.in_database(_look, row.pk)
        said = row.completion.text if row.completion else row.text
        if told is None or not said.startswith(told):
            yield frame("begin", text=said)
        elif said != told:
            yield frame("delta", text=said[len(told) :])
        told = said
        if row.state == State.DONE:
            yield frame("done")
            return
        if row.state == State.FAILED:
            yield frame("failed", trouble=row.trouble)
            return
        await asyncio.sleep(LOOK_SECONDS)
