"""A streamed exchange: it lives in a task of its own, so that a client that hangs up leaves no gate shut and no text unstored."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

from django.db import DatabaseError
from django.utils.translation import gettext as _

from accounts.models import ApiToken
from models_registry.gateway import backend, store
from models_registry.gateway.backend import Said
from models_registry.gateway.body import ChatRequest
from models_registry.gateway.refusals import Refusal
from models_registry.gateway.shapes import answer_of, total_usage

logger = logging.getLogger(__name__)
_tasks: set[asyncio.Task[None]] = set()
END = None


class Exchange:
    """One request, `n` choices. `ids` are the completions' public ids, told to the client with the first chunk."""

    def __init__(
        self, *, token: ApiToken, request: ChatRequest, route: store.Route, ids: list[str], leave: Callable[[], None]
    ) -> None:
        self.token, self.request, self.route, self.ids, self.leave = token, request, route, ids, leave
        self.said = [Said() for _id in ids]
        self.began, self.created = time.monotonic(), int(time.time())
        self.chunks: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.task = asyncio.create_task(self._run())
        # The loop keeps only weak references to tasks.
        _tasks.add(self.task)
        self.task.add_done_callback(_tasks.discard)

    async def body(self) -> AsyncIterator[bytes]:
        try:
            while (chunk := await self.chunks.get()) is not END:
                yield chunk
        finally:
            self.task.cancel()

    async def _run(self) -> None:
        try:
            await self._exchange()
        except Refusal as refusal:
            await self._fail(refusal)
        except asyncio.CancelledError:
            # The client hung up. What it has seen is stored all the same, outside of the cancelled task's reach.
            await asyncio.shield(asyncio.ensure_future(self._keep_partial("disconnected")))
        except Exception:
            logger.exception("A streamed exchange failed")
            await self._fail(Refusal(500, "internal_error", _("The gateway failed. Its log says why.")))
        finally:
            self.leave()
            self.chunks.put_nowait(END)

    async def _exchange(self) -> None:
        async with AsyncExitStack() as stack:
            streams = [
                await stack.enter_async_context(backend.opened(self.route, self.request, index, said))
                for index, said in enumerate(self.said)
            ]
            self.opened.set_result(None)
            for index in range(len(streams)):
                self._send(index, {"role": "assistant", "content": ""})
            await backend.together(self._pass_on(index, stream) for index, stream in enumerate(streams))
        await self._keep([said.finish_reason for said in self.said])
        self._finish()

    async def _pass_on(self, index: int, stream: AsyncIterator[str]) -> None:
        async for text in stream:
            self._send(index, {"content": text})

    async def _keep(self, reasons: list[str]) -> None:
        milliseconds = round(1000 * (time.monotonic() - self.began))
        answers = [
            answer_of(public_id, said, milliseconds, self.request, reason)
            for public_id, said, reason in zip(self.ids, self.said, reasons, strict=True)
            if said.text or reason in backend.FINISHES
        ]
        if not answers:
            return
        try:
            await store.in_database(store.keep, self.token, self.request, self.route, answers)
        except DatabaseError as error:
            logger.exception("An answer could not be stored")
            raise Refusal(503, "not_stored", _("The answer could not be stored."), retry_after=5) from error

    async def _keep_partial(self, reason: str) -> None:
        try:
            await self._keep([reason] * len(self.ids))
        except Refusal:
            logger.warning("The beginning of %s, which its client saw, is not stored", self.ids[0])

    async def _fail(self, refusal: Refusal) -> None:
        if not self.opened.done():
            self.opened.set_exception(refusal)
            return
        if refusal.code != "not_stored":
            await self._keep_partial("error")
        self._put(refusal.body())

    def _finish(self) -> None:
        for index, said in enumerate(self.said):
            self._send(index, {}, said.finish_reason)
        if self.request.include_usage:
            self._put({**self._frame(), "choices": [], "usage": total_usage(self.said)})
        self.chunks.put_nowait(b"data: [DONE]\n\n")

    def _frame(self) -> dict[str, Any]:
        version = self.route.version
        return {
            "id": self.ids[0],
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.request.model,
            "model_version": version.public_id if version else None,
        }

    def _send(self, index: int, delta: dict[str, str], finish: str | None = None) -> None:
        choice = {"index": index, "delta": delta, "finish_reason": finish, "completion": self.ids[index]}
        self._put({**self._frame(), "choices": [choice]})

    def _put(self, data: dict[str, Any]) -> None:
        self.chunks.put_nowait(b"data: " + json.dumps(data, ensure_ascii=False).encode() + b"\n\n")
