"""Files of tasks by HTTP: the body is written to disk as it comes, never held in memory."""

from collections.abc import Iterator
from typing import Any, BinaryIO

from django.http import FileResponse, HttpResponse, HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.parsers import BaseParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import Actor, Scope
from accounts.selectors import get_member_for, require_scope
from accounts.services import MANAGERS, REVIEWERS
from annotation.selectors import tasks as reads
from annotation.serializers import tasks as shapes
from annotation.services import adding, import_files, importing
from ground.api import Cursor
from ground.errors import Invalid

BLOCK = 1024 * 1024


class Lines(BaseParser):
    """Hands the body over unread."""

    media_type = "application/x-ndjson"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        return stream


def blocks_of(stream: BinaryIO) -> Iterator[bytes]:
    """The stream, a block at a time. Errors: Invalid when the client goes away in the middle."""
    while True:
        try:
            block = stream.read(BLOCK)
        except OSError as error:
            raise Invalid("The body ended before it was whole.") from error
        if not block:
            return
        yield block


class Imports(APIView):
    parser_classes = [Lines, MultiPartParser]

    @extend_schema(operation_id="imports_list", responses=shapes.ImportSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """Newest first."""
        rows = reads.imports_of(_reader(request, slug).project)
        pages = Cursor()
        page = pages.paginate_queryset(rows, request, view=self)
        found = [reads.import_json(row) for row in page or []]
        return pages.get_paginated_response(shapes.ImportSerializer(found, many=True).data)

    @extend_schema(
        operation_id="imports_start",
        parameters=[shapes.ImportOptionsSerializer],
        request={"application/x-ndjson": OpenApiTypes.BINARY, "multipart/form-data": shapes.UploadSerializer},
        responses={202: shapes.ImportSerializer},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Import tasks from JSON lines: the lines as the body with the options in the URL, or a form with `file`.

        202 when the file is on disk; a job reads it. Sent again, lines with a known external id are passed over.
        """
        actor = get_member_for(request, slug, *MANAGERS)
        require_scope(request, Scope.MANAGE)
        asked, stream = _upload(request)
        row = importing.start_import(
            actor=actor,
            blocks=blocks_of(stream),
            schema=adding.schema_for(actor=actor, **asked.pop("asks")),
            batch=adding.batch_named(actor, asked.pop("batch", "")),
            **asked,
        )
        return Response(shapes.ImportSerializer(reads.import_json(row)).data, status=202)


ASKS = ("schema", "template", "question", "options", "multiple")


def _upload(request: Request) -> tuple[dict[str, Any], Any]:
    """The options, those about the schema apart under `asks`; and the stream of lines."""
    raw = (request.content_type or "").partition(";")[0].strip() == Lines.media_type
    kind = shapes.ImportOptionsSerializer if raw else shapes.UploadSerializer
    shape = kind(data=request.query_params if raw else request.data)
    shape.is_valid(raise_exception=True)
    asked = dict(shape.validated_data)
    if raw:
        stream: Any = request.data if hasattr(request.data, "read") else None
        if stream is None:
            raise Invalid("The body is empty.", hint="Send one JSON object a line, with a Content-Length.")
    else:
        stream = asked.pop("file")
        asked.setdefault("filename", stream.name or "")
    return {**{name: asked[name] for name in asked if name not in ASKS}, "asks": _asks(asked)}, stream


def _asks(asked: dict[str, Any]) -> dict[str, Any]:
    return {name: asked[name] for name in ASKS if name in asked}


class ImportOne(APIView):
    @extend_schema(operation_id="imports_read", responses=shapes.ImportSerializer)
    def get(self, request: Request, slug: str, row: str) -> Response:
        """How far it is, and what became of its lines."""
        found = reads.get_import_for(_reader(request, slug), row)
        return Response(shapes.ImportSerializer(reads.import_json(found)).data)


class ImportErrors(APIView):
    @extend_schema(
        operation_id="imports_errors", responses={(200, "application/x-ndjson"): OpenApiTypes.STR}, parameters=[]
    )
    def get(self, request: Request, slug: str, row: str) -> HttpResponseBase:
        """Every wrong line: its number, what is wrong with it, and its beginning."""
        found = reads.get_import_for(_reader(request, slug), row)
        path = import_files.report_of(found.public_id)
        name = f"{found.public_id}.errors.jsonl"
        if not found.wrong or not path.exists():
            return HttpResponse(b"", content_type="application/x-ndjson")
        return FileResponse(path.open("rb"), content_type="application/x-ndjson", as_attachment=True, filename=name)


class ImportAction(APIView):
    @extend_schema(
        request=None,
        responses={202: shapes.ImportSerializer},
        parameters=[OpenApiParameter("action", str, OpenApiParameter.PATH, exclude=True)],
    )
    def post(self, request: Request, slug: str, row: str, action: str) -> Response:
        """`cancel`: stop reading, what came in stays. `resume`: go on with one that failed or was cancelled."""
        actor = get_member_for(request, slug, *MANAGERS)
        require_scope(request, Scope.MANAGE)
        act = importing.cancel_import if action == "cancel" else importing.resume_import
        changed = act(actor=actor, row=reads.get_import_for(actor, row))
        return Response(shapes.ImportSerializer(reads.import_json(changed)).data, status=202)


def _reader(request: Request, slug: str) -> Actor:
    require_scope(request, Scope.READ, Scope.MANAGE)
    return get_member_for(request, slug, *REVIEWERS)
