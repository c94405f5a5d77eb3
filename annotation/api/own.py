"""What belongs to the asker: notes, reading, answers, numbers, sensitive tasks."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import Actor, Scope
from accounts.selectors import get_member_for, require_scope
from accounts.services import EVERYBODY, MANAGERS, role_of
from annotation.api.queue import IDEMPOTENCY, SlotAction, actor_of_slot
from annotation.selectors import history
from annotation.selectors import notes as notes_read
from annotation.selectors.own_work import own_work
from annotation.selectors.queue import get_slot_for, served
from annotation.selectors.reading import reading_of
from annotation.selectors.reviews import get_task_for
from annotation.serializers import own as shapes
from annotation.serializers import queue as queue_shapes
from annotation.services import editing, guidelines, notes, sensitive, slots


def asker(request: Request, slug: str, *roles: str, scope: str = Scope.ANNOTATE) -> Actor:
    actor = get_member_for(request, slug, *(roles or EVERYBODY))
    require_scope(request, scope)
    return actor


class Notes(APIView):
    @extend_schema(
        parameters=[
            OpenApiParameter("state", str, enum=["open", "answered"]),
            OpenApiParameter("mine", bool, description="a manager's own notes alone; others see only theirs anyhow"),
        ],
        responses=shapes.NoteSerializer(many=True),
    )
    def get(self, request: Request, slug: str) -> Response:
        """A manager's: all notes of the project. Anybody else's: their own. At most 100, see `state`."""
        actor = asker(request, slug)
        if role_of(actor) in MANAGERS and request.query_params.get("mine") not in ("1", "true"):
            rows = notes_read.notes_of(actor.project, state=request.query_params.get("state", ""))
        else:
            rows = notes_read.notes_by(actor)
        return Response([notes_read.note_json(note) for note in rows[:100]])

    @extend_schema(request=shapes.NewNoteSerializer, parameters=[IDEMPOTENCY], responses={201: shapes.NoteSerializer})
    def post(self, request: Request, slug: str) -> Response:
        """A note to the managers. A retry with the same Idempotency-Key is the same note."""
        actor = asker(request, slug)
        shape = shapes.NewNoteSerializer(data=request.data)
        shape.is_valid(raise_exception=True)
        named = shape.validated_data.get("task", "")
        note = notes.write_note(
            actor=actor,
            text=shape.validated_data["text"],
            key=request.headers.get("Idempotency-Key", ""),
            task=get_task_for(actor, named) if named else None,
        )
        return Response(notes_read.note_json(note), status=201)


class NoteAnswer(APIView):
    @extend_schema(request=shapes.NoteAnswerSerializer, responses=shapes.NoteSerializer)
    def post(self, request: Request, slug: str, note: str) -> Response:
        """Answer a note, once."""
        actor = asker(request, slug, *MANAGERS, scope=Scope.MANAGE)
        shape = shapes.NoteAnswerSerializer(data=request.data)
        shape.is_valid(raise_exception=True)
        found = notes.answer_note(
            actor=actor, note=notes_read.get_note_for(actor, note), text=shape.validated_data["text"]
        )
        return Response(notes_read.note_json(found))


class NotesSeen(APIView):
    @extend_schema(request=None, responses={204: None})
    def post(self, request: Request, slug: str) -> Response:
        """The asker has read every answer there is now."""
        notes.mark_seen(actor=asker(request, slug))
        return Response(status=204)


class GuidelinesRead(APIView):
    @extend_schema(request=None, responses=shapes.ReadingSerializer)
    def post(self, request: Request, slug: str) -> Response:
        """The guidelines in force and what changed since the asker last read them; they count as read then."""
        actor = asker(request, slug)
        guideline, changes = reading_of(actor)
        if guideline is not None:
            guidelines.mark_read(actor=actor, guideline=guideline)
        return Response(shapes.reading_json(guideline, changes))


class OwnAnswers(APIView):
    @extend_schema(
        parameters=[
            OpenApiParameter("state", str, enum=list(history.STATES)),
            OpenApiParameter("text", str),
            OpenApiParameter("since", OpenApiTypes.DATE),
            OpenApiParameter("until", OpenApiTypes.DATE),
            OpenApiParameter("flagged", bool),
            OpenApiParameter("before", str, description="go on from here: `next` of the page before"),
            OpenApiParameter("limit", int),
        ],
        responses=shapes.OwnAnswersSerializer,
    )
    def get(self, request: Request, slug: str) -> Response:
        """One's own answers, newest first."""
        actor = asker(request, slug)
        asked = request.query_params
        most = int(asked["limit"]) if asked.get("limit", "").isdecimal() and len(asked["limit"]) < 6 else history.PAGE
        found = history.own_answers(actor, history.asked_from(asked))
        rows, following = history.page_of(found, before=asked.get("before", ""), most=most)
        return Response({"answers": shapes.answers_json(history.listed(actor, rows)), "next": following or None})


