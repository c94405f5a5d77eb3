"""The data browser by HTTP: tasks by query, one task with everything, changes to many, saved views."""

from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import Actor, Scope
from accounts.selectors import get_member_for, require_scope
from accounts.services import MANAGERS, REVIEWERS, role_of
from annotation import searching
from annotation.api import queue as api
from annotation.browsing import Browser, check_query, conditions_in, matching
from annotation.selectors import tasks as reads
from annotation.selectors.queue import get_annotation_for
from annotation.serializers import tasks as shapes
from annotation.services import bulk, slots, views
from ground.api import Cursor, StrictSerializer
from jobs.services import request_cancel


class Tasks(api.Tasks):
    @extend_schema(
        operation_id="tasks_browse", parameters=[shapes.BrowseSerializer], responses=shapes.TaskPageSerializer
    )
    def get(self, request: Request, slug: str) -> Response:
        """Tasks by filter, words and order. A page reads a bounded number of rows however many tasks there are."""
        actor = _reader(request, slug)
        asked = _parsed(shapes.BrowseSerializer, request.query_params.dict())
        query = check_query({"all": conditions_in(asked["filter"]), "search": asked["search"]})
        reads.refuse_names_to_reviewers(actor, query)
        browser = Browser(actor.project, query, asked["sort"], gold=role_of(actor) in MANAGERS)
        page = browser.page(after=asked["after"], before=asked["before"], size=asked["limit"])
        return Response(
            {
                "results": shapes.TaskRowSerializer([reads.task_json(task) for task in page.tasks], many=True).data,
                "next": page.next or None,
                "previous": page.previous or None,
                "incomplete": page.partial,
                "count": asdict(browser.count()) if asked["count"] else None,
                "not_searchable": searching.not_searchable(actor.project) if query["search"] else 0,
            }
        )


class TaskOne(APIView):
    @extend_schema(operation_id="tasks_read", responses=shapes.TaskSerializer)
    def get(self, request: Request, slug: str, task: str) -> Response:
        """One task with its content, every answer ever given, its places, claims and reviews."""
        actor = _reader(request, slug)
        found = reads.task_with_all(actor, reads.get_task_for(actor, task))
        return Response(shapes.TaskSerializer(found).data)


class Retract(APIView):
    @extend_schema(operation_id="annotations_retract", request=shapes.RetractSerializer, responses={204: None})
    def post(self, request: Request, slug: str, annotation: str) -> Response:
        """Take somebody's answer back, with a reason. It stays on record; its place opens again."""
        actor = _manager(request, slug)
        asked = _parsed(shapes.RetractSerializer, request.data)
        slots.retract(actor=actor, annotation=get_annotation_for(actor, annotation), reason=asked["reason"])
        return Response(status=204)


class BulkEdits(APIView):
    @extend_schema(operation_id="bulk_edits_list", responses=shapes.EditSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """Newest first."""
        pages = Cursor()
        page = pages.paginate_queryset(reads.edits_of(_reader(request, slug).project), request, view=self)
        found = [reads.edit_json(row) for row in page or []]
        return pages.get_paginated_response(shapes.EditSerializer(found, many=True).data)

    @extend_schema(
        operation_id="bulk_edits_start", request=shapes.NewEditSerializer, responses={202: shapes.EditSerializer}
    )
    def post(self, request: Request, slug: str) -> Response:
        """Change priority, overlap, batch or assignment of every task the query finds now, or delete them."""
        actor = _manager(request, slug)
        asked = _parsed(shapes.NewEditSerializer, request.data)
        row = bulk.start_edit(actor=actor, kind=asked["kind"], value=asked["value"], query=asked["query"])
        return _edit(row, 202)


class BulkEditCount(APIView):
    @extend_schema(operation_id="bulk_edits_count", request=shapes.QuerySerializer, responses=shapes.CountSerializer)
    def post(self, request: Request, slug: str) -> Response:
        """How many tasks a query finds, exactly: what to ask before a change."""
        actor = _manager(request, slug)
        query = check_query(_parsed(shapes.QuerySerializer, request.data)["query"])
        return Response({"count": matching(actor.project, query).count()})


class BulkEditOne(APIView):
    @extend_schema(operation_id="bulk_edits_read", responses=shapes.EditSerializer)
    def get(self, request: Request, slug: str, edit: str) -> Response:
        return _edit(reads.get_edit_for(_reader(request, slug), edit))


class BulkEditAction(APIView):
    @extend_schema(
        request=None,
        responses={202: shapes.EditSerializer},
        parameters=[OpenApiParameter("action", str, OpenApiParameter.PATH, exclude=True)],
    )
    def post(self, request: Request, slug: str, edit: str, action: str) -> Response:
        """`undo` puts every task of a deletion back; `cancel` stops, and what was changed so far stays changed."""
        actor = _manager(request, slug)
        row = reads.get_edit_for(actor, edit)
        if action == "undo":
            row = bulk.undo_deletion(actor=actor, edit=row)
        elif row.job is not None:
            request_cancel(actor=actor, job=row.job)
        return _edit(reads.get_edit_for(actor, row.public_id), 202)


def _edit(row: Any, status: int = 200) -> Response:
    return Response(shapes.EditSerializer(reads.edit_json(row)).data, status=status)


class Views(APIView):
    @extend_schema(operation_id="views_list", responses=shapes.ViewSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """One's own and those that others share."""
        return Response(shapes.ViewSerializer(reads.views_for(_reader(request, slug)), many=True).data)

    @extend_schema(operation_id="views_save", request=shapes.NewViewSerializer, responses={201: shapes.ViewSerializer})
    def post(self, request: Request, slug: str) -> Response:
        """Keep a query under a name."""
        actor = _reader(request, slug)
        asked = _parsed(shapes.NewViewSerializer, request.data)
        return Response(shapes.ViewSerializer(views.save_view(actor=actor, **asked)).data, status=201)


class ViewOne(APIView):
    @extend_schema(operation_id="views_delete", responses={204: None})
    def delete(self, request: Request, slug: str, view: str) -> Response:
        """One's own; a manager also one that is shared."""
        actor = _reader(request, slug)
        views.delete_view(actor=actor, view=reads.get_view_for(actor, view))
        return Response(status=204)


def _parsed(kind: type[StrictSerializer], data: Any) -> dict[str, Any]:
    shape = kind(data=data)
    shape.is_valid(raise_exception=True)
    return dict(shape.validated_data)


def _reader(request: Request, slug: str) -> Actor:
    require_scope(request, Scope.READ, Scope.MANAGE)
    return get_member_for(request, slug, *REVIEWERS)


def _manager(request: Request, slug: str) -> Actor:
    require_scope(request, Scope.MANAGE)
    return get_member_for(request, slug, *MANAGERS)
