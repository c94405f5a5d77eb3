"""Targets over HTTP."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from ground.api import StrictSerializer
from training import targets
from training.api.runs import manager, parsed, reader
from training.models import Target
from training.serializers import SettingOut


class TargetIn(StrictSerializer):
    """`settings` by kind: GET /api/v1/target-kinds."""

    name = serializers.SlugField(max_length=80)
    kind = serializers.ChoiceField(choices=Target.Kind.choices)
    settings = serializers.DictField(required=False, default=dict)


class TargetChange(StrictSerializer):
    settings = serializers.DictField(help_text="all of them; one that is not named has its default")


class TargetOut(serializers.ModelSerializer[Target]):
    id = serializers.CharField(source="public_id")

    class Meta:
        model = Target
        fields = ["id", "name", "kind", "settings", "created_at"]


class TargetKindOut(serializers.Serializer[Any]):
    kind = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    settings = SettingOut(many=True)


class TargetKinds(APIView):
    @extend_schema(operation_id="target_kinds_list", responses=TargetKindOut(many=True))
    def get(self, request: Request) -> Response:
        """Every kind of target with its settings."""
        return Response(targets.kinds())


class Targets(APIView):
    @extend_schema(operation_id="targets_list", responses=TargetOut(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """Where runs of this project may go, beside this machine."""
        return Response(TargetOut(targets.targets_of(reader(request, slug).project), many=True).data)

    @extend_schema(operation_id="targets_create", request=TargetIn, responses={201: TargetOut})
    def post(self, request: Request, slug: str) -> Response:
        """Owners only."""
        actor = manager(request, slug)
        made = targets.create_target(actor=actor, project=actor.project, **parsed(TargetIn, request.data))
        return Response(TargetOut(made).data, status=201)


class OneTarget(APIView):
    @extend_schema(operation_id="targets_read", responses=TargetOut)
    def get(self, request: Request, slug: str, target: str) -> Response:
        """By name or id."""
        return Response(TargetOut(targets.get_target_for(reader(request, slug), target)).data)

    @extend_schema(operation_id="targets_change", request=TargetChange, responses=TargetOut)
    def put(self, request: Request, slug: str, target: str) -> Response:
        """Replace all settings. Owners only."""
        actor = manager(request, slug)
        found = targets.get_target_for(actor, target)
        given = parsed(TargetChange, request.data)["settings"]
        return Response(TargetOut(targets.change_target(actor=actor, target=found, settings=given)).data)

    @extend_schema(operation_id="targets_retire", responses={204: None})
    def delete(self, request: Request, slug: str, target: str) -> Response:
        """No new run goes there. Owners only."""
        actor = manager(request, slug)
        targets.retire_target(actor=actor, target=targets.get_target_for(actor, target))
        return Response(status=204)