class OwnAnswerReplace(APIView):
    @extend_schema(
        request=shapes.ReplaceSerializer,
        parameters=[IDEMPOTENCY],
        responses={201: queue_shapes.AnnotationSerializer},
    )
    def post(self, request: Request, slug: str, annotation: str) -> Response:
        """Put a new answer in the place of one's own; candidates as they were shown. The old one stays, uncounted."""
        actor = asker(request, slug)
        shape = shapes.ReplaceSerializer(data=request.data)
        shape.is_valid(raise_exception=True)
        new = editing.replace_answer(
            actor=actor,
            annotation=history.get_own_answer(actor, annotation),
            key=request.headers.get("Idempotency-Key", ""),
            answers=shape.validated_data["answers"],
            seconds=shape.validated_data.get("seconds"),
        )
        return Response(queue_shapes.annotation_json(new), status=201)


class OwnWork(APIView):
    @extend_schema(responses=shapes.OwnWorkSerializer)
    def get(self, request: Request, slug: str) -> Response:
        """One's own numbers. A share without bounds has too few tasks to tell."""
        return Response(shapes.work_json(own_work(asker(request, slug))))


class Sensitive(APIView):
    @extend_schema(responses=shapes.SensitiveSerializer)
    def get(self, request: Request, slug: str) -> Response:
        return Response(_sensitive(asker(request, slug)))

    @extend_schema(request=shapes.SensitiveChangeSerializer, responses=shapes.SensitiveSerializer)
    def patch(self, request: Request, slug: str) -> Response:
        """`spared` is the asker's own; `per_hour` and `per_day` are the project's, and a manager's to set."""
        actor = asker(request, slug)
        shape = shapes.SensitiveChangeSerializer(data=request.data)
        shape.is_valid(raise_exception=True)
        asked = shape.validated_data
        if {"per_hour", "per_day"} & set(asked):
            require_scope(request, Scope.MANAGE)
            per_hour, per_day = sensitive.limits_of(actor.project_id)
            sensitive.set_limit(
                actor=actor, per_hour=asked.get("per_hour", per_hour), per_day=asked.get("per_day", per_day)
            )
        if "spared" in asked:
            sensitive.choose(actor=actor, spared=asked["spared"])
        return Response(_sensitive(actor))


def _sensitive(actor: Actor) -> dict[str, Any]:
    per_hour, per_day = sensitive.limits_of(actor.project_id)
    standing = sensitive.standing_of(actor)
    return {"spared": standing.spared, "until": standing.until, "per_hour": per_hour, "per_day": per_day}


class Unskip(APIView):
    @extend_schema(request=None, responses=queue_shapes.SlotSerializer)
    def post(self, request: Request, slot: str) -> Response:
        """Take one's own skip back while a place of the task is free."""
        require_scope(request, Scope.ANNOTATE)
        actor = actor_of_slot(request, slot)
        claim = slots.unskip(actor=actor, slot=get_slot_for(actor, slot))
        return Response(queue_shapes.slot_json(served(actor, claim)))


class Opened(SlotAction):
    @extend_schema(request=queue_shapes.LeaseSerializer, responses={204: None})
    def post(self, request: Request, slot: str) -> Response:
        """The asker looks at a sensitive task: it stays in the count even when it is passed over."""
        actor, row, _asked = self.asked(request, slot)
        sensitive.open_task(actor=actor, task=row.task)
        return Response(status=204)
