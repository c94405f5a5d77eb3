"""Sweeps over HTTP: start one around a run, watch its trials, stop it."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from ground.api import StrictSerializer
from jobs import services as job_services
from jobs.models import Job
from training import selectors, services, sweeps
from training import serializers as shapes
from training.api.runs import IDEMPOTENCY, key_of, manager, parsed, reader, with_objects


class SweepIn(StrictSerializer):
    """Around `run`, or around `start`, the body of a run that is not started: with settings of `space` in place of its own."""

    run = serializers.CharField(max_length=60, required=False)
    start = shapes.RunIn(required=False)
    space = serializers.DictField(help_text="setting → list of values; or, in a random search, {low, high, log}")
    search = serializers.ChoiceField(choices=["grid", "random"], default="grid")
    trials = serializers.IntegerField(required=False, min_value=1, max_value=200, help_text="of a random search")
    budget_device_seconds = serializers.FloatField(help_text="no trial starts, and a running one stops, beyond it")
    metric = serializers.CharField(required=False, max_length=80, help_text="of result.json, dotted; default by method")
    goal = serializers.ChoiceField(required=False, choices=["max", "min"])
    seed = serializers.IntegerField(required=False, min_value=0, max_value=2**32 - 1, default=0)


def asked_of(said: dict[str, Any]) -> services.Asked:
    override = said.pop("preflight_override", "")
    return services.Asked(**said, override=override.strip())


class TrialOut(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    settings = serializers.JSONField()
    run = serializers.CharField(source="run.public_id", allow_null=True, default=None)
    state = serializers.CharField()
    device_seconds = serializers.FloatField()
    value = serializers.FloatField(allow_null=True)


class SweepOut(serializers.Serializer[Any]):
    id = serializers.CharField()
    state = serializers.CharField()
    error = serializers.JSONField(allow_null=True)
    metric = serializers.CharField()
    goal = serializers.CharField()
    budget_device_seconds = serializers.FloatField()
    device_seconds = serializers.FloatField()
    best = serializers.CharField(allow_null=True, help_text="the run of the best trial so far")
    trials = TrialOut(many=True)


def _shown(job: Job, status: int = 200) -> Response:
    found = sweeps.trials(job)
    best = sweeps.best_of(job, found)
    body = {
        "id": job.public_id,
        "state": job.state,
        "error": job.error,
        **{name: job.spec[name] for name in ("metric", "goal", "budget_device_seconds")},
        "device_seconds": sweeps.spent(job),
        "best": best.run.public_id if best and best.run else None,
        "trials": found,
    }
    return Response(SweepOut(body).data, status=status)


class Sweeps(APIView):
    @extend_schema(operation_id="sweeps_start", request=SweepIn, parameters=[IDEMPOTENCY], responses={202: SweepOut})
    def post(self, request: Request, slug: str) -> Response:
        """Try several settings, one run after the other, under a budget."""
        actor = manager(request, slug)
        asked = parsed(SweepIn, request.data)
        run, start = asked.pop("run", None), asked.pop("start", None)
        around: dict[str, Any] = {
            "run": selectors.get_run_for(actor, run) if run else None,
            "asked": asked_of(with_objects(actor, dict(start))) if start else None,
        }
        return _shown(sweeps.start_sweep(actor=actor, key=key_of(request), **around, **asked), 202)


class OneSweep(APIView):
    @extend_schema(operation_id="sweeps_read", responses=SweepOut)
    def get(self, request: Request, slug: str, job: str) -> Response:
        """A sweep's trials so far, and the best of them."""
        return _shown(sweeps.get_sweep_for(reader(request, slug), job))


class SweepCancel(APIView):
    @extend_schema(operation_id="sweeps_cancel", request=None, responses={202: SweepOut})
    def post(self, request: Request, slug: str, job: str) -> Response:
        """Stop the sweep and the trial in hand; what was tried is kept."""
        actor = manager(request, slug)
        found = sweeps.get_sweep_for(actor, job)
        job_services.request_cancel(actor=actor, job=found)
        found.refresh_from_db()
        return _shown(found, 202)
