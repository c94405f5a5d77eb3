"""/v1/chat/completions and /v1/models. Nothing is answered before it is committed."""

import asyncio
import logging
import time
from functools import partial

from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _

from accounts.models import ApiToken
from ground.ids import new_public_id
from models_registry.gateway import backend, body, store
from models_registry.gateway.limits import gate
from models_registry.gateway.refusals import Refusal, answers
from models_registry.gateway.shapes import answer_of, choice, stored, total_usage, whole
from models_registry.gateway.streams import Exchange

logger = logging.getLogger(__name__)


async def _caller(request: HttpRequest) -> ApiToken:
    return await store.in_database(store.caller, request.headers.get("Authorization", ""))


@answers("POST")
async def chat(request: HttpRequest) -> HttpResponseBase:
    token = await _caller(request)
    asked = body.parse(request.body)
    route = await store.in_database(store.route, token.project, asked.model)
    ids = [new_public_id("cmp") for _n in range(asked.n)]
    if asked.stream:
        return await _stream(token, asked, route, ids)
    async with gate.held(token.pk):
        return await _whole(token, asked, route, ids)


async def _whole(token: ApiToken, asked: body.ChatRequest, route: store.Route, ids: list[str]) -> JsonResponse:
    began = time.monotonic()
    said = await backend.together(backend.ask(route, asked, index) for index in range(len(ids)))
    milliseconds = round(1000 * (time.monotonic() - began))
    kept = [answer_of(id_, one, milliseconds, asked, one.finish_reason) for id_, one in zip(ids, said, strict=True)]
    try:
        await store.in_database(store.keep, token, asked, route, kept)
    except DatabaseError as error:
        logger.exception("An answer could not be stored")
        raise Refusal(503, "not_stored", _("The answer could not be stored."), retry_after=5) from error
    choices = [choice(i, one.public_id, one.text, one.finish_reason) for i, one in enumerate(kept)]
    version = route.version.public_id if route.version else None
    return JsonResponse(whole(ids[0], int(time.time()), asked.model, version, choices, total_usage(said)))


async def _stream(
    token: ApiToken, asked: body.ChatRequest, route: store.Route, ids: list[str]
) -> StreamingHttpResponse:
    await gate.enter(token.pk)
    exchange = Exchange(token=token, request=asked, route=route, ids=ids, leave=partial(gate.leave, token.pk))
    try:
        await asyncio.shield(exchange.opened)
    except asyncio.CancelledError:
        exchange.task.cancel()
        raise
    answer = StreamingHttpResponse(exchange.body(), content_type="text/event-stream")
    answer["Cache-Control"] = "no-cache"
    answer["X-Accel-Buffering"] = "no"
    return answer


@answers("GET")
async def models(request: HttpRequest) -> HttpResponseBase:
    token = await _caller(request)
    return JsonResponse({"object": "list", "data": await store.in_database(store.catalogue, token.project)})


@answers("GET")
async def model(request: HttpRequest, name: str) -> HttpResponseBase:
    token = await _caller(request)
    rows = await store.in_database(store.catalogue, token.project)
    for row in rows:
        if name in (row["id"], row["model_version"]):
            return JsonResponse(row)
    raise Refusal(404, "model_not_found", _("There is no model %s.") % name[:200], param="model")


@answers("GET")
async def completion(request: HttpRequest, public_id: str) -> HttpResponseBase:
    token = await _caller(request)
    return JsonResponse(stored(await store.in_database(store.kept, token, public_id)))


@answers("GET")
async def healthz(request: HttpRequest) -> HttpResponseBase:
    """The process answers."""
    return JsonResponse({"ok": True})


@answers("GET")
async def readyz(request: HttpRequest) -> HttpResponseBase:
    """The process answers and reaches its database."""
    try:
        await store.in_database(_ping)
    except DatabaseError as error:
        logger.warning("The database cannot be reached: %s", error)
        return JsonResponse({"ok": False}, status=503)
    return JsonResponse({"ok": True})


def _ping() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
