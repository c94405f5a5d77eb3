"""This floor by HTTP: gate, parse, one service, render."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView

from accounts.models import Actor, Scope
from accounts.selectors import get_member_for, require_scope
from accounts.services import EVERYBODY, MANAGERS
from ground.api import Cursor
from models_registry import selectors, services
from models_registry.models import Prompt
from models_registry.serializers import (
    AliasOut,
    CompletionFilter,
    CompletionOut,
    DeploymentIn,
    DeploymentOut,
    EvaluationOut,
    ModelDetail,
    ModelOut,
    MoveIn,
    PromptOut,
    PromptRows,
    RollbackIn,
    RowResults,
    VerdictIn,
    VerdictOut,
    VersionOut,
)

COLUMNS = {"prompt": "prompt__public_id", "version": "version__public_id", "job": "job__public_id", "source": "source"}


def reader(request: Request, slug: str) -> Actor:
    require_scope(request, Scope.READ, Scope.MANAGE)
    return get_member_for(request, slug, *EVERYBODY)


def manager(request: Request, slug: str) -> Actor:
    require_scope(request, Scope.MANAGE)
    return get_member_for(request, slug, *MANAGERS)


def parsed(serializer: type[BaseSerializer[Any]], request: Request) -> dict[str, Any]:
    checked = serializer(data=request.data)
    checked.is_valid(raise_exception=True)
    return dict(checked.validated_data)


def paged(view: APIView, request: Request, rows: Any, serializer: type[BaseSerializer[Any]]) -> Response:
    pages = Cursor()
    return pages.get_paginated_response(serializer(pages.paginate_queryset(rows, request, view=view), many=True).data)


class Prompts(APIView):
    @extend_schema(responses=PromptOut(many=True), parameters=[OpenApiParameter("held_out", bool)])
    def get(self, request: Request, slug: str) -> Response:
        rows = Prompt.objects.filter(project=reader(request, slug).project)
        wanted = request.query_params.get("held_out")
        if wanted in ("true", "false"):
            rows = rows.filter(held_out=wanted == "true")
        return paged(self, request, rows, PromptOut)

    @extend_schema(
        request=PromptRows, responses=RowResults, description="One result per row; wrong rows spoil no others."
    )
    def post(self, request: Request, slug: str) -> Response:
        actor = manager(request, slug)
        results = services.import_prompts(actor=actor, project=actor.project, rows=parsed(PromptRows, request)["rows"])
        return Response({"results": [result.as_dict() for result in results]})


class Completions(APIView):
    @extend_schema(responses=CompletionOut(many=True), parameters=[CompletionFilter])
    def get(self, request: Request, slug: str) -> Response:
        actor, asked = reader(request, slug), CompletionFilter(data=request.query_params)
        asked.is_valid(raise_exception=True)
        wanted = {COLUMNS[name]: value for name, value in asked.validated_data.items()}
        return paged(self, request, selectors.completions_of(actor.project).filter(**wanted), CompletionOut)


class Models(APIView):
    @extend_schema(responses=ModelOut(many=True))
    def get(self, request: Request, slug: str) -> Response:
        rows = selectors.models_of(reader(request, slug).project)
        return paged(self, request, rows.prefetch_related("aliases__version", "aliases__verdict"), ModelOut)


class ModelView(APIView):
    @extend_schema(responses=ModelDetail)
    def get(self, request: Request, slug: str, model: str) -> Response:
        return Response(ModelDetail(selectors.get_model_for(reader(request, slug), model)).data)


class VersionView(APIView):
    @extend_schema(responses=VersionOut)
    def get(self, request: Request, slug: str, version: str) -> Response:
        return Response(VersionOut(selectors.get_version_for(reader(request, slug), version)).data)


class AliasMoveView(APIView):
    @extend_schema(
        request=MoveIn, responses=AliasOut, description="Compare-and-set on the generation; 409 when it moved."
    )
    def post(self, request: Request, slug: str, model: str, name: str) -> Response:
        actor, asked = manager(request, slug), parsed(MoveIn, request)
        alias = services.move_alias(
            actor=actor,
            model=selectors.get_model_for(actor, model),
            name=name,
            version=selectors.get_version_for(actor, asked["version"]),
            verdict=selectors.get_verdict_for(actor, asked["verdict"]) if asked.get("verdict") else None,
            expected_generation=asked["expected_generation"],
            reason=asked["reason"],
        )
        return Response(AliasOut(alias).data)


class AliasRollback(APIView):
    @extend_schema(request=RollbackIn, responses=AliasOut)
    def post(self, request: Request, slug: str, model: str, name: str) -> Response:
        actor, asked = manager(request, slug), parsed(RollbackIn, request)
        alias = selectors.get_alias_for(actor, selectors.get_model_for(actor, model), name)
        return Response(AliasOut(services.roll_back(actor=actor, alias=alias, **asked)).data)


class Evaluations(APIView):
    @extend_schema(responses=EvaluationOut(many=True))
    def get(self, request: Request, slug: str) -> Response:
        return paged(self, request, selectors.evaluations_of(reader(request, slug).project), EvaluationOut)


class Verdicts(APIView):
    @extend_schema(
        request=VerdictIn,
        responses={201: VerdictOut},
        description="Of an evaluation, its interval decides. `override` needs a reason, `bootstrap` a model without champion.",
    )
    def post(self, request: Request, slug: str) -> Response:
        actor, asked = manager(request, slug), parsed(VerdictIn, request)
        verdict = services.record_verdict(
            actor=actor,
            project=actor.project,
            evaluation=selectors.get_evaluation_for(actor, asked["evaluation"]) if "evaluation" in asked else None,
            version=selectors.get_version_for(actor, asked["version"]) if "version" in asked else None,
            outcome=asked.get("outcome", ""),
            reason=asked["reason"],
        )
        return Response(VerdictOut(verdict).data, status=status.HTTP_201_CREATED)


class Deployments(APIView):
    @extend_schema(responses=DeploymentOut(many=True))
    def get(self, request: Request, slug: str) -> Response:
        return paged(self, request, selectors.deployments_of(reader(request, slug).project), DeploymentOut)

    @extend_schema(request=DeploymentIn, responses={201: DeploymentOut})
    def post(self, request: Request, slug: str) -> Response:
        actor, asked = manager(request, slug), parsed(DeploymentIn, request)
        version = selectors.get_version_for(actor, asked.pop("version")) if "version" in asked else None
        deployment = services.deploy(actor=actor, project=actor.project, version=version, **asked)
        return Response(DeploymentOut(deployment).data, status=status.HTTP_201_CREATED)


class DeploymentView(APIView):
    @extend_schema(responses=DeploymentOut)
    def get(self, request: Request, slug: str, deployment: str) -> Response:
        return Response(DeploymentOut(selectors.get_deployment_for(reader(request, slug), deployment)).data)

    @extend_schema(responses=DeploymentOut, description="Stops it: the gateway at once, its process soon after.")
    def delete(self, request: Request, slug: str, deployment: str) -> Response:
        actor = manager(request, slug)
        found = selectors.get_deployment_for(actor, deployment)
        return Response(DeploymentOut(services.stop_deployment(actor=actor, deployment=found)).data)
