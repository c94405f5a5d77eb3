"""Annotators who behave badly: they answer twice, walk away, come late, skip, sit at two tabs, and are killed.

Every 2xx to a submit is written down, one JSON line `{key, actor, task, surplus}`, before anything else is done.
"""

import argparse
import asyncio
import json
import os
import random
import time
import uuid
from dataclasses import dataclass
from typing import Any

from benchmarks.queue.client import Connection

IDLE_SECONDS = 8.0
OPTIONS = ("good", "bad", "unclear")


@dataclass
class Tab:
    """One browser tab of one annotator."""

    connection: Connection
    actor: str
    slug: str
    acks: int
    chance: random.Random
    lease_seconds: float

    async def work(self) -> None:
        """Until the queue has been empty for a while."""
        idle_since = time.monotonic()
        slot = None
        while time.monotonic() - idle_since < IDLE_SECONDS:
            slot = slot or await self._next()
            if slot is None:
                await asyncio.sleep(0.5)
                continue
            idle_since = time.monotonic()
            slot = await self._answer(slot)

    async def _next(self) -> dict[str, Any] | None:
        status, slot = await self._post(f"/api/v1/projects/{self.slug}/queue:next", {})
        return slot if status == 200 else None

    async def _answer(self, slot: dict[str, Any]) -> dict[str, Any] | None:
        mood = self.chance.random()
        if mood < 0.03:
            return None  # walks away; the lease runs out
        if mood < 0.06:
            await self._post(f"/api/v1/slots/{slot['id']}:skip", {"lease": slot["lease"]})
            return None
        if mood < 0.10:
            await asyncio.sleep(self.lease_seconds * 1.5)  # answers late
        return await self._submit(slot)

    async def _submit(self, slot: dict[str, Any]) -> dict[str, Any] | None:
        key = uuid.UUID(int=self.chance.getrandbits(128)).hex
        answers = {"labels": {"labels": [self.chance.choice(OPTIONS)]}}
        body = {"lease": slot["lease"], "answers": answers, "seconds": 1.0}
        following = None
        for _ in range(2 if self.chance.random() < 0.1 else 1):
            status, said = await self._post(f"/api/v1/slots/{slot['id']}:submit?next=1", body, key)
            for _ in range(20):
                if status is not None:
                    break
                await asyncio.sleep(0.2)  # nobody knows whether it arrived: the same key again
                status, said = await self._post(f"/api/v1/slots/{slot['id']}:submit?next=1", body, key)
            if status == 200:
                self._note(said["annotation"])
                following = said["next"]
        return following

    def _note(self, annotation: dict[str, Any]) -> None:
        line = {
            "key": annotation["key"],
            "actor": self.actor,
            "task": annotation["task"],
            "surplus": annotation["surplus"],
        }
        os.write(self.acks, json.dumps(line).encode() + b"\n")

    async def _post(self, path: str, body: Any, key: str = "") -> tuple[int | None, Any]:
        """Status None: the connection broke, and nobody knows what happened."""
        try:
            return await self.connection.post(path, body, key)
        except (OSError, asyncio.IncompleteReadError, ValueError):
            await self.connection.close()
            return None, None


async def crowd(options: argparse.Namespace) -> None:
    acks = os.open(options.acks, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    people = json.loads(options.people)
    tabs = [
        Tab(
            Connection("127.0.0.1", options.port, token),
            actor,
            options.slug,
            acks,
            random.Random(options.seed * 1000 + place),
            options.lease_seconds,
        )
        for place, (actor, token) in enumerate(people)
    ]
    await asyncio.gather(*(tab.work() for tab in tabs))


if __name__ == "__main__":
    asked = argparse.ArgumentParser()
    asked.add_argument("--port", type=int, required=True)
    asked.add_argument("--slug", required=True)
    asked.add_argument("--acks", required=True)
    asked.add_argument("--people", required=True, help="JSON: [[actor id, token], ...]")
    asked.add_argument("--seed", type=int, required=True)
    asked.add_argument("--lease-seconds", type=float, required=True)
    asyncio.run(crowd(asked.parse_args()))
