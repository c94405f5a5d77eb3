"""The few calls of MLflow's REST API 2.0 that a run needs. The mlflow package has no part in it.

The operator names the server, so it may stand in any network. Redirects are not followed, proxies of the environment not used.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import time
from functools import cache
from typing import Any

import httpx
from django.utils.translation import gettext as _

JSON = dict[str, Any]
CALL_SECONDS = 10.0
"""Connecting, sending and the whole answer together."""
LONGEST_ANSWER = 4 << 20
RUN_TAG = "plumbline.run"
LOST_PAUSE = 60.0
"""Seconds before a run is looked for whose making got no answer: a slow server may still be at it."""


class Fault(Exception):
    """Why a call did not do what it should.

    `server`: every run would meet it. `code`: MLflow's own word. `pause`: seconds to wait at least.
    """

    def __init__(self, words: str, *, server: bool = False, code: str = "", pause: float = 0.0) -> None:
        super().__init__(words)
        self.server = server
        self.code = code
        self.pause = pause

    @property
    def gone(self) -> bool:
        return self.code == "RESOURCE_DOES_NOT_EXIST"


class OutOfTime(Exception):
    """The time for this round is over; nothing went wrong."""


class Server:
    """`until`: by time.monotonic(), after which no call begins."""

    def __init__(self, url: str, token: str, until: float) -> None:
        self.url = url
        self.headers = {"User-Agent": "Plumbline", "Content-Type": "application/json", **_authorization(token)}
        self.until = until

    def experiment(self, name: str) -> str:
        """The id of the experiment of that name, made where there is none. Errors: Fault."""
        try:
            return self._experiment_named(name)
        except Fault as fault:
            if not fault.gone:
                raise
        try:
            return _text(self._call("POST", "experiments/create", {"name": name}), "experiment_id")
        except Fault as fault:
            if fault.code != "RESOURCE_ALREADY_EXISTS":
                raise
        return self._experiment_named(name)  # another sender was first

    def _experiment_named(self, name: str) -> str:
        answer = self._call("GET", "experiments/get-by-name", {"experiment_name": name})
        return _text(answer, "experiment", "experiment_id")

    def find_run(self, experiment: str, ours: str) -> tuple[str, set[str]] | None:
        """Its id there and the names of the params it has. One that somebody deleted there is found too: it is not made again."""
        wanted = {
            "experiment_ids": [experiment],
            "filter": f"tags.`{RUN_TAG}` = '{ours}'",
            "run_view_type": "ALL",
            "max_results": 1,
        }
        runs = self._call("POST", "runs/search", wanted).get("runs") or []
        if not runs:
            return None
        params = (runs[0].get("data") or {}).get("params") or []
        return _text(runs[0], "info", "run_id"), {str(param.get("key")) for param in params}

    def create_run(self, experiment: str, *, name: str, start: int, tags: dict[str, str]) -> str:
        """Its id. Errors: Fault, after which it may be there all the same: look before asking again."""
        body = {"experiment_id": experiment, "run_name": name, "start_time": start, "tags": pairs(tags)}
        try:
            return _text(self._call("POST", "runs/create", body), "run", "info", "run_id")
        except Fault as fault:
            fault.pause = LOST_PAUSE if fault.server else 0.0
            raise

    def log(self, run: str, **what: list[JSON]) -> None:
        """`metrics`, `params`, `tags`, within MLflow's limits of a batch."""
        if any(what.values()):
            self._call("POST", "runs/log-batch", {"run_id": run, **what})

    def update(self, run: str, *, status: str, end: int | None) -> None:
        body = {"run_id": run, "status": status}
        self._call("POST", "runs/update", {**body, "end_time": end} if end is not None else body)

    def _call(self, verb: str, path: str, content: JSON) -> JSON:
        if time.monotonic() > self.until:
            raise OutOfTime
        try:
            status, body = asyncio.run(self._ask(verb, f"{self.url}/api/2.0/mlflow/{path}", content))
        except TimeoutError:
            raise Fault(_("No answer within %d seconds.") % CALL_SECONDS, server=True) from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            raise Fault(f"{type(error).__name__}: {error}", server=True) from error
        return _read(status, body)

    async def _ask(self, verb: str, url: str, content: JSON) -> tuple[int, bytes]:
        sent: Any = (
            {"params": content} if verb == "GET" else {"content": json.dumps(content, ensure_ascii=False).encode()}
        )
        body = b""
        async with (
            asyncio.timeout(CALL_SECONDS),
            httpx.AsyncClient(verify=_trust(), trust_env=False, timeout=CALL_SECONDS) as client,
            client.stream(verb, url, headers=self.headers, **sent) as answer,
        ):
            async for block in answer.aiter_bytes():
                body += block
                if len(body) > LONGEST_ANSWER:
                    raise ValueError(_("The answer is too long."))
            return answer.status_code, body


@cache
def _trust() -> ssl.SSLContext:
    """Made once: reading all the certificates costs more than a call."""
    return httpx.create_ssl_context(trust_env=False)


def pairs(values: dict[str, str]) -> list[JSON]:
    return [{"key": key, "value": value} for key, value in values.items()]


def _authorization(token: str) -> dict[str, str]:
    """`user:password` as MLflow's own sign-in takes it; anything else as a bearer token."""
    if not token:
        return {}
    if ":" in token:
        return {"Authorization": "Basic " + base64.b64encode(token.encode()).decode()}
    return {"Authorization": f"Bearer {token}"}


def _read(status: int, body: bytes) -> JSON:
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    if 200 <= status < 300 and isinstance(answer, dict):
        return answer
    if 200 <= status < 400:
        raise Fault(_("It answered %d with something that is no answer of MLflow.") % status, server=True)
    said = answer if isinstance(answer, dict) else {}
    words = _("It answered %d.") % status
    if status in (401, 403):
        words = _("It answered %d: it does not take the token.") % status
    everybody = status in (401, 403, 408, 429) or status >= 500
    raise Fault(
        f"{words} {said.get('message') or ''}".strip(), server=everybody, code=str(said.get("error_code") or "")
    )


def _text(answer: Any, *path: str) -> str:
    for name in path:
        answer = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(answer, str) or not answer:
        raise Fault(_("Its answer lacks %s.") % ".".join(path), server=True)
    return answer
