"""Back-pressure: how much at once, from whom, and how large."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from models_registry.gateway.refusals import Refusal

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
DRAINED = 64 * 1024 * 1024


class Gate:
    """At most `limit` requests at models, as many again waiting `patience` seconds, at most `share` of one caller."""

    def __init__(self, *, limit: int, patience: float, share: int) -> None:
        self.limit, self.patience, self.share = limit, patience, share
        self._free = asyncio.Semaphore(limit)
        self._waiting = 0
        self._held: Counter[int] = Counter()

    async def enter(self, caller: int) -> None:
        """Every enter needs one leave. Errors: Refusal 429 for a caller with too much in flight, 503 when all is full."""
        if self._held[caller] >= self.share:
            message = _("This token has %d requests in flight already.") % self.share
            raise Refusal(429, "rate_limit_exceeded", message, retry_after=1)
        if self._free.locked() and self._waiting >= self.limit:
            raise self._full()
        self._held[caller] += 1
        self._waiting += 1
        try:
            await asyncio.wait_for(self._free.acquire(), self.patience)
        except BaseException as error:
            self._forget(caller)
            if isinstance(error, TimeoutError):
                raise self._full() from error
            raise
        finally:
            self._waiting -= 1

    def leave(self, caller: int) -> None:
        self._forget(caller)
        self._free.release()

    @asynccontextmanager
    async def held(self, caller: int) -> Any:
        await self.enter(caller)
        try:
            yield
        finally:
            self.leave(caller)

    def _forget(self, caller: int) -> None:
        self._held[caller] -= 1
        if not self._held[caller]:
            del self._held[caller]

    def _full(self) -> Refusal:
        return Refusal(503, "overloaded", _("All models are busy. Try again in a moment."), retry_after=2)


gate = Gate(
    limit=settings.GATEWAY_CONCURRENCY,
    patience=settings.GATEWAY_PATIENCE,
    share=max(1, settings.GATEWAY_CONCURRENCY // 2),
)


class BodyLimit:
    """Refuses a larger body while it arrives: Django would first write all of it to disk.

    Up to DRAINED bytes are read and dropped, because a client that is still sending would not see the refusal.
    """

    def __init__(self, application: Callable[..., Awaitable[None]], *, most: int) -> None:
        self.application, self.most = application, most

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.application(scope, receive, send)
            return
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if not declared.isdigit() or int(declared[:18]) > DRAINED:
            await self._refuse(send)
            return
        taken = await self._take(receive)
        if taken is None:
            await self._refuse(send)
            return
        await self.application(scope, _replay(taken, receive), send)

    async def _take(self, receive: Receive) -> list[dict[str, Any]] | None:
        taken, size = [], 0
        while True:
            message = await receive()
            size += len(message.get("body", b""))
            if size <= self.most:
                taken.append(message)
            if size > DRAINED or message["type"] != "http.request" or not message.get("more_body"):
                return taken if size <= self.most else None

    async def _refuse(self, send: Send) -> None:
        refusal = Refusal(413, "body_too_large", _("The body is larger than %d bytes.") % self.most)
        body = json.dumps(refusal.body()).encode()
        headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
        headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _replay(taken: list[dict[str, Any]], receive: Receive) -> Receive:
    """What was taken, then the live channel: Django listens there for the client hanging up."""
    left = iter(taken)

    async def again() -> dict[str, Any]:
        message = next(left, None)
        return await receive() if message is None else message

    return again
