"""What applications call under /v1/: the token says which project."""

from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.authentication import BearerAuthentication
from accounts.models import Actor, ApiToken, Scope
from accounts.selectors import require_scope
from feedback import serializers as shapes
from feedback import services
from feedback.data import NewFeedback
from feedback.keyed import Answer, answer_once, raw_body, require_storable, storable_body
from feedback.models import FeedbackEvent
from feedback.selectors import get_event_for
from feedback.services.sending import MOST_ITEMS
from ground.errors import Invalid
from jobs.cleaning import storable

IDEMPOTENCY = OpenApiParameter(
    "Idempotency-Key", str, OpenApiParameter.HEADER, description="a retry gets the first answer"
)
STATUS = {"pending": 202}


class ForApplications(APIView):
    authentication_classes = [BearerAuthentication]

    def sender(self, request: Request) -> Actor:
        require_scope(request, Scope.FEEDBACK)
        assert isinstance(request.auth, ApiToken)
        return request.auth.actor


class Feedback(ForApplications):
    @extend_schema(
        request=shapes.FeedbackSerializer,
        parameters=[IDEMPOTENCY],
        responses={201: shapes.EventSerializer, 202: shapes.EventSerializer},
    )
    def post(self, request: Request) -> Response:
        """A thumb, a rating or a correction of one completion. 202 while the completion is not known here yet."""
        actor = self.sender(request)
        shape = shapes.FeedbackSerializer(data=storable_body(request))

        def send() -> Answer:
            shape.is_valid(raise_exception=True)
            item = shapes.new_feedback(shape.validated_data)
            return _answer(services.send_feedback(actor=actor, project=actor.project, item=item))

        return answer_once(request, actor, send)


class FeedbackOne(ForApplications):
    @extend_schema(responses=shapes.EventSerializer)
    def get(self, request: Request, event: str) -> Response:
        """What became of it: pending until its completion is known."""
        return Response(shapes.event_json(get_event_for(self.sender(request), event)))


class FeedbackBatch(ForApplications):
    @extend_schema(
        request=shapes.BatchSerializer, parameters=[IDEMPOTENCY], responses={200: shapes.BatchResultSerializer}
    )
    def post(self, request: Request) -> Response:
        """Up to 1000 items, one result for each, in order. A wrong item spoils none of the others."""
        actor = self.sender(request)
        items = _items(raw_body(request))

        def send() -> Answer:
            checked = [_checked(item, f"items[{index}]") for index, item in enumerate(items)]
            good = [item for item in checked if isinstance(item, NewFeedback)]
            events = iter(services.send_feedback_batch(actor=actor, project=actor.project, items=good))
            return 200, {
                "results": [
                    {"index": index, **(item if isinstance(item, dict) else _result(next(events)))}
                    for index, item in enumerate(checked)
                ]
            }

        return answer_once(request, actor, send)


def _items(body: Any) -> list[Any]:
    if not isinstance(body, dict) or set(body) != {"items"} or not isinstance(body["items"], list):
        raise Invalid(_("Send an object with items, a list, and nothing else."))
    if not 1 <= len(body["items"]) <= MOST_ITEMS:
        raise Invalid(_("Send 1 to %d items.") % MOST_ITEMS, hint=_("Split a longer list into several requests."))
    return list(body["items"])


def _checked(item: Any, where: str) -> NewFeedback | dict[str, Any]:
    """The item, or the result that says what is wrong with it."""
    try:
        require_storable(item, where)
        shape = shapes.FeedbackSerializer(data=item)
        shape.is_valid(raise_exception=True)
        return shapes.new_feedback(shape.validated_data)
    except Invalid as error:
        return _refusal(error.status, error.detail)
    except ValidationError as error:
        return _refusal(error.status_code, _("Some fields are wrong."), errors=error.detail)


def _refusal(status: int, detail: str, **more: Any) -> dict[str, Any]:
    error = {"type": "about:blank", "status": status, "code": "invalid", "detail": detail, **more}
    return {"status": status, "error": storable(error)}


def _result(event: FeedbackEvent) -> dict[str, Any]:
    status, body = _answer(event)
    return {"status": status, "id": body["id"], "state": body["state"]}


class Comparisons(ForApplications):
    @extend_schema(
        request=shapes.ComparisonSerializer,
        parameters=[IDEMPOTENCY],
        responses={201: shapes.EventSerializer, 202: shapes.EventSerializer},
    )
    def post(self, request: Request) -> Response:
        """Which of two completions of one prompt somebody preferred. 202 while one of them is not known here yet."""
        actor = self.sender(request)
        shape = shapes.ComparisonSerializer(data=storable_body(request))

        def send() -> Answer:
            shape.is_valid(raise_exception=True)
            return _answer(services.send_comparison(actor=actor, project=actor.project, **shape.validated_data))

        return answer_once(request, actor, send)


def _answer(event: FeedbackEvent) -> Answer:
    body = shapes.event_json(event)
    return STATUS.get(body["state"], 201), body
