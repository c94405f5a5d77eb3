"""Runs over HTTP: start, watch, stop; every method's settings; the loop in numbers."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import Actor, Scope
from accounts.selectors import get_member_for, require_scope
from accounts.services import EVERYBODY, MANAGERS
from feedback.selectors import get_snapshot_for
from ground.api import Cursor, StrictSerializer
from ground.errors import Invalid
from models_registry.selectors import get_version_for
from training import selectors, services
from training import serializers as shapes
from training.loop import loop_picture

IDEMPOTENCY = OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER)
LONGEST_KEY = 120


def reader(request: Request, slug: str) -> Actor:
    require_scope(request, Scope.READ, Scope.MANAGE)
    return get_member_for(request, slug, *EVERYBODY)


def manager(request: Request, slug: str) -> Actor:
    require_scope(request, Scope.MANAGE)
    return get_member_for(request, slug, *MANAGERS)


def parsed(shape: type[StrictSerializer], data: Any) -> dict[str, Any]:
    checked = shape(data=data)
    checked.is_valid(raise_exception=True)
    return dict(checked.validated_data)


class Runs(APIView):
    @extend_schema(operation_id="runs_list", parameters=[shapes.RunFilter], responses=shapes.RunPage)
    def get(self, request: Request, slug: str) -> Response:
        """The project's runs, newest first."""
        actor = reader(request, slug)
        wanted = parsed(shapes.RunFilter, request.query_params.dict())
        columns = {"method": "method", "state": "job__state"}
        runs = selectors.runs_of(actor.project).filter(
            **{columns[name]: wanted[name] for name in columns if name in wanted}
        )
        pages = Cursor()
        page = pages.paginate_queryset(runs, request, view=self)
        return pages.get_paginated_response(shapes.RunOut(page, many=True).data)

    @extend_schema(
        operation_id="runs_start", request=shapes.RunIn, parameters=[IDEMPOTENCY], responses={202: shapes.RunOut}
    )
    def post(self, request: Request, slug: str) -> Response:
        """Queue a run. The same Idempotency-Key with the same body gives the first run back."""
        actor = manager(request, slug)
        asked = parsed(shapes.RunIn, request.data)
        run = services.start_run(actor=actor, project=actor.project, key=_key(request), **_with_objects(actor, asked))
        return Response(shapes.RunOut(selectors.get_run_for(actor, run.public_id)).data, status=202)


def _key(request: Request) -> str:
    key = request.headers.get("Idempotency-Key", "")
    if len(key) > LONGEST_KEY or "\x00" in key:
        raise Invalid(_("An Idempotency-Key has up to %d characters.") % LONGEST_KEY)
    return key


def _with_objects(actor: Actor, asked: dict[str, Any]) -> dict[str, Any]:
    """Names become the rows they name, in this project or the library. Errors: NotFound."""
    found = {**asked, "model_slug": asked.get("model", "")}
    found.pop("model", None)
    for role in ("base", "reward", "baseline"):
        found[role] = get_version_for(actor, asked[role]) if asked.get(role) else None
    found["snapshot"] = get_snapshot_for(actor, asked["snapshot"]) if asked.get("snapshot") else None
    return found


class OneRun(APIView):
    @extend_schema(operation_id="runs_read", responses=shapes.RunDetail)
    def get(self, request: Request, slug: str, run: str) -> Response:
        """One run: its state, how far it is, and what it made."""
        return Response(shapes.RunDetail(selectors.get_run_for(reader(request, slug), run)).data)


class RunMetrics(APIView):
    @extend_schema(operation_id="runs_metrics", parameters=[shapes.MetricsQuery], responses=shapes.MetricsOut)
    def get(self, request: Request, slug: str, run: str) -> Response:
        """The run's curves. An unknown metric is refused with the list of known ones."""
        row = selectors.get_run_for(reader(request, slug), run)
        known = selectors.metric_names(row)
        names = parsed(shapes.MetricsQuery, request.query_params.dict()).get("names")
        wanted = [name for name in names.split(",") if name] if names else known
        unknown = sorted(set(wanted) - set(known))
        if unknown:
            raise Invalid(
                _("This run has no metric %s.") % unknown[0],
                hint=_("It has: %s.") % (", ".join(known) or _("none yet")),
            )
        return Response({"names": known, "series": selectors.curves(row, wanted)})


class RunLog(APIView):
    @extend_schema(operation_id="runs_log", parameters=[shapes.LogQuery], responses=shapes.LogOut)
    def get(self, request: Request, slug: str, run: str) -> Response:
        """The end of the run's log."""
        row = selectors.get_run_for(reader(request, slug), run)
        size = parsed(shapes.LogQuery, request.query_params.dict())["bytes"]
        return Response({"log": selectors.log_tail(row, size)})


class RunCancel(APIView):
    @extend_schema(operation_id="runs_cancel", request=None, responses={202: shapes.RunOut})
    def post(self, request: Request, slug: str, run: str) -> Response:
        """Stop at the next step, with a checkpoint. A queued run is cancelled at once; twice is as good as once."""
        actor = manager(request, slug)
        row = services.cancel_run(actor=actor, run=selectors.get_run_for(actor, run))
        return Response(shapes.RunOut(row).data, status=202)


class Methods(APIView):
    @extend_schema(operation_id="methods_list", responses=shapes.MethodOut(many=True))
    def get(self, request: Request) -> Response:
        """Every method with its settings: name, type, default, bounds and what it does."""
        return Response(selectors.methods())


class Loop(APIView):
    @extend_schema(operation_id="loop_read", responses=shapes.LoopOut)
    def get(self, request: Request, slug: str) -> Response:
        """Where every item of the project is now."""
        picture = loop_picture(reader(request, slug).project)
        stations = [{**asdict(station), "state": station.state} for station in picture.stations]
        return Response({"stations": stations, "win_rate": picture.win_rate, "numbers": picture.numbers})
