"""Runs over HTTP: start, watch, stop; every method's settings; the loop in numbers."""

from __future__ import annotations

from dataclasses import asdict
from itertools import islice
from typing import Any

from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
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
from training import again, comparing, logs, selectors, services
from training import serializers as shapes
from training.costs import costs_of
from training.loop import loop_picture
from training.models import Run
from training.targets import get_target_for
from training.views.runs import event_file, log_file

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
        return pages.get_paginated_response(
            shapes.RunOut(page, many=True, context={"costs": costs_of(page or [])}).data
        )

    @extend_schema(
        operation_id="runs_start", request=shapes.RunIn, parameters=[IDEMPOTENCY], responses={202: shapes.RunOut}
    )
    def post(self, request: Request, slug: str) -> Response:
        """Queue a run. The same Idempotency-Key with the same body gives the first run back."""
        actor = manager(request, slug)
        asked = parsed(shapes.RunIn, request.data)
        run = services.start_run(actor=actor, project=actor.project, key=key_of(request), **with_objects(actor, asked))
        return Response(shapes.RunOut(selectors.get_run_for(actor, run.public_id)).data, status=202)


def key_of(request: Request) -> str:
    key = request.headers.get("Idempotency-Key", "")
    if len(key) > LONGEST_KEY or "\x00" in key:
        raise Invalid(_("An Idempotency-Key has up to %d characters.") % LONGEST_KEY)
    return key


def with_objects(actor: Actor, asked: dict[str, Any]) -> dict[str, Any]:
    """Names become the rows they name, in this project or the library. Errors: NotFound."""
    found = {**asked, "model_slug": asked.get("model", "")}
    found.pop("model", None)
    for role in ("base", "reward", "baseline"):
        found[role] = get_version_for(actor, asked[role]) if asked.get(role) else None
    found["target"] = get_target_for(actor, asked["target"]) if asked.get("target") else None
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


class RunsCompare(APIView):
    @extend_schema(operation_id="runs_compare", parameters=[shapes.CompareQuery], responses=shapes.CompareOut)
    def get(self, request: Request, slug: str) -> Response:
        """Runs beside one another: settings they differ in, last numbers, curves. Values stand in the order of `runs`."""
        actor = reader(request, slug)
        names = parsed(shapes.CompareQuery, request.query_params.dict())["runs"]
        found = [comparing.compared(run) for run in comparing.runs_named(actor, names.split(","))]
        return Response(
            {
                "runs": [one.run.public_id for one in found],
                "differences": [asdict(row) for row in comparing.differences(found)],
                "finals": [asdict(row) for row in comparing.finals(found)],
                "series": {one.run.public_id: one.curves for one in found},
            }
        )


class RunSamples(APIView):
    @extend_schema(operation_id="runs_samples", responses=shapes.SamplesOut)
    def get(self, request: Request, slug: str, run: str) -> Response:
        """What it wrote to the same prompts as it learned (`show_every`), step by step."""
        row = selectors.get_run_for(reader(request, slug), run)
        results = [
            {
                "prompt": prompt,
                "texts": [{"step": one.step, "text": one.text, "ended": bool(one.data.get("ended"))} for one in texts],
            }
            for prompt, texts in selectors.shown_of(row).items()
        ]
        return Response({"results": results})


class RunPredictions(APIView):
    @extend_schema(
        operation_id="runs_predictions", parameters=[shapes.PredictionsQuery], responses=shapes.PredictionsOut
    )
    def get(self, request: Request, slug: str, run: str) -> Response:
        """What a `predict` run said of each task, in the order it read them."""
        row = selectors.get_run_for(reader(request, slug), run)
        wanted = parsed(shapes.PredictionsQuery, request.query_params.dict())
        rows = list(islice(selectors.predictions_of(row), wanted["after"], wanted["after"] + wanted["limit"] + 1))
        more = len(rows) > wanted["limit"]
        following = wanted["after"] + wanted["limit"] if more else None
        return Response({"results": rows[: wanted["limit"]], "next": following})


class RunLog(APIView):
    @extend_schema(operation_id="runs_log", parameters=[shapes.LogQuery], responses=shapes.LogOut)
    def get(self, request: Request, slug: str, run: str) -> Response:
        """The end of the run's log."""
        row = selectors.get_run_for(reader(request, slug), run)
        size = parsed(shapes.LogQuery, request.query_params.dict())["bytes"]
        return Response({"log": selectors.log_tail(row, size)})


class RunLogLines(APIView):
    @extend_schema(operation_id="runs_log_lines", parameters=[shapes.LogLinesQuery], responses=shapes.LogLinesOut)
    def get(self, request: Request, slug: str, run: str) -> Response:
        """Numbered lines of one log: the last ones, those that hold `q`, or those after a line."""
        row = selectors.get_run_for(reader(request, slug), run)
        asked = parsed(shapes.LogLinesQuery, request.query_params.dict())
        lines, more = _lines(row, asked)
        return Response({"files": logs.files_of(row), "results": [asdict(line) for line in lines], "more": more})


def _lines(row: Run, asked: dict[str, Any]) -> tuple[list[logs.Line], bool]:
    path = logs.path_of(row, asked["file"])
    if "after" in asked:
        return logs.stretch(path, asked["after"], asked["limit"], asked["q"])
    found = logs.look(path, asked["q"])
    return list(found.kept)[-asked["limit"] :], not found.complete


class RunLogFile(APIView):
    @extend_schema(
        operation_id="runs_log_file",
        parameters=[shapes.LogFileQuery],
        responses={(200, "text/plain"): OpenApiTypes.STR},
    )
    def get(self, request: Request, slug: str, run: str) -> HttpResponseBase:
        """The whole of one log, byte by byte."""
        row = selectors.get_run_for(reader(request, slug), run)
        return log_file(row, parsed(shapes.LogFileQuery, request.query_params.dict())["file"])


class RunTensorBoard(APIView):
    @extend_schema(operation_id="runs_tensorboard", responses={(200, "application/octet-stream"): OpenApiTypes.BINARY})
    def get(self, request: Request, slug: str, run: str) -> HttpResponseBase:
        """Curves and texts as an event file: put it into a folder and name that to `tensorboard --logdir`."""
        return event_file(selectors.get_run_for(reader(request, slug), run))


class RunCancel(APIView):
    @extend_schema(operation_id="runs_cancel", request=None, responses={202: shapes.RunOut})
    def post(self, request: Request, slug: str, run: str) -> Response:
        """Stop at the next step, with a checkpoint. A queued run is cancelled at once; twice is as good as once."""
        actor = manager(request, slug)
        row = services.cancel_run(actor=actor, run=selectors.get_run_for(actor, run))
        return Response(shapes.RunOut(row).data, status=202)


class RunResume(APIView):
    @extend_schema(operation_id="runs_resume", request=None, responses={202: shapes.RunOut})
    def post(self, request: Request, slug: str, run: str) -> Response:
        """Let a stopped or failed run go on from its newest checkpoint. Takes no settings: they stay what they were."""
        actor = manager(request, slug)
        if request.data:
            again.refuse_settings(request.data)
        row = again.go_on(actor=actor, run=selectors.get_run_for(actor, run))
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
