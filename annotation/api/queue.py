"""The queue's public contract."""

from dataclasses import asdict
from functools import wraps
from typing import Any, cast

from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import Actor, Scope, User
from accounts.selectors import get_actor_for, get_member_for, require_scope
from accounts.services import EVERYBODY, MANAGERS
from annotation.api import quick
from annotation.data import Claim
from annotation.exporting import export_lines
from annotation.handed import remember
from annotation.models import Schema, Task
from annotation.pairs import groups_from_ids, groups_from_job, pairs_from_ids, pairs_from_job
from annotation.questions import needs
from annotation.selectors.gold import feedback_on
from annotation.selectors.queue import get_annotation_for, get_queue_for, get_slot_for, served, slot_ids_for
from annotation.serializers import queue as shapes
from annotation.services import adding, slots
from annotation.services.guidelines import publish_guideline
from annotation.services.tasks import DEFAULT_QUESTION, create_pairwise_tasks, create_tasks_of
from ground.errors import NotFound
from models_registry.models import Completion

IDEMPOTENCY = OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER, required=True)


class Tasks(APIView):
    @extend_schema(request=shapes.NewTasksSerializer, responses={201: shapes.CreatedTasksSerializer})
    def post(self, request: Request, slug: str) -> Response:
        """Make tasks: whole ones, or of completions that are here. Those that already have a task are passed over."""
        actor = get_member_for(request, slug, *MANAGERS)
        require_scope(request, Scope.MANAGE)
        shape = shapes.NewTasksSerializer(data=request.data)
        shape.is_valid(raise_exception=True)
        return Response(_make(actor, dict(shape.validated_data)), status=201)


def _make(actor: Actor, asked: dict[str, Any]) -> dict[str, Any]:
    alike = {name: asked[name] for name in ("overlap", "priority")}
    if "schema" not in asked and "groups" not in asked:
        job = asked.get("from_job")
        pairs = pairs_from_job(actor, job) if job else pairs_from_ids(actor, asked["pairs"])
        question = asked.get("question", DEFAULT_QUESTION)
        return _made(create_pairwise_tasks(actor=actor, pairs=pairs, question=question, **alike))
    template = {"schema": asked["schema"]} if "schema" in asked else {"template": "pairwise"}
    schema = adding.schema_for(actor=actor, question=asked.get("question", ""), **template)
    if "tasks" in asked:
        results = adding.add_tasks(actor=actor, schema=schema, rows=asked["tasks"], **alike)
        made = [result.id for result in results if result.status == "created"]
        return {"created": len(made), "tasks": made, "results": [asdict(result) for result in results]}
    return _made(create_tasks_of(actor=actor, groups=_groups(actor, schema, asked), schema=schema, **alike))


def _groups(actor: Actor, schema: Schema, asked: dict[str, Any]) -> list[list[Completion]]:
    if "from_job" in asked:
        needed = needs(schema.body)
        return groups_from_job(actor, asked["from_job"], least=needed.least, most=needed.most)
    ids = asked["groups"] if "groups" in asked else [(pair["first"], pair["second"]) for pair in asked["pairs"]]
    return groups_from_ids(actor, ids)


def _made(tasks: list[Task]) -> dict[str, Any]:
    return {"created": len(tasks), "tasks": [task.public_id for task in tasks]}


