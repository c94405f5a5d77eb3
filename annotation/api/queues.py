"""Queues, groups, assignments, scores, and why somebody got a task, by HTTP."""

from typing import Any, cast

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import Actor, Scope, User
from accounts.selectors import get_actor_for, get_member_for, require_scope
from accounts.services import EVERYBODY, MANAGERS, REVIEWERS, role_of
from annotation.api.queue import actor_of_slot
from annotation.models import Task
from annotation.selectors import queues as reads
from annotation.serializers import queues as shapes
from annotation.services import groups, queues
from annotation.services.tasks import assign, set_scores, short_of_people
from annotation.why import Claimed, claims_of, why
from ground.api import Cursor
from ground.errors import Invalid, NotFound

GROUPS = ("group", "reserved_group", "qualifies_for")


def reader(request: Request, slug: str) -> Actor:
    require_scope(request, Scope.READ, Scope.MANAGE)
    return get_member_for(request, slug, *REVIEWERS)


def manager(request: Request, slug: str) -> Actor:
    require_scope(request, Scope.MANAGE)
    return get_member_for(request, slug, *MANAGERS)


def settings_in(actor: Actor, asked: dict[str, Any]) -> dict[str, Any]:
    """Groups by id become rows. Errors: NotFound."""
    named = {name: asked[name] for name in GROUPS if name in asked}
    return {**asked, **{name: reads.get_group_for(actor, found) if found else None for name, found in named.items()}}


