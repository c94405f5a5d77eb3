"""Pictures, sounds and films by HTTP."""

from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import Scope
from accounts.selectors import get_member_for, require_scope
from accounts.services import EVERYBODY, MANAGERS, REVIEWERS
from annotation.files import answer_with
from annotation.selectors.uploads import get_upload_for, upload_json, uploads_of
from annotation.serializers import uploads as shapes
from annotation.services.uploads import check_length, keep_upload
from ground.api import Cursor


class Uploads(APIView):
    parser_classes = [MultiPartParser]

    @extend_schema(operation_id="uploads_list", responses=shapes.KeptUploadSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """Newest first."""
        actor = get_member_for(request, slug, *REVIEWERS)
        require_scope(request, Scope.READ, Scope.MANAGE)
        pages = Cursor()
        page = pages.paginate_queryset(uploads_of(actor.project), request, view=self)
        found = [upload_json(row) for row in page or []]
        return pages.get_paginated_response(shapes.KeptUploadSerializer(found, many=True).data)

    @extend_schema(
        operation_id="uploads_send",
        request={"multipart/form-data": shapes.NewUploadSerializer},
        responses={200: shapes.KeptUploadSerializer, 201: shapes.KeptUploadSerializer},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Keep a file. 201 when it is new; 200 when these bytes were kept before, under the id they have."""
        actor = get_member_for(request, slug, *MANAGERS)
        require_scope(request, Scope.MANAGE)
        check_length(request.META.get("CONTENT_LENGTH"))
        shape = shapes.NewUploadSerializer(data=request.data)
        if not shape.is_valid():
            raise ValidationError(shape.errors)
        file = shape.validated_data["file"]
        row, fresh = keep_upload(
            actor=actor, blocks=file.chunks(), name=shape.validated_data.get("name") or file.name or ""
        )
        return Response(shapes.KeptUploadSerializer(upload_json(row)).data, status=201 if fresh else 200)


class UploadOne(APIView):
    @extend_schema(operation_id="uploads_read", responses=shapes.KeptUploadSerializer)
    def get(self, request: Request, slug: str, upload: str) -> Response:
        actor = get_member_for(request, slug, *EVERYBODY)
        require_scope(request, Scope.READ, Scope.MANAGE, Scope.ANNOTATE)
        return Response(shapes.KeptUploadSerializer(upload_json(get_upload_for(actor, upload))).data)


class UploadFile(APIView):
    @extend_schema(
        operation_id="uploads_file",
        parameters=[OpenApiParameter("Range", str, OpenApiParameter.HEADER)],
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, slug: str, upload: str) -> HttpResponseBase:
        """The bytes as they were sent, under the media type they have; a part of them with `Range`."""
        actor = get_member_for(request, slug, *EVERYBODY)
        require_scope(request, Scope.READ, Scope.MANAGE, Scope.ANNOTATE)
        return answer_with(request, get_upload_for(actor, upload))
