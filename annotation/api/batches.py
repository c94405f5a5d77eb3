"""Batches by HTTP."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotation.api.queues import manager, reader
from annotation.models import Batch
from annotation.selectors import batches as reads
from annotation.selectors.queues import get_tasks_for
from annotation.serializers import batches as shapes
from annotation.services import batches
from ground.api import Cursor


class Batches(APIView):
    @extend_schema(responses=shapes.BatchOutSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """Newest first, each with its progress and forecast."""
        pages = Cursor()
        page = pages.paginate_queryset(reads.batches_of(reader(request, slug).project), request, view=self) or []
        done = reads.progress_of(page)
        return pages.get_paginated_response([_shown(batch, done[batch.pk]) for batch in page])

    @extend_schema(request=shapes.BatchInSerializer, responses={201: shapes.BatchOutSerializer})
    def post(self, request: Request, slug: str) -> Response:
        """Make an empty batch; `:add` puts tasks into it."""
        actor = manager(request, slug)
        shape = shapes.BatchInSerializer(data=request.data)
        shape.is_valid(raise_exception=True)
        return Response(_one(batches.create_batch(actor=actor, **shape.validated_data)), status=201)


class BatchOne(APIView):
    @extend_schema(responses=shapes.BatchOutSerializer)
    def get(self, request: Request, slug: str, batch: str) -> Response:
        return Response(_one(reads.get_batch_for(reader(request, slug), batch)))

    @extend_schema(request=shapes.BatchInSerializer, responses=shapes.BatchEditedSerializer)
    def patch(self, request: Request, slug: str, batch: str) -> Response:
        """Change name, note, due date, budget. A budget below what is in hand closes none of it: `overshoot` says by how much."""
        actor = manager(request, slug)
        row = reads.get_batch_for(actor, batch)
        shape = shapes.BatchInSerializer(data=request.data, partial=True)
        shape.is_valid(raise_exception=True)
        overshoot = batches.edit_batch(actor=actor, batch=row, **shape.validated_data)
        return Response({**_one(row), "overshoot": overshoot})


class BatchAction(APIView):
    """`POST …/batches/{id}:{action}`."""

    @extend_schema(request=None, responses=shapes.BatchOutSerializer)
    def post(self, request: Request, slug: str, batch: str, action: str) -> Response:
        """Pause, resume or archive. Twice is as good as once; an archived batch can be resumed."""
        actor = manager(request, slug)
        row = reads.get_batch_for(actor, batch)
        act = {"pause": batches.pause_batch, "resume": batches.resume_batch, "archive": batches.archive_batch}[action]
        act(actor=actor, batch=row)
        return Response(_one(row))


class BatchTasks(APIView):
    """`POST …/batches/{id}:add` and `:remove`."""

    @extend_schema(request=shapes.BatchTasksSerializer, responses=shapes.BatchMovedSerializer)
    def post(self, request: Request, slug: str, batch: str, action: str) -> Response:
        """Put tasks into the batch or take them out. A task is in one batch at most."""
        actor = manager(request, slug)
        row = reads.get_batch_for(actor, batch)
        shape = shapes.BatchTasksSerializer(data=request.data)
        shape.is_valid(raise_exception=True)
        tasks = get_tasks_for(actor, shape.validated_data["tasks"])
        act = batches.add_tasks if action == "add" else batches.remove_tasks
        return Response({"moved": act(actor=actor, batch=row, tasks=tasks)})


def _one(batch: Batch) -> dict[str, Any]:
    return _shown(batch, reads.progress_of([batch])[batch.pk])


def _shown(batch: Batch, progress: reads.Progress) -> dict[str, Any]:
    return shapes.batch_json(batch, progress, reads.forecast_of(batch, progress))
