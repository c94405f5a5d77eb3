"""Snapshots, what stands behind them, and how people judged an evaluation."""

from dataclasses import asdict

from django.http import FileResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import Actor, Scope
from accounts.selectors import get_member_for, require_scope
from accounts.services import MANAGERS, REVIEWERS
from feedback import selectors, services
from feedback import serializers as shapes
from feedback.keyed import Answer, answer_once, storable_body
from feedback.services.freezing import snapshot_id
from ground.api import Cursor
from models_registry.selectors import get_evaluation_for

IDEMPOTENCY = OpenApiParameter(
    "Idempotency-Key", str, OpenApiParameter.HEADER, description="a retry gets the first job"
)


def _reader(request: Request, slug: str) -> Actor:
    require_scope(request, Scope.READ, Scope.MANAGE)
    return get_member_for(request, slug, *REVIEWERS)


class Snapshots(APIView):
    @extend_schema(responses=shapes.SnapshotSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """Newest first."""
        pages = Cursor()
        page = pages.paginate_queryset(selectors.snapshots_of(_reader(request, slug).project), request, view=self)
        return pages.get_paginated_response(shapes.SnapshotSerializer(page, many=True).data)

    @extend_schema(
        request=shapes.NewSnapshotSerializer,
        parameters=[IDEMPOTENCY],
        responses={202: shapes.AcceptedSnapshotSerializer},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Freeze everything said so far. 202 with the job; the snapshot is there when the job has succeeded."""
        actor = get_member_for(request, slug, *MANAGERS)
        require_scope(request, Scope.MANAGE)
        shape = shapes.NewSnapshotSerializer(data=storable_body(request))

        def start() -> Answer:
            shape.is_valid(raise_exception=True)
            job = services.freeze(actor=actor, project=actor.project, **shape.validated_data)
            return 202, {"job": job.public_id, "snapshot": snapshot_id(job)}

        return answer_once(request, actor, start)


class SnapshotOne(APIView):
    @extend_schema(responses=shapes.SnapshotSerializer)
    def get(self, request: Request, slug: str, snapshot: str) -> Response:
        found = selectors.get_snapshot_for(_reader(request, slug), snapshot)
        return Response(shapes.SnapshotSerializer(found).data)


class SnapshotRows(APIView):
    @extend_schema(
        parameters=[OpenApiParameter("file", str, description="only the lines of this file")],
        responses=shapes.SnapshotRowSerializer(many=True),
    )
    def get(self, request: Request, slug: str, snapshot: str) -> Response:
        """Every line with the judgements behind it."""
        rows = selectors.rows_of(selectors.get_snapshot_for(_reader(request, slug), snapshot))
        if "file" in request.query_params:
            rows = rows.filter(file=request.query_params["file"].replace("\x00", ""))
        pages = Cursor()
        pages.ordering = "pk"
        page = pages.paginate_queryset(rows, request, view=self)
        return pages.get_paginated_response(shapes.SnapshotRowSerializer(page, many=True).data)


class SnapshotFile(APIView):
    @extend_schema(responses={(200, "application/x-ndjson"): OpenApiTypes.STR})
    def get(self, request: Request, slug: str, snapshot: str, name: str) -> FileResponse:
        """The file as it was frozen."""
        path = selectors.file_of(selectors.get_snapshot_for(_reader(request, slug), snapshot), name)
        return FileResponse(path.open("rb"), content_type="application/x-ndjson", as_attachment=True, filename=name)


class SnapshotVerify(APIView):
    @extend_schema(request=None, responses=shapes.VerificationSerializer)
    def post(self, request: Request, slug: str, snapshot: str) -> Response:
        """Hash every file again."""
        changed = services.verify_snapshot(selectors.get_snapshot_for(_reader(request, slug), snapshot))
        return Response({"intact": not changed, "changed": changed})


class SentFeedback(APIView):
    @extend_schema(responses=shapes.StoredFeedbackSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """What applications sent, newest first."""
        pages = Cursor()
        page = pages.paginate_queryset(selectors.feedback_of(_reader(request, slug).project), request, view=self)
        return pages.get_paginated_response(shapes.StoredFeedbackSerializer(page, many=True).data)


class HumanWinRate(APIView):
    @extend_schema(responses=shapes.WinRateSerializer)
    def get(self, request: Request, slug: str, evaluation: str) -> Response:
        """How often people preferred the version to its baseline, clustered by prompt and annotator."""
        actor = _reader(request, slug)
        found = get_evaluation_for(actor, evaluation)
        rate = selectors.human_win_rate(found)
        said = selectors.votes(project=actor.project, evaluation=found)
        return Response({"evaluation": found.public_id, "votes": len(said), "win_rate": asdict(rate) if rate else None})