class Guidelines(APIView):
    @extend_schema(responses=shapes.GuidelineSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """Every version, the one in force first."""
        actor = get_member_for(request, slug, *EVERYBODY)
        return Response(shapes.GuidelineSerializer(actor.project.guidelines.all(), many=True).data)

    @extend_schema(request=shapes.NewGuidelineSerializer, responses={201: shapes.GuidelineSerializer})
    def post(self, request: Request, slug: str) -> Response:
        """Publish a new version; those of before stay, since annotations point at them."""
        actor = get_member_for(request, slug, *MANAGERS)
        require_scope(request, Scope.MANAGE)
        shape = shapes.NewGuidelineSerializer(data=request.data)
        shape.is_valid(raise_exception=True)
        guideline = publish_guideline(actor=actor, body=shape.validated_data["body"])
        return Response(shapes.GuidelineSerializer(guideline).data, status=201)


class QueueNext(APIView):
    @extend_schema(request=shapes.NextSerializer, responses={200: shapes.SlotSerializer, 204: None})
    def post(self, request: Request, slug: str) -> Response:
        """The next slot for this actor: one it holds already and does not name in `holding`, else a fresh one; 204 when empty."""
        actor = get_member_for(request, slug, *EVERYBODY)
        require_scope(request, Scope.ANNOTATE)
        shape = shapes.NextSerializer(data=request.data)
        shape.is_valid(raise_exception=True)
        asked = shape.validated_data
        queue = get_queue_for(actor, asked["queue"]) if "queue" in asked else None
        holding = slot_ids_for(actor, asked["holding"]) if asked["holding"] else []
        claim = slots.take_next(actor=actor, holding=holding, queue=queue)
        return Response(_slot(request, actor, claim), status=200) if claim else Response(status=204)


class SlotAction(APIView):
    """`POST slots/{id}:{action}`; the slot says which project, the asker's actor there must hold it."""

    shape: type[shapes.StrictSerializer] = shapes.LeaseSerializer

    def asked(self, request: Request, slot: str) -> tuple[Actor, Any, dict[str, Any]]:
        require_scope(request, Scope.ANNOTATE)
        actor = actor_of_slot(request, slot)
        shape = self.shape(data=request.data)
        shape.is_valid(raise_exception=True)
        return actor, get_slot_for(actor, slot), shape.validated_data


class Submit(SlotAction):
    shape = shapes.SubmitSerializer

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        """What was handed out here a moment ago is answered without the framework; the view has the rest."""
        view = super().as_view(**initkwargs)

        @wraps(view)
        def answer(request: HttpRequest, slot: str) -> HttpResponseBase:
            return quick.answer(request, slot) or view(request, slot=slot)

        return answer

    @extend_schema(
        request=shapes.SubmitSerializer,
        parameters=[IDEMPOTENCY, OpenApiParameter("next", OpenApiTypes.INT, description="1: claim the next slot too")],
        responses=shapes.SubmittedSerializer,
    )
    def post(self, request: Request, slot: str) -> Response:
        """Answer. A retry with the same Idempotency-Key returns the first answer; a late answer is kept, maybe as surplus."""
        actor, row, asked = self.asked(request, slot)
        annotation, claim = slots.submit_answer(
            actor=actor,
            slot=row,
            token=asked["lease"],
            key=request.headers.get("Idempotency-Key", ""),
            answers=asked["answers"],
            seconds=asked.get("seconds"),
            schema=asked.get("schema", ""),
            then_next=request.query_params.get("next") == "1",
        )
        following = _slot(request, actor, claim) if claim else None
        return Response(shapes.submitted_json(shapes.annotation_json(annotation), feedback_on(annotation), following))


class Skip(SlotAction):
    @extend_schema(request=shapes.LeaseSerializer, responses={204: None})
    def post(self, request: Request, slot: str) -> Response:
        actor, row, asked = self.asked(request, slot)
        slots.skip(actor=actor, slot=row, token=asked["lease"], reason=asked["reason"])
        return Response(status=204)


class Release(SlotAction):
    @extend_schema(request=shapes.LeaseSerializer, responses={204: None})
    def post(self, request: Request, slot: str) -> Response:
        actor, row, asked = self.asked(request, slot)
        slots.release(actor=actor, slot=row, token=asked["lease"])
        return Response(status=204)


class Heartbeat(SlotAction):
    @extend_schema(request=shapes.LeaseSerializer, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request, slot: str) -> Response:
        actor, row, asked = self.asked(request, slot)
        claim = slots.heartbeat(actor=actor, slot=row, token=asked["lease"])
        return Response({"lease_expires_at": claim.expires_at.isoformat()})


class Undo(APIView):
    @extend_schema(request=None, responses=shapes.SlotSerializer)
    def post(self, request: Request, slug: str, annotation: str) -> Response:
        """Take one's own answer back; the slot is leased to its author again."""
        actor = get_member_for(request, slug, *EVERYBODY)
        require_scope(request, Scope.ANNOTATE)
        claim = slots.undo(actor=actor, annotation=get_annotation_for(actor, annotation))
        return Response(_slot(request, actor, claim))


class Export(APIView):
    @extend_schema(responses={(200, "application/x-ndjson"): OpenApiTypes.STR})
    def get(self, request: Request, slug: str) -> StreamingHttpResponse:
        """One task a line, with all its answers."""
        actor = get_member_for(request, slug, *MANAGERS)
        require_scope(request, Scope.READ, Scope.MANAGE)
        return StreamingHttpResponse(export_lines(actor.project), content_type="application/x-ndjson")


def actor_of_slot(request: Request, slot: str) -> Actor:
    """The asker's actor in the slot's project. Errors: NotFound, also when the slot exists elsewhere."""
    token = getattr(request, "auth", None)
    if token is not None:
        return get_actor_for(request, token.project.slug)
    task_id = "tsk_" + slot.removeprefix("slt_").rpartition("_")[0]
    actors = Actor.objects.select_related("project", "membership")
    actor = actors.filter(
        user=cast(User, request.user), membership__isnull=False, project__tasks__public_id=task_id
    ).first()
    if actor is None:
        raise NotFound("There is no such slot here.")
    return actor


def _slot(request: Request, actor: Actor, claim: Claim) -> dict[str, Any]:
    task = served(actor, claim)
    remember(request.auth, task.id, claim)
    return shapes.slot_json(task)
