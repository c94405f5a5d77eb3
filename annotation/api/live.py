"""The queue this minute, by API."""

from dataclasses import asdict

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import Scope
from accounts.selectors import get_member_for, require_scope
from accounts.services import REVIEWERS
from annotation.selectors.live import live


class HeldSerializer(serializers.Serializer):
    actor = serializers.CharField()
    task = serializers.CharField()
    since = serializers.DateTimeField(allow_null=True)
    until = serializers.DateTimeField(allow_null=True)
    parked = serializers.BooleanField()
    ending = serializers.BooleanField(help_text="the lease ends within two minutes unless its page renews it")


class WaitingSerializer(serializers.Serializer):
    queue = serializers.CharField()
    batch = serializers.CharField(allow_blank=True)
    open = serializers.IntegerField()
    held = serializers.IntegerField(help_text="beyond the batch's budget")
    served = serializers.BooleanField(help_text="false while the queue or the batch is paused or archived")


class LiveSerializer(serializers.Serializer):
    at = serializers.DateTimeField()
    answers_last_hour = serializers.IntegerField()
    surplus_last_hour = serializers.IntegerField()
    waiting = serializers.IntegerField()
    seconds_left = serializers.FloatField(allow_null=True, help_text="at the last hour's pace")
    held = HeldSerializer(many=True)
    backlog = WaitingSerializer(many=True)
    backlog_at = serializers.DateTimeField()
    alerts = serializers.ListField(child=serializers.CharField())


class QueueLive(APIView):
    @extend_schema(responses=LiveSerializer)
    def get(self, request: Request, slug: str) -> Response:
        """Who holds what, the last hour's pace, what waits, what needs a look."""
        actor = get_member_for(request, slug, *REVIEWERS)
        require_scope(request, Scope.READ, Scope.MANAGE)
        now = live(actor.project)
        return Response(
            LiveSerializer(
                {
                    "at": now.at,
                    "answers_last_hour": now.pace.total,
                    "surplus_last_hour": now.pace.surplus,
                    "waiting": now.waiting,
                    "seconds_left": now.seconds_left,
                    "held": [asdict(row) for row in now.held],
                    "backlog": [asdict(row) for row in now.backlog],
                    "backlog_at": now.backlog_at,
                    "alerts": now.alerts,
                }
            ).data
        )
