"""Webhooks over HTTP."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import Actor, Scope
from accounts.selectors import get_member_for, require_scope
from accounts.services import MANAGERS
from ground.api import Cursor, StrictSerializer
from jobs import notices, webhooks
from jobs.models import Delivery, Webhook


class WebhookIn(StrictSerializer):
    """`events` by name: GET /api/v1/webhook-events."""

    url = serializers.CharField(max_length=500)
    events = serializers.ListField(child=serializers.CharField(max_length=60), allow_empty=False, max_length=50)


class WebhookChange(StrictSerializer):
    url = serializers.CharField(max_length=500, required=False)
    events = serializers.ListField(
        child=serializers.CharField(max_length=60), allow_empty=False, max_length=50, required=False
    )
    paused = serializers.BooleanField(required=False, help_text=str(_("told nothing, and what waits waits on")))


class WebhookOut(serializers.ModelSerializer[Webhook]):
    id = serializers.CharField(source="public_id")
    events = serializers.ListField(child=serializers.CharField())

    class Meta:
        model = Webhook
        fields = ["id", "url", "events", "paused", "created_at"]


class WebhookMade(WebhookOut):
    """The only answer that carries the secret."""

    secret = serializers.CharField()

    class Meta(WebhookOut.Meta):
        fields = [*WebhookOut.Meta.fields, "secret"]


class WebhookEventOut(serializers.Serializer[Any]):
    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]


class DeliveryOut(serializers.ModelSerializer[Delivery]):
    id = serializers.CharField(source="public_id")
    webhook = serializers.CharField(source="webhook.public_id")
    state = serializers.ChoiceField(choices=Delivery.State.choices)

    class Meta:
        model = Delivery
        fields = [
            "id", "webhook", "event", "state", "attempts", "status", "error", "created_at", "sent_at", "due_at", "body",
        ]  # fmt: skip


class DeliveryPage(serializers.Serializer[Any]):
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = DeliveryOut(many=True)


class DeliveryFilter(StrictSerializer):
    webhook = serializers.CharField(required=False)
    state = serializers.ChoiceField(choices=Delivery.State.choices, required=False)
    limit = serializers.IntegerField(required=False, min_value=1, max_value=1000)
    cursor = serializers.CharField(required=False)


def _manager(request: Request, slug: str) -> Actor:
    require_scope(request, Scope.MANAGE)
    return get_member_for(request, slug, *MANAGERS)


def _parsed(shape: type[StrictSerializer], data: Any) -> dict[str, Any]:
    checked = shape(data=data)
    checked.is_valid(raise_exception=True)
    return dict(checked.validated_data)


class WebhookEvents(APIView):
    @extend_schema(operation_id="webhook_events_list", responses=WebhookEventOut(many=True))
    def get(self, request: Request) -> Response:
        """Every event that a webhook may ask for."""
        return Response([{"name": name, "label": label} for name, label in notices.events().items()])


class Webhooks(APIView):
    @extend_schema(operation_id="webhooks_list", responses=WebhookOut(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """The project's webhooks, without their secrets."""
        return Response(WebhookOut(webhooks.webhooks_of(_manager(request, slug).project), many=True).data)

    @extend_schema(operation_id="webhooks_create", request=WebhookIn, responses={201: WebhookMade})
    def post(self, request: Request, slug: str) -> Response:
        """Owners only. The answer shows the secret, once."""
        actor = _manager(request, slug)
        made = webhooks.create_webhook(actor=actor, **_parsed(WebhookIn, request.data))
        return Response(WebhookMade(made).data, status=201)


class OneWebhook(APIView):
    @extend_schema(operation_id="webhooks_read", responses=WebhookOut)
    def get(self, request: Request, slug: str, webhook: str) -> Response:
        """One webhook, without its secret."""
        return Response(WebhookOut(webhooks.get_webhook_for(_manager(request, slug), webhook)).data)

    @extend_schema(operation_id="webhooks_change", request=WebhookChange, responses=WebhookOut)
    def patch(self, request: Request, slug: str, webhook: str) -> Response:
        """Another address, other events, a pause. Owners only."""
        actor = _manager(request, slug)
        found = webhooks.get_webhook_for(actor, webhook)
        changes = _parsed(WebhookChange, request.data)
        return Response(WebhookOut(webhooks.change_webhook(actor=actor, webhook=found, **changes)).data)

    @extend_schema(operation_id="webhooks_remove", responses={204: None})
    def delete(self, request: Request, slug: str, webhook: str) -> Response:
        """It is told nothing more; what waits for it is given up. Owners only."""
        actor = _manager(request, slug)
        webhooks.retire_webhook(actor=actor, webhook=webhooks.get_webhook_for(actor, webhook))
        return Response(status=204)


class WebhookTest(APIView):
    @extend_schema(operation_id="webhooks_test", request=None, responses={202: DeliveryOut})
    def post(self, request: Request, slug: str, webhook: str) -> Response:
        """Send a test. Its delivery says how it went."""
        actor = _manager(request, slug)
        sent = webhooks.send_test(actor=actor, webhook=webhooks.get_webhook_for(actor, webhook))
        return Response(DeliveryOut(sent).data, status=202)


class Deliveries(APIView):
    @extend_schema(operation_id="deliveries_list", parameters=[DeliveryFilter], responses=DeliveryPage)
    def get(self, request: Request, slug: str) -> Response:
        """What was sent or waits to be, newest first."""
        actor = _manager(request, slug)
        wanted = _parsed(DeliveryFilter, request.query_params.dict())
        columns = {"webhook": "webhook__public_id", "state": "state"}
        rows = webhooks.deliveries_of(actor.project).filter(
            **{columns[name]: wanted[name] for name in columns if name in wanted}
        )
        pages = Cursor()
        page = pages.paginate_queryset(rows, request, view=self)
        return pages.get_paginated_response(DeliveryOut(page, many=True).data)


class DeliveryResend(APIView):
    @extend_schema(operation_id="deliveries_resend", request=None, responses={202: DeliveryOut})
    def post(self, request: Request, slug: str, delivery: str) -> Response:
        """Once more at once, under the same id, delivered or not."""
        actor = _manager(request, slug)
        sent = webhooks.resend(actor=actor, delivery=webhooks.get_delivery_for(actor, delivery))
        return Response(DeliveryOut(sent).data, status=202)
