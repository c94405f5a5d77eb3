"""Jobs over HTTP: see them, read what they say, ask one to stop."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import Scope
from accounts.selectors import get_actor_for, get_member_for, require_scope
from accounts.services import EVERYBODY
from ground.api import Cursor, StrictSerializer
from jobs.kinds import label_of
from jobs.models import Job
from jobs.selectors import events_of, get_job_for, jobs_for
from jobs.services import request_cancel


class JobSerializer(serializers.Serializer):
    id = serializers.CharField(source="public_id")
    kind = serializers.CharField()
    label = serializers.SerializerMethodField()  # type: ignore[assignment]
    state = serializers.ChoiceField(choices=Job.State.choices)
    actor = serializers.CharField(source="actor.public_id", allow_null=True, default=None)
    spec = serializers.JSONField()
    attempt = serializers.IntegerField()
    max_attempts = serializers.IntegerField()
    progress = serializers.JSONField()
    result = serializers.JSONField(allow_null=True)
    error = serializers.JSONField(allow_null=True)
    cancel_requested = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)

    def get_label(self, job: Job) -> str:
        return label_of(job.kind)

    def get_cancel_requested(self, job: Job) -> bool:
        return job.cancel_requested_at is not None


class JobPage(serializers.Serializer):
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = JobSerializer(many=True)


class JobEventSerializer(serializers.Serializer):
    seq = serializers.IntegerField()
    at = serializers.DateTimeField()
    kind = serializers.CharField()
    step = serializers.IntegerField(allow_null=True)
    data = serializers.JSONField()  # type: ignore[assignment]


class JobEventPage(serializers.Serializer):
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = JobEventSerializer(many=True)


class JobFilter(StrictSerializer):
    kind = serializers.CharField(required=False)
    state = serializers.ChoiceField(choices=Job.State.choices, required=False)
    limit = serializers.IntegerField(required=False, min_value=1, max_value=1000)
    cursor = serializers.CharField(required=False)


class EventFilter(StrictSerializer):
    kind = serializers.CharField(required=False)
    after = serializers.IntegerField(required=False, min_value=0, default=0)
    limit = serializers.IntegerField(required=False, min_value=1, max_value=1000)
    cursor = serializers.CharField(required=False)


class EventCursor(Cursor):
    page_size = 200
    ordering = "seq"


def _parsed(serializer: type[StrictSerializer], request: Request) -> dict[str, Any]:
    form = serializer(data=request.query_params.dict())
    form.is_valid(raise_exception=True)
    return dict(form.validated_data)


class JobList(APIView):
    @extend_schema(operation_id="jobs_list", parameters=[JobFilter], responses=JobPage)
    def get(self, request: Request, slug: str) -> Response:
        """The project's jobs, newest first."""
        require_scope(request, Scope.READ, Scope.MANAGE)
        actor = get_member_for(request, slug, *EVERYBODY)
        wanted = _parsed(JobFilter, request)
        jobs = jobs_for(actor).filter(**{name: wanted[name] for name in ("kind", "state") if name in wanted})
        pages = Cursor()
        page = pages.paginate_queryset(jobs, request, view=self)
        return pages.get_paginated_response(JobSerializer(page, many=True).data)


class JobDetail(APIView):
    @extend_schema(operation_id="jobs_read", responses=JobSerializer)
    def get(self, request: Request, slug: str, job: str) -> Response:
        """One job: its state, how far it is, and how it ended."""
        require_scope(request, Scope.READ, Scope.MANAGE)
        actor = get_member_for(request, slug, *EVERYBODY)
        return Response(JobSerializer(get_job_for(actor, job)).data)


class JobEvents(APIView):
    @extend_schema(operation_id="jobs_events", parameters=[EventFilter], responses=JobEventPage)
    def get(self, request: Request, slug: str, job: str) -> Response:
        """What the run said, in order. Ask again with `after` set to the last `seq` you have."""
        require_scope(request, Scope.READ, Scope.MANAGE)
        actor = get_member_for(request, slug, *EVERYBODY)
        wanted = _parsed(EventFilter, request)
        pages = EventCursor()
        events = events_of(get_job_for(actor, job), wanted.get("kind"), wanted["after"])
        page = pages.paginate_queryset(events, request, view=self)
        return pages.get_paginated_response(JobEventSerializer(page, many=True).data)


class JobCancel(APIView):
    @extend_schema(operation_id="jobs_cancel", request=None, responses={202: JobSerializer})
    def post(self, request: Request, slug: str, job: str) -> Response:
        """Ask it to stop: a queued job is cancelled at once, a running one stops at its next step."""
        require_scope(request, Scope.MANAGE)
        actor = get_actor_for(request, slug)
        return Response(JobSerializer(request_cancel(actor=actor, job=get_job_for(actor, job))).data, status=202)
