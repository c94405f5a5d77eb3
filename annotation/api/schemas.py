"""Schemas by HTTP: published, looked at, checked before, and tasks moved to a newer version."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser, JSONParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import Actor, Scope
from accounts.selectors import get_member_for, require_scope
from accounts.services import EVERYBODY, MANAGERS, role_of
from annotation import schema_text
from annotation.schema_templates import TEMPLATES, taken
from annotation.schemas import schema_errors
from annotation.selectors.chat import chat_warnings
from annotation.selectors.schemas import get_schema_for, schemas_of
from annotation.serializers import schemas as shapes
from annotation.services.schemas import move_tasks, publish_schema
from ground.api import Cursor


class Yaml(BaseParser):
    """YAML, read within limits as `annotation.schema_text` says."""

    media_type = "application/yaml"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        raw = stream.read(4 * schema_text.LONGEST + 1)
        try:
            return schema_text.read(raw.decode(), "yaml")
        except ValueError as error:
            raise ParseError(str(error)) from error


class Schemas(APIView):
    parser_classes = [JSONParser, Yaml]

    @extend_schema(operation_id="schemas_list", responses=shapes.SchemaRowSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """Every version, newest first."""
        pages = Cursor()
        page = pages.paginate_queryset(schemas_of(_reader(request, slug).project), request, view=self)
        found = [shapes.schema_json(row, not row.outdated) for row in page or []]
        return pages.get_paginated_response(shapes.SchemaRowSerializer(found, many=True).data)

    @extend_schema(
        operation_id="schemas_publish",
        request={"application/json": shapes.NewSchemaSerializer, "application/yaml": OpenApiTypes.STR},
        responses={200: shapes.PublishedSerializer, 201: shapes.PublishedSerializer},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Publish a schema, or a new version of one. The same body again is the same version: 200."""
        actor = _manager(request, slug)
        asked = _parsed(shapes.NewSchemaSerializer, request.data)
        schema, made = publish_schema(actor=actor, **asked)
        told = shapes.schema_json(schema, True) | {"warnings": chat_warnings(actor.project, schema.body)}
        return Response(shapes.PublishedSerializer(told).data, status=201 if made else 200)


class SchemaCheck(APIView):
    parser_classes = [JSONParser, Yaml]

    @extend_schema(
        operation_id="schemas_check",
        request={"application/json": shapes.CheckSchemaSerializer, "application/yaml": OpenApiTypes.STR},
        responses=shapes.CheckedSerializer,
    )
    def post(self, request: Request, slug: str) -> Response:
        """Everything that is wrong with a schema, each with its path. Nothing is stored."""
        actor = _reader(request, slug)
        body = _parsed(shapes.CheckSchemaSerializer, request.data)["body"]
        errors = [{"path": path, "message": told} for path, told in schema_errors(body)]
        told = [] if errors or _is_blind(actor) else chat_warnings(actor.project, body)
        needed = None if errors else shapes.needs_json(body)
        return Response({"ok": not errors, "errors": errors, "needs": needed, "warnings": told})


class SchemaOne(APIView):
    @extend_schema(operation_id="schemas_read", responses=shapes.SchemaSerializer)
    def get(self, request: Request, slug: str, schema: str) -> Response:
        actor = _reader(request, slug)
        found = get_schema_for(actor, schema)
        told = shapes.schema_json(found, not found.outdated, blind=_is_blind(actor))
        return Response(shapes.SchemaSerializer(told).data)


class SchemaMove(APIView):
    @extend_schema(operation_id="schemas_move_tasks", request=shapes.MoveSerializer, responses=shapes.MovedSerializer)
    def post(self, request: Request, slug: str, schema: str) -> Response:
        """Put the open tasks of this version that nobody answered under a newer one. The others stay, and are counted."""
        actor = _manager(request, slug)
        target = get_schema_for(actor, _parsed(shapes.MoveSerializer, request.data)["to"])
        moved = move_tasks(actor=actor, from_schema=get_schema_for(actor, schema), to_schema=target)
        return Response(shapes.MovedSerializer(moved).data)


class SchemaTemplates(APIView):
    @extend_schema(operation_id="schema_templates_list", responses=shapes.TemplateSerializer(many=True))
    def get(self, request: Request) -> Response:
        """Schemas to begin with, in the language asked for, each with a task to try it on."""
        return Response(shapes.TemplateSerializer([taken(template) for template in TEMPLATES], many=True).data)


def _is_blind(actor: Actor) -> bool:
    return role_of(actor) not in MANAGERS


def _reader(request: Request, slug: str) -> Actor:
    require_scope(request, Scope.READ, Scope.MANAGE, Scope.ANNOTATE)
    return get_member_for(request, slug, *EVERYBODY)


def _manager(request: Request, slug: str) -> Actor:
    actor = get_member_for(request, slug, *MANAGERS)
    require_scope(request, Scope.MANAGE)
    return actor


def _parsed(kind: Any, data: Any) -> dict[str, Any]:
    shape = kind(data=data)
    shape.is_valid(raise_exception=True)
    return dict(shape.validated_data)