class Queues(APIView):
    @extend_schema(responses=shapes.QueueOutSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """Newest first, a page at a time; `position` says in which order they are served."""
        pages = Cursor()
        page = pages.paginate_queryset(reads.queues_of(reader(request, slug).project), request, view=self) or []
        return pages.get_paginated_response([reads.shown_queue(queue) for queue in page])

    @extend_schema(request=shapes.QueueInSerializer, responses={201: shapes.QueueOutSerializer})
    def post(self, request: Request, slug: str) -> Response:
        """Make a queue. What is left out has its default; only `name` is needed."""
        actor = manager(request, slug)
        shape = shapes.QueueInSerializer(data=request.data, partial=True)
        shape.is_valid(raise_exception=True)
        asked = settings_in(actor, dict(shape.validated_data))
        if "name" not in asked:
            raise Invalid("name: is required")
        return Response(reads.shown_queue(queues.create_queue(actor=actor, **asked)), status=201)


class QueueOne(APIView):
    @extend_schema(responses=shapes.QueueOutSerializer)
    def get(self, request: Request, slug: str, queue: str) -> Response:
        return Response(reads.shown_queue(reads.get_queue_by_id_for(reader(request, slug), queue)))

    @extend_schema(request=shapes.QueueInSerializer, responses=shapes.QueueChangedSerializer)
    def patch(self, request: Request, slug: str, queue: str) -> Response:
        """Change settings. Where they decide which task stands where, a job files waiting tasks anew."""
        actor = manager(request, slug)
        row = reads.get_queue_by_id_for(actor, queue)
        shape = shapes.QueueInSerializer(data=request.data, partial=True)
        shape.is_valid(raise_exception=True)
        refiling = queues.update_queue(actor=actor, queue=row, **settings_in(actor, dict(shape.validated_data)))
        return Response({**reads.shown_queue(row), "refiling": refiling})


class QueueAction(APIView):
    """`POST …/queues/{id}:{action}`."""

    @extend_schema(request=None, responses=shapes.QueueOutSerializer)
    def post(self, request: Request, slug: str, queue: str, action: str) -> Response:
        """Pause, resume or archive. Twice is as good as once."""
        actor = manager(request, slug)
        row = reads.get_queue_by_id_for(actor, queue)
        act = {"pause": queues.pause_queue, "resume": queues.resume_queue, "archive": queues.archive_queue}[action]
        act(actor=actor, queue=row)
        return Response(reads.shown_queue(row))


class Groups(APIView):
    @extend_schema(responses=shapes.GroupOutSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        pages = Cursor()
        rows = reads.groups_of(reader(request, slug).project).prefetch_related("members__actor")
        page = pages.paginate_queryset(rows, request, view=self)
        return pages.get_paginated_response(shapes.GroupOutSerializer(page, many=True).data)

    @extend_schema(request=shapes.GroupInSerializer, responses={201: shapes.GroupOutSerializer})
    def post(self, request: Request, slug: str) -> Response:
        actor = manager(request, slug)
        shape = shapes.GroupInSerializer(data=request.data)
        shape.is_valid(raise_exception=True)
        return _group(groups.create_group(actor=actor, **shape.validated_data), 201)


class GroupOne(APIView):
    @extend_schema(responses=shapes.GroupOutSerializer)
    def get(self, request: Request, slug: str, group: str) -> Response:
        return _group(reads.get_group_for(reader(request, slug), group))

    @extend_schema(request=shapes.GroupRenameSerializer, responses=shapes.GroupOutSerializer)
    def patch(self, request: Request, slug: str, group: str) -> Response:
        actor = manager(request, slug)
        row = reads.get_group_for(actor, group)
        shape = shapes.GroupRenameSerializer(data=request.data)
        shape.is_valid(raise_exception=True)
        groups.rename_group(actor=actor, group=row, name=shape.validated_data["name"])
        return _group(row)

    @extend_schema(request=None, responses={204: None})
    def delete(self, request: Request, slug: str, group: str) -> Response:
        """409 while a queue names it or tasks are kept for it."""
        actor = manager(request, slug)
        groups.delete_group(actor=actor, group=reads.get_group_for(actor, group))
        return Response(status=204)


class GroupAction(APIView):
    """`POST …/groups/{id}:add` and `:remove`."""

    @extend_schema(request=shapes.MemberSerializer, responses=shapes.GroupOutSerializer)
    def post(self, request: Request, slug: str, group: str, action: str) -> Response:
        """Add or remove somebody who works in the project. Twice is as good as once."""
        actor = manager(request, slug)
        row = reads.get_group_for(actor, group)
        shape = shapes.MemberSerializer(data=request.data)
        shape.is_valid(raise_exception=True)
        act = groups.add_to_group if action == "add" else groups.remove_from_group
        act(actor=actor, group=row, member=reads.get_person_for(actor, shape.validated_data["actor"]))
        return _group(row)


def _group(group: Any, status: int = 200) -> Response:
    return Response(shapes.GroupOutSerializer(group).data, status=status)


class Assign(APIView):
    @extend_schema(request=shapes.AssignSerializer, responses=shapes.AssignedSerializer)
    def post(self, request: Request, slug: str) -> Response:
        """Keep tasks for a person or a group, or give them back to everybody. What is in somebody's hands stays there."""
        actor = manager(request, slug)
        shape = shapes.AssignSerializer(data=request.data)
        shape.is_valid(raise_exception=True)
        asked = shape.validated_data
        tasks = reads.get_tasks_for(actor, asked["tasks"])
        pool_id, people = 0, None
        if asked.get("person"):
            pool_id, people = -reads.get_person_for(actor, asked["person"]).pk, 1
        elif asked.get("group"):
            group = reads.get_group_for(actor, asked["group"])
            pool_id, people = group.pk, group.members.count()
        moved = assign(actor=actor, tasks=tasks, pool_id=pool_id)
        return Response({"moved": moved, "short": 0 if people is None else short_of_people(tasks, people)})


class Scores(APIView):
    @extend_schema(request=shapes.ScoresSerializer, responses=shapes.ScoredSerializer)
    def put(self, request: Request, slug: str) -> Response:
        """Say how much an answer to each task would teach (from active selection, say). Unknown ids: nothing is written."""
        actor = manager(request, slug)
        shape = shapes.ScoresSerializer(data=request.data)
        shape.is_valid(raise_exception=True)
        scores = {row["task"]: row["score"] for row in shape.validated_data["scores"]}
        return Response({"scored": set_scores(actor=actor, scores=scores)})


class SlotWhy(APIView):
    @extend_schema(responses=shapes.WhySerializer)
    def get(self, request: Request, slot: str) -> Response:
        """Why the slot was handed out: one's own; to a manager, anybody's latest claim."""
        require_scope(request, Scope.READ, Scope.ANNOTATE, Scope.MANAGE)
        actor = actor_of_slot(request, slot)
        return Response(why(actor, reads.get_claimed_slot_for(actor, slot)).as_dict())


class TaskClaims(APIView):
    @extend_schema(responses=shapes.ClaimSerializer(many=True))
    def get(self, request: Request, task: str) -> Response:
        """Every claim there ever was, the oldest first, and how it ended. Managers see everybody's and who; others their own."""
        require_scope(request, Scope.READ, Scope.ANNOTATE, Scope.MANAGE)
        actor = _actor_of_task(request, task)
        row = Task.objects.filter(public_id=task, project_id=actor.project_id).first()
        manages = role_of(actor) in MANAGERS
        claims = claims_of(row, None if manages else actor) if row else []
        if row is None or (not claims and not manages):
            raise NotFound("There is no such task here.")
        return Response([_claim(claim, row, manages) for claim in claims])


def _actor_of_task(request: Request, task: str) -> Actor:
    """Errors: NotFound, also when the task exists elsewhere."""
    token = getattr(request, "auth", None)
    if token is not None:
        return get_actor_for(request, token.project.slug)
    actors = Actor.objects.select_related("project", "membership").filter(user=cast(User, request.user))
    actor = actors.filter(membership__role__in=EVERYBODY, project__tasks__public_id=task).first()
    if actor is None:
        raise NotFound("There is no such task here.")
    return actor


def _claim(claim: Claimed, task: Task, manages: bool) -> dict[str, Any]:
    ordinal = 0 if task.is_gold and not manages else claim.slot.ordinal
    return {
        "slot": f"slt_{task.public_id.removeprefix('tsk_')}_{ordinal}",
        "actor": claim.actor.public_id if manages else None,
        "leased_at": claim.at,
        "ending": claim.ending,
        "ended_at": claim.ended_at,
        "queue": claim.lane.queue.name,
    }
