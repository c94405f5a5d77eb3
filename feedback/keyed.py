"""What every POST of this floor goes through: a body that can be stored, and answers that a retry gets again."""

import json
from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import Actor
from accounts.services import begin_keyed, finish_keyed
from feedback.errors import TooLarge
from ground.errors import Invalid
from models_registry.texts import check_json

MOST_BYTES = 8 * 1024 * 1024
LONGEST_KEY = 255
Answer = tuple[int, dict[str, Any]]


def raw_body(request: Request) -> Any:
    """The parsed body. Errors: TooLarge; Invalid for one nested deeper than any honest one."""
    try:
        length = int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        length = 0
    if length > MOST_BYTES:
        raise TooLarge(_("The body is larger than 8 MiB."), hint=_("Send it in several requests."))
    try:
        return request.data
    except RecursionError as error:
        raise Invalid(_("The body is nested too deeply.")) from error


def storable_body(request: Request) -> Any:
    """The parsed body, free of what no database keeps: NUL, half characters, infinite numbers."""
    body = raw_body(request)
    require_storable(body, "body")
    return body


def require_storable(value: Any, where: str) -> None:
    try:
        check_json(value, where)
    except ValueError as error:
        raise Invalid(str(error)) from error


def answer_once(request: Request, actor: Actor, work: Callable[[], Answer]) -> Response:
    """Do `work` in one transaction. Under an Idempotency-Key a second request gets the first answer.

    Errors: Invalid for the same key with another body, Conflict while the first is in flight; whatever `work` raises
    forgets the key.
    """
    key = request.headers.get("Idempotency-Key", "")
    if len(key) > LONGEST_KEY:
        raise Invalid(_("An Idempotency-Key has at most 255 characters."))
    with transaction.atomic():
        first = begin_keyed(actor=actor, key=key, request=_fingerprint(request)) if key else None
        if first is not None:
            return Response(first.body, status=first.status, headers={"Idempotent-Replayed": "true"})
        status, body = work()
        if key:
            finish_keyed(actor=actor, key=key, status=status, body=body)
    return Response(body, status=status)


def _fingerprint(request: Request) -> str:
    """ASCII, so that a body with half a character has a digest too."""
    return json.dumps([request.path, request.data], sort_keys=True)
