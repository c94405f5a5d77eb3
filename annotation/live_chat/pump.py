"""A reply being written. It lives in a task of its own: it goes on when its listener leaves, and any number may listen."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator
from typing import Any

from django.db import DatabaseError

from annotation.services import replies
from annotation.services.replies import INTERRUPTED, STOPPED, Claimed
from models_registry.gateway import backend, store
from models_registry.gateway.backend import Said
from models_registry.gateway.body import ChatRequest
from models_registry.gateway.limits import gate
from models_registry.gateway.refusals import Refusal
from models_registry.models import ModelVersion
from models_registry.texts import LONGEST_TEXT

logger = logging.getLogger(__name__)
BEAT_SECONDS = 0.5
QUIET_SECONDS = 15.0
BUSY = ("overloaded", "rate_limit_exceeded", "backend_busy", "backend_rate_limited", "model_starting")
REFUSED = ("backend_refused", "unsupported_value")
_written: dict[int, "Pump"] = {}


def frame(event: str, **data: Any) -> bytes:
    return f"event: {event}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def writing(reply_pk: int) -> "Pump | None":
    """The pump in this process that writes the reply."""
    return _written.get(reply_pk)


class Pump:
    """Writes one claimed reply. `ended` is the last frame, once there is one."""

    def __init__(self, held: Claimed) -> None:
        self.held = held
        self.said = Said()
        self.version: ModelVersion | None = None
        self.ended: bytes | None = None
        self.began = time.monotonic()
        self.first: float | None = None
        self._size = 0
        self._news: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        _written[held.pk] = self
        self.task = asyncio.create_task(self._run())

    async def listen(self) -> AsyncIterator[bytes]:
        """What has come, then what comes. Small pieces that came together are sent together."""
        told = len(self.said.parts)
        yield frame("begin", text="".join(self.said.parts[:told]))
        while True:
            news = self._news
            fresh = self.said.parts[told:]
            if fresh:
                told += len(fresh)
                yield frame("delta", text="".join(fresh))
            if self.ended is not None:
                yield self.ended
                return
            await asyncio.wait([news], timeout=QUIET_SECONDS)
            if not news.done():
                yield b": still here\n\n"

    def _tell(self) -> None:
        news, self._news = self._news, asyncio.get_running_loop().create_future()
        news.set_result(None)

    async def _run(self) -> None:
        try:
            self.ended = await self._write()
        except DatabaseError:
            # Its row stays as it is and goes stale: whoever asks next begins it anew.
            logger.exception("A reply could not be stored")
            self.ended = frame("failed", trouble=INTERRUPTED)
        except Exception:
            logger.exception("A reply failed")
            self.ended = await self._fail("down")
        finally:
            self.ended = self.ended or frame("failed", trouble=INTERRUPTED)
            _written.pop(self.held.pk, None)
            self._tell()

    async def _write(self) -> bytes:
        """Talk and beat side by side; the first to end decides."""
        talking, beating = asyncio.create_task(self._talk()), asyncio.create_task(self._beat())
        both = {talking, beating}
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if beating.done() and not talking.done():
                # Not a word more: what is stored is what was shown.
                talking.cancel()
                await asyncio.wait([talking])
                return await self._cut(beating.result())
            reason = talking.result()
        except Refusal as refusal:
            return await self._fail(self._trouble(refusal))
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)
        return await self._finish(reason)

    async def _talk(self) -> str:
        asked = ChatRequest(
            model=self.held.model,
            messages=self.held.messages,
            n=1,
            stream=True,
            include_usage=False,
            sampling=dict(self.held.sampling),
            user="",
            metadata={},
        )
        async with gate.held(-self.held.actor_id):
            route = await store.in_database(store.route, self.held.project, self.held.model)
            self.version = route.version
            async with backend.opened(route, asked, 0, self.said) as deltas:
                async for text in deltas:
                    self.first = self.first or time.monotonic()
                    self._size += len(text)
                    self._tell()
                    if self._size > LONGEST_TEXT:
                        return "length"
        return self.said.finish_reason

    async def _beat(self) -> str:
        """Until the person stops it, or another gateway took it over."""
        stored = 0
        while True:
            count = len(self.said.parts)
            text = self.said.text if count != stored else None
            verdict = await store.in_database(replies.beat, self.held, text, self.version)
            if verdict:
                return verdict
            stored = count
            await asyncio.sleep(BEAT_SECONDS)

    async def _cut(self, verdict: str) -> bytes:
        if verdict == "lost":
            return frame("failed", trouble=INTERRUPTED)
        return await (self._finish(STOPPED) if self.said.text else self._fail(STOPPED))

    async def _finish(self, reason: str) -> bytes:
        said = self.said.text[:LONGEST_TEXT]
        stored = await store.in_database(
            lambda: replies.finish(self.held, text=said, reason=reason, usage=self._usage(), version=self.version)
        )
        return frame("done") if stored else frame("failed", trouble=INTERRUPTED)

    async def _fail(self, trouble: str) -> bytes:
        said = self.said.text[:LONGEST_TEXT]
        await store.in_database(
            lambda: replies.fail(self.held, trouble=trouble, text=said, usage=self._usage(), version=self.version)
        )
        return frame("failed", trouble=trouble)

    def _trouble(self, refusal: Refusal) -> str:
        """One word that is the same for every model: the refusal itself names it."""
        logger.warning("A reply of %s failed: %s", self.held.model, refusal.message)
        if self.said.parts:
            return INTERRUPTED
        return "busy" if refusal.code in BUSY else "refused" if refusal.code in REFUSED else "down"

    def _usage(self) -> dict[str, Any]:
        now = time.monotonic()
        first = {"first_milliseconds": round(1000 * (self.first - self.began))} if self.first else {}
        return {**self.said.usage, "milliseconds": round(1000 * (now - self.began)), **first}
