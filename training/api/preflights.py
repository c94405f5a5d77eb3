"""Preflight over HTTP: ask for one, read what it found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from ground.errors import NotFound
from jobs.models import Job
from training import preflight, selectors, services
from training import serializers as shapes
from training.api.runs import IDEMPOTENCY, key_of, manager, parsed, reader, with_objects


class PreflightOut(serializers.Serializer[Any]):
    """`report` is null until it is written: verdict (ok, warn, block), findings, lengths, estimate, first examples by token."""

    id = serializers.CharField()
    method = serializers.CharField()
    state = serializers.CharField()
    error = serializers.JSONField(allow_null=True)
    report = serializers.JSONField(allow_null=True)


def _shown(job: Job, name: str, folder: Path) -> Response:
    report = preflight.report_in(folder)
    body = {"id": name, "method": job.spec["method"], "state": job.state, "error": job.error, "report": report}
    return Response(PreflightOut(body).data, status=200 if job.is_final or report else 202)


class Preflights(APIView):
    @extend_schema(
        operation_id="preflights_start", request=shapes.RunIn, parameters=[IDEMPOTENCY], responses={202: PreflightOut}
    )
    def post(self, request: Request, slug: str) -> Response:
        """Read every row that the run would read, without starting it."""
        actor = manager(request, slug)
        asked = with_objects(actor, parsed(shapes.RunIn, request.data))
        asked.pop("preflight_override", None)
        job = services.start_check(
            actor=actor, project=actor.project, asked=services.Asked(**asked), key=key_of(request)
        )
        return _shown(job, job.public_id, preflight.folder_of(job))


class OnePreflight(APIView):
    @extend_schema(operation_id="preflights_read", responses={200: PreflightOut, 202: PreflightOut})
    def get(self, request: Request, slug: str, job: str) -> Response:
        """What a preflight found."""
        found = selectors.get_check_for(reader(request, slug), job)
        return _shown(found, found.public_id, preflight.folder_of(found))


class RunPreflight(APIView):
    @extend_schema(operation_id="runs_preflight", responses={200: PreflightOut, 202: PreflightOut})
    def get(self, request: Request, slug: str, run: str) -> Response:
        """What preflight found before this run took a device."""
        found = selectors.get_run_for(reader(request, slug), run)
        if not preflight.applies(found.method):
            raise NotFound(_("%s learns from no rows that could be read beforehand.") % found.get_method_display())
        return _shown(found.job, found.public_id, Path(found.folder))
