"""Gold, what could become gold, and where people stand after it, by HTTP."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import Actor, Scope
from accounts.selectors import get_member_for, require_scope
from accounts.services import EVERYBODY, MANAGERS
from annotation.pairs import pairs_from_ids
from annotation.selectors import gold as reads
from annotation.serializers import gold as shapes
from annotation.services import gold_keys, standings
from ground.api import Cursor


def manager(request: Request, slug: str) -> Actor:
    """Keys are for managers alone: whoever answers must not read them."""
    require_scope(request, Scope.MANAGE)
    return get_member_for(request, slug, *MANAGERS)


def body_of(shape: type[shapes.StrictSerializer], request: Request) -> dict[str, Any]:
    asked = shape(data=request.data)
    asked.is_valid(raise_exception=True)
    return dict(asked.validated_data)


def shown(actor: Actor, public_id: str) -> dict[str, Any]:
    return shapes.gold_json(reads.get_gold_for(actor, public_id))


class Gold(APIView):
    @extend_schema(responses=shapes.GoldSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """Gold tasks with their keys and how people do on them, newest first."""
        pages = Cursor()
        page = pages.paginate_queryset(reads.gold_of(manager(request, slug).project), request, view=self) or []
        return pages.get_paginated_response([shapes.gold_json(task) for task in page])

    @extend_schema(request=shapes.NewGoldSerializer, responses={201: shapes.GoldSerializer})
    def post(self, request: Request, slug: str) -> Response:
        """Write a gold task: data under a schema, or a pair of completions, with the key."""
        actor = manager(request, slug)
        asked = body_of(shapes.NewGoldSerializer, request)
        queue = reads.get_queue_of(actor, asked["queue"])
        schema = reads.get_schema_for(actor, asked["schema"]) if "schema" in asked else None
        rest: dict[str, Any] = {"answers": asked["answers"], "explanation": asked["explanation"]}
        if schema is not None and "data" in asked:
            task = gold_keys.make_gold(actor=actor, queue=queue, schema=schema, data=asked["data"], **rest)
        else:
            [pair] = pairs_from_ids(actor, [asked["pair"]])
            task = gold_keys.make_pair_gold(actor=actor, queue=queue, pair=pair, schema=schema, **rest)
        return Response(shown(actor, task.public_id), status=201)


class GoldOne(APIView):
    @extend_schema(responses=shapes.GoldSerializer)
    def get(self, request: Request, slug: str, task: str) -> Response:
        return Response(shown(manager(request, slug), task))

    @extend_schema(request=shapes.GoldKeySerializer, responses=shapes.GoldSerializer)
    def patch(self, request: Request, slug: str, task: str) -> Response:
        """Correct the key. Earlier answers are scored again."""
        actor = manager(request, slug)
        row = reads.get_gold_for(actor, task)
        gold_keys.edit_key(actor=actor, task=row, **body_of(shapes.GoldKeySerializer, request))
        return Response(shown(actor, task))


class GoldAction(APIView):
    """`POST gold/{task}:retire` and `:restore`."""

    @extend_schema(request=None, responses=shapes.GoldSerializer)
    def post(self, request: Request, slug: str, task: str, action: str) -> Response:
        """Retire: hand it out no more, and let its answers count for nobody. Restore takes that back."""
        actor = manager(request, slug)
        act = {"retire": gold_keys.retire, "restore": gold_keys.put_back}[action]
        act(actor=actor, task=reads.get_gold_for(actor, task))
        return Response(shown(actor, task))


class Promotion(APIView):
    @extend_schema(responses=shapes.PromotableSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """Complete tasks, among the latest, whose answers agree enough to become gold."""
        found = reads.promotable(manager(request, slug).project)
        rows = [
            {"task": row.public_id, "queue": row.queue.public_id, "answers": row.done, "agreement": row.agreement}
            for row in found
        ]
        return Response(rows)

    @extend_schema(request=shapes.PromotionSerializer, responses={201: shapes.GoldSerializer})
    def post(self, request: Request, slug: str) -> Response:
        """Copy a task people agree on into gold. Whoever met the original never gets the copy."""
        actor = manager(request, slug)
        asked = body_of(shapes.PromotionSerializer, request)
        queue = reads.get_queue_of(actor, asked["queue"]) if "queue" in asked else None
        task = reads.get_task_for(actor, asked["task"])
        made = gold_keys.promote(actor=actor, task=task, queue=queue, explanation=asked["explanation"])
        return Response(shown(actor, made.public_id), status=201)


class Standings(APIView):
    @extend_schema(responses=shapes.StandingSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """Everybody who met gold, by queue."""
        pages = Cursor()
        page = pages.paginate_queryset(reads.standings_of(manager(request, slug).project), request, view=self) or []
        return pages.get_paginated_response([shapes.standing_json(row) for row in page])


class StandingAction(APIView):
    """`POST standings:lift`, `:block` and `:admit`."""

    @extend_schema(request=shapes.StandingActionSerializer, responses=shapes.StandingSerializer)
    def post(self, request: Request, slug: str, action: str) -> Response:
        """Lift forgives what was answered so far, block closes a queue to a person, admit takes a test as passed."""
        actor = manager(request, slug)
        asked = body_of(shapes.StandingActionSerializer, request)
        act = {"lift": standings.lift, "block": standings.block, "admit": standings.let_in}[action]
        person, queue = reads.get_person_for(actor, asked["actor"]), reads.get_queue_of(actor, asked["queue"])
        return Response(shapes.standing_json(act(actor=actor, person=person, queue=queue, reason=asked["reason"])))


class OwnStanding(APIView):
    @extend_schema(responses=shapes.OwnStandingSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """Where the asker was warned, paused, blocked or tested. A count of gold would tell which tasks are gold."""
        require_scope(request, Scope.READ, Scope.ANNOTATE, Scope.MANAGE)
        actor = get_member_for(request, slug, *EVERYBODY)
        return Response([shapes.own_standing_json(row) for row in reads.standings_for(actor).order_by("pk")])
