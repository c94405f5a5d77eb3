"""Asking the server behind a deployment, in the OpenAI form, with time-outs and bounded connections."""

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import httpx
from django.conf import settings
from django.utils.translation import gettext as _

from models_registry.gateway.body import ChatRequest
from models_registry.gateway.refusals import Refusal
from models_registry.gateway.store import Route

T = TypeVar("T")
FINISHES = ("stop", "length", "content_filter", "tool_calls")
PENALTIES = ("frequency_penalty", "presence_penalty")
COUNTS = ("prompt_tokens", "completion_tokens")
_clients: WeakKeyDictionary[Any, dict[bool, httpx.AsyncClient]] = WeakKeyDictionary()


@dataclass
class Said:
    """What a backend said so far, exactly as it is passed on."""

    parts: list[str] = field(default_factory=list)
    finish_reason: str = ""
    usage: dict[str, int] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return "".join(self.parts)


async def together(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """All of them at once; the first failure ends the rest and is raised alone."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def tidy(text: str) -> str:
    """Text that every database holds: no NUL, no half surrogate pairs."""
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


def _client(managed: bool) -> httpx.AsyncClient:
    """One client per event loop and kind. Only outside addresses may go through a proxy that the environment names."""
    empty: dict[bool, httpx.AsyncClient] = {}
    clients = _clients.setdefault(asyncio.get_running_loop(), empty)
    if managed not in clients:
        clients[managed] = httpx.AsyncClient(
            timeout=httpx.Timeout(settings.GATEWAY_TIMEOUT, connect=5, pool=10),
            limits=httpx.Limits(max_connections=4 * settings.GATEWAY_CONCURRENCY, max_keepalive_connections=32),
            trust_env=not managed,
            follow_redirects=False,
        )
    return clients[managed]


def _payload(route: Route, request: ChatRequest, index: int) -> dict[str, Any]:
    """`n` is ours: each choice is a request of its own, with a seed of its own (transformers serve ignores `n`)."""
    sampling = dict(request.sampling)
    penalties: dict[str, Any] = {name: sampling.pop(name) for name in PENALTIES if name in sampling}
    if penalties and not route.understands_penalties:
        name = next(iter(penalties))
        raise Refusal(400, "unsupported_value", _("The server behind this model knows no %s.") % name, param=name)
    most = sampling.pop("max_new_tokens", None) or (settings.GATEWAY_DEFAULT_TOKENS if route.managed else None)
    body: dict[str, Any] = {
        "model": route.remote_model,
        "messages": request.messages,
        "stream": request.stream,
        **sampling,
        **penalties,
    }
    if most:
        body["max_tokens"] = most
    if "seed" in sampling:
        body["seed"] = sampling["seed"] + index
    if request.stream and route.understands_penalties:
        body["stream_options"] = {"include_usage": True}
    return body


def _prepared(route: Route, request: ChatRequest, index: int) -> httpx.Request:
    headers = {"Authorization": f"Bearer {route.api_key}"} if route.api_key else {}
    try:
        address = httpx.URL(f"{route.url}/chat/completions")
    except httpx.InvalidURL as error:
        raise Refusal(503, "backend_unreachable", _("This deployment's address is no URL.")) from error
    return _client(route.managed).build_request("POST", address, json=_payload(route, request, index), headers=headers)


@asynccontextmanager
async def _asked(route: Route, request: ChatRequest, index: int) -> AsyncIterator[httpx.Response]:
    """The response, its status known to be good, its body unread. Errors: Refusal for everything a backend can do wrong."""
    prepared = _prepared(route, request, index)
    try:
        response = await _client(route.managed).send(prepared, stream=True)
        try:
            if response.status_code != 200:
                raise _refused(response, await response.aread())
            yield response
        finally:
            await response.aclose()
    except httpx.TimeoutException as error:
        raise Refusal(503, "backend_timeout", _("The model did not answer in time."), retry_after=5) from error
    except httpx.HTTPError as error:
        message = _("The server behind this model cannot be reached: %s.") % type(error).__name__
        raise Refusal(503, "backend_unreachable", message, retry_after=5) from error


def _refused(response: httpx.Response, body: bytes) -> Refusal:
    said = body[:500].decode("utf-8", "replace")
    status = response.status_code
    if status in (400, 404, 413, 422):
        return Refusal(400, "backend_refused", _("The model's server refused the request: %s") % said)
    if status == 429:
        return Refusal(429, "backend_rate_limited", _("The model's server asks for patience."), retry_after=5)
    if status == 503:
        return Refusal(503, "backend_busy", _("The model's server is busy."), retry_after=5)
    return Refusal(502, "backend_error", _("The model's server failed with status %d.") % status)


async def ask(route: Route, request: ChatRequest, index: int) -> Said:
    async with _asked(route, request, index) as response:
        try:
            data = json.loads(await response.aread())
            choice = data["choices"][0]
            text = choice["message"].get("content") or ""
            return Said([tidy(text)], _finish(choice.get("finish_reason")), _usage(data.get("usage")))
        except (ValueError, RecursionError, LookupError, TypeError, AttributeError) as error:
            raise Refusal(502, "backend_error", _("The model's server sent no chat completion.")) from error


@asynccontextmanager
async def opened(route: Route, request: ChatRequest, index: int, said: Said) -> AsyncIterator[AsyncIterator[str]]:
    """The deltas of one streamed choice, each added to `said` before it is passed on."""
    async with _asked(route, request, index) as response:
        yield _deltas(response, said)


async def _deltas(response: httpx.Response, said: Said) -> AsyncIterator[str]:
    async for line in response.aiter_lines():
        if not line.startswith("data:"):
            continue
        payload = line.removeprefix("data:").strip()
        if payload == "[DONE]":
            break
        text = _heard(payload, said)
        if text:
            said.parts.append(text)
            yield text
    if not said.finish_reason:
        raise Refusal(502, "backend_error", _("The model's server stopped in the middle of its answer."))


def _heard(payload: str, said: Said) -> str:
    try:
        data = json.loads(payload)
        if "error" in data:
            raise Refusal(502, "backend_error", _("The model's server failed: %s") % str(data["error"])[:300])
        said.usage = _usage(data.get("usage")) or said.usage
        if not data.get("choices"):
            return ""
        choice = data["choices"][0]
        said.finish_reason = _finish(choice["finish_reason"]) if choice.get("finish_reason") else said.finish_reason
        return tidy((choice.get("delta") or {}).get("content") or "")
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError) as error:
        raise Refusal(502, "backend_error", _("The model's server sent something that is no chunk.")) from error


def _finish(reason: Any) -> str:
    return reason if reason in FINISHES else "stop"


def _usage(found: Any) -> dict[str, int]:
    if not isinstance(found, dict):
        return {}
    return {name: found[name] for name in COUNTS if isinstance(found.get(name), int)}
