"""Tickets: what the pages' process gives a browser so that the gateway lets it listen to one reply, and to nothing else."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core import signing
from django.http import HttpRequest

from annotation.models import ChatReply, Conversation

SALT = "plumbline.chat"


@dataclass(frozen=True)
class Ticket:
    """`place` is where the reply stands on the screen: whoever reads a ticket learns nothing about the model.

    `origin` is the page it was given to; empty for a client that is no browser. `fresh`: it has not expired.
    """

    conversation: str
    actor: str
    turn: int
    place: int
    origin: str
    fresh: bool = True


def give(conversation: Conversation, reply: ChatReply, *, turn: int, actor: str, origin: str) -> str:
    return signing.dumps([conversation.public_id, actor, turn, reply.place, origin], salt=SALT)


def read(text: str) -> Ticket | None:
    """The ticket, maybe expired; None for what was never given."""
    try:
        return _ticket(signing.loads(text, salt=SALT, max_age=settings.CHAT_TICKET_SECONDS), True)
    except signing.SignatureExpired:
        return _ticket(signing.loads(text, salt=SALT), False)
    except (signing.BadSignature, ValueError, TypeError):
        return None


def _ticket(found: Any, fresh: bool) -> Ticket:
    conversation, actor, turn, place, origin = found
    return Ticket(conversation, actor, turn, place, origin, fresh)


def origin_of(request: HttpRequest) -> str:
    """The page's own origin. A POST's header has passed Django's check; a GET of the same origin carries none."""
    told = request.headers.get("Origin", "")
    if told and told != "null":
        return told
    here = request.get_host()
    trusted = (name for name in settings.CSRF_TRUSTED_ORIGINS if name.partition("://")[2] == here)
    return next(trusted, f"{request.scheme}://{here}")
