"""What the measured clients do: the floor's one INSERT, and the annotators' loop."""

import uuid
from collections.abc import AsyncIterator
from typing import Any

from benchmarks.queue.client import Connection, Refused

ANSWERS = {"labels": {"labels": ["good"]}}


async def insert(connection: Connection) -> AsyncIterator[None]:
    """The floor: one request, one INSERT."""
    while True:
        status, body = await connection.post("/floor", {"text": "an answer of some words"})
        if status != 201:
            raise Refused(f"floor: {status} {body}")
        yield


async def annotate(connection: Connection, slug: str) -> AsyncIterator[None]:
    """One request per annotation: submitting an answer brings the next task."""
    slot = await _first(connection, slug)
    while slot is not None:
        slot = await _submit(connection, slot)
        yield


async def _first(connection: Connection, slug: str) -> dict[str, Any] | None:
    status, slot = await connection.post(f"/api/v1/projects/{slug}/queue:next")
    if status not in (200, 204):
        raise Refused(f"queue:next: {status} {slot}")
    found: dict[str, Any] | None = slot
    return found


async def _submit(connection: Connection, slot: dict[str, Any]) -> dict[str, Any] | None:
    body = {"lease": slot["lease"], "answers": ANSWERS, "seconds": 1.5}
    status, answer = await connection.post(f"/api/v1/slots/{slot['id']}:submit?next=1", body, key=uuid.uuid4().hex)
    if status != 200 or not answer["annotation"]["counted"]:
        raise Refused(f"submit: {status} {answer}")
    following: dict[str, Any] | None = answer["next"]
    return following
