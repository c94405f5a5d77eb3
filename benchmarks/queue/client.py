"""A small HTTP/1.1 client on asyncio: one connection per annotator, kept alive. It must cost less than what it measures."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any


class Refused(Exception):
    """The server answered with an error."""


@dataclass
class Connection:
    host: str
    port: int
    token: str = ""
    reader: asyncio.StreamReader | None = None
    writer: asyncio.StreamWriter | None = None

    async def post(self, path: str, body: Any = None, key: str = "") -> tuple[int, Any]:
        """Status and parsed JSON (None without a body). Reconnects once when the server closed an idle connection."""
        payload = json.dumps(body).encode() if body is not None else b"{}"
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(payload)}\r\n"
        )
        if self.token:
            head += f"Authorization: Bearer {self.token}\r\n"
        if key:
            head += f"Idempotency-Key: {key}\r\n"
        try:
            return await self._exchange(head.encode() + b"\r\n" + payload)
        except (ConnectionError, asyncio.IncompleteReadError):
            await self.close()
            return await self._exchange(head.encode() + b"\r\n" + payload)

    async def _exchange(self, request: bytes) -> tuple[int, Any]:
        if self.writer is None or self.reader is None:
            self.reader, self.writer = await asyncio.open_connection(self.host, self.port)
        self.writer.write(request)
        head = await self.reader.readuntil(b"\r\n\r\n")
        status, length, closing = _parsed(head)
        body = await self.reader.readexactly(length) if length else b""
        if closing:
            await self.close()
        return status, json.loads(body) if body else None

    async def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
        self.reader = self.writer = None


def _parsed(head: bytes) -> tuple[int, int, bool]:
    lines = head.lower().split(b"\r\n")
    headers = dict(line.split(b": ", 1) for line in lines[1:] if b": " in line)
    return int(lines[0].split()[1]), int(headers.get(b"content-length", b"0")), headers.get(b"connection") == b"close"


@dataclass
class Measured:
    """Requests of one run: how many, how long it ran (seconds), and how long each took (milliseconds)."""

    seconds: float
    milliseconds: list[float] = field(repr=False)

    @property
    def per_second(self) -> float:
        return len(self.milliseconds) / self.seconds

    def percentile(self, share: float) -> float:
        ordered = sorted(self.milliseconds)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


async def measure(workers: list[AsyncIterator[None]], *, seconds: float) -> Measured:
    """Let every worker send requests one after the other until the time is over; each step of a worker is one request."""
    took: list[float] = []
    began = time.perf_counter()

    async def run(worker: AsyncIterator[None]) -> None:
        while time.perf_counter() - began < seconds:
            at = time.perf_counter()
            try:
                await anext(worker)
            except StopAsyncIteration:
                return
            took.append(1000 * (time.perf_counter() - at))

    await asyncio.gather(*(run(worker) for worker in workers))
    return Measured(time.perf_counter() - began, took)
