"""Answers to tasks that this process has handed out itself: written without reading anything before, in one statement.

Where anything is unusual nothing is written, and the view answers as if it had been asked first.
"""

import json
from typing import Any

from django.http import HttpRequest, HttpResponse

from accounts.authentication import secret_of
from accounts.models import Scope
from accounts.services import digest_of_token
from annotation.handed import Handed, forget, recall, remember
from annotation.selectors.queue import served
from annotation.serializers import queue as shapes
from annotation.services import slots
from ground.api import JSONAnswer

LONGEST_BODY = 64 * 1024
LONGEST_SECONDS = 86_400
FIELDS = {"lease", "answers", "seconds"}
JSON = dict[str, Any]


def answer(request: HttpRequest, slot_id: str) -> HttpResponse | None:
    """What the view would answer, or None when it has to look for itself."""
    if request.META.get("QUERY_STRING") != "next=1" or request.method != "POST" or not _speaks_json(request):
        return None
    digest = digest_of_token(secret_of(request) or "")
    handed = recall(digest, slot_id)
    asked = _asked(request) if handed is not None else None
    body = _submit(handed, request.headers.get("Idempotency-Key", ""), asked) if handed and asked else None
    if body is None:
        return None
    forget(digest, slot_id)
    return HttpResponse(JSONAnswer().render(body), content_type="application/json", headers={"Allow": "POST, OPTIONS"})


def _submit(handed: Handed, key: str, asked: JSON) -> JSON | None:
    if asked["lease"] != str(handed.lease):
        return None
    done = slots.answer_handed(
        actor=handed.actor,
        slot=handed.slot,
        token=handed.lease,
        access_id=handed.access.pk,
        scope=Scope.ANNOTATE,
        key=key,
        answers=asked["answers"],
        seconds=asked.get("seconds"),
    )
    if done is None:
        return None
    said, claim = done
    written = shapes.counted_json(said, handed.slot.task.public_id)
    if claim is None:
        return shapes.submitted_json(written, None, None)
    task = served(handed.actor, claim)
    remember(handed.access, task.id, claim, handed.until)
    return shapes.submitted_json(written, None, shapes.slot_json(task))


def _speaks_json(request: HttpRequest) -> bool:
    accepts = request.META.get("HTTP_ACCEPT", "*/*")
    return request.META.get("CONTENT_TYPE") == "application/json" and (
        "*/*" in accepts or "application/json" in accepts
    )


def _asked(request: HttpRequest) -> JSON | None:
    """The body where it is as it should be; what to say of any other is the serializer's to know."""
    length = request.META.get("CONTENT_LENGTH") or ""
    if not length.isdigit() or int(length) > LONGEST_BODY:
        return None
    try:
        body = json.loads(request.body.decode(), parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    if not isinstance(body, dict) or not FIELDS.issuperset(body) or not {"lease", "answers"}.issubset(body):
        return None
    seconds = body.get("seconds")
    if seconds is not None and (type(seconds) not in (int, float) or not 0 <= seconds <= LONGEST_SECONDS):
        return None
    return body


def _refuse(constant: str) -> None:
    raise ValueError(constant)
