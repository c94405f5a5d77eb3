"""Review by API: cases for reviewers, watched annotators for managers, rulings for whoever answered."""

from typing import Any, cast

from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import Actor, Scope, User
from accounts.selectors import get_actor_for, get_member_for, require_scope
from accounts.services import EVERYBODY, MANAGERS, REVIEWERS, require_role
from annotation.models import Case, Task
from annotation.selectors import reviews as selectors
from annotation.serializers import reviews as shapes
from annotation.services import reviews
from annotation.services.settling import reopen_case, settle
from ground.api import Cursor, StrictSerializer
from ground.errors import Invalid, NotFound
from models_registry.texts import check_json

STATE = OpenApiParameter("state", str, enum=list(selectors.STATES), description="default: waiting")
REASON = OpenApiParameter("reason", str, enum=Case.Reason.values)


def _body(shape: type[StrictSerializer], request: Request) -> Any:
    """The checked body, free of what no database keeps."""
    try:
        check_json(request.data, "body")
    except ValueError as error:
        raise Invalid(str(error)) from error
    checked = shape(data=request.data)
    checked.is_valid(raise_exception=True)
    return checked


def _reviewer(request: Request, slug: str) -> Actor:
    require_scope(request, Scope.ANNOTATE, Scope.MANAGE)
    return get_member_for(request, slug, *REVIEWERS)


def _whole(actor: Actor, case: Case) -> Response:
    found = selectors.get_case_for(actor, case.public_id)
    return Response(shapes.WholeCaseSerializer(selectors.shown_case(actor, found)).data)


class Reviews(APIView):
    @extend_schema(parameters=[STATE, REASON], responses=shapes.CaseSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """Cases, oldest first; those that no reviewer can take are marked."""
        actor = _reviewer(request, slug)
        state, reason = request.query_params.get("state", "waiting"), request.query_params.get("reason", "")
        if state not in selectors.STATES or reason not in ("", *Case.Reason.values):
            raise Invalid(_("state is one of %(states)s; reason is one of %(reasons)s.") % {
                "states": ", ".join(selectors.STATES), "reasons": ", ".join(Case.Reason.values)
            })  # fmt: skip
        pages = Cursor()
        pages.ordering = "pk"
        page = pages.paginate_queryset(
            selectors.cases_of(actor.project, state=state, reason=reason), request, view=self
        )
        return pages.get_paginated_response(shapes.CaseSerializer(selectors.listed(actor, page or []), many=True).data)

    @extend_schema(request=shapes.AskSerializer, responses={201: shapes.TaskReviewSerializer})
    def post(self, request: Request, slug: str) -> Response:
        """Ask for a review of a task, also of one that was settled before."""
        actor = _reviewer(request, slug)
        asked = _body(shapes.AskSerializer, request).validated_data
        task = selectors.get_task_for(actor, asked["task"])
        case = reviews.ask_for_review(actor=actor, task=task, reason=asked["reason"])
        found = {"case": case.public_id, "task": task.public_id, "resolution": Task.Resolution.WAITING.name.lower()}
        return Response(found, status=201)


class ReviewNext(APIView):
    @extend_schema(request=shapes.NextCaseSerializer, responses={200: shapes.WholeCaseSerializer, 204: None})
    def post(self, request: Request, slug: str) -> Response:
        """The case you hold, else the oldest you may take, yours for half an hour; never your own work. 204: there is none."""
        actor = _reviewer(request, slug)
        asked = _body(shapes.NextCaseSerializer, request).validated_data
        after = selectors.get_case_for(actor, asked["after"]) if "after" in asked else None
        case = reviews.next_case(actor=actor, after=after)
        return _whole(actor, case) if case else Response(status=204)


class CaseView(APIView):
    """`reviews/{id}` and its actions; the case says which project, the asker reviews there."""

    def found(self, request: Request, case: str) -> tuple[Actor, Case]:
        require_scope(request, Scope.ANNOTATE, Scope.MANAGE)
        actor = actor_of_case(request, case)
        require_role(actor, *REVIEWERS)
        return actor, selectors.get_case_for(actor, case)


def actor_of_case(request: Request, case: str) -> Actor:
    """The asker's actor in the case's project. Errors: NotFound, also when the case exists elsewhere."""
    token = getattr(request, "auth", None)
    if token is not None:
        return get_actor_for(request, token.project.slug)
    actors = Actor.objects.filter(
        user=cast(User, request.user), membership__isnull=False, project__cases__public_id=case
    )
    actor = actors.select_related("project", "membership").first()
    if actor is None:
        raise NotFound(_("There is no such case here."))
    return actor


class ReviewOne(CaseView):
    @extend_schema(responses=shapes.WholeCaseSerializer)
    def get(self, request: Request, case: str) -> Response:
        """A case, blind. One of your own work is refused until it is settled."""
        return _whole(*self.found(request, case))


class ReviewTake(CaseView):
    @extend_schema(request=None, responses=shapes.WholeCaseSerializer)
    def post(self, request: Request, case: str) -> Response:
        """Take this very case. 409 `case_taken` when another reviewer has it."""
        actor, row = self.found(request, case)
        return _whole(actor, reviews.take_case(actor=actor, case=row))


class ReviewSettle(CaseView):
    @extend_schema(request=shapes.SettleSerializer, responses=shapes.WholeCaseSerializer)
    def post(self, request: Request, case: str) -> Response:
        """Decide. 409 `case_taken`: another reviewer was first; 409 `case_changed`: the answers are not those you saw."""
        actor, row = self.found(request, case)
        decision = _body(shapes.SettleSerializer, request).decision()
        return _whole(actor, settle(actor=actor, case=row, decision=decision))


class ReviewRelease(CaseView):
    @extend_schema(request=None, responses={204: None})
    def post(self, request: Request, case: str) -> Response:
        """Give the case back unsettled."""
        actor, row = self.found(request, case)
        reviews.release_case(actor=actor, case=row)
        return Response(status=204)


class ReviewReopen(CaseView):
    @extend_schema(request=None, responses=shapes.CaseSerializer)
    def post(self, request: Request, case: str) -> Response:
        """Take a settlement back: by its reviewer within a day, by a manager later."""
        actor, row = self.found(request, case)
        reopen_case(actor=actor, case=row)
        again = selectors.get_case_for(actor, case)
        return Response(shapes.CaseSerializer(selectors.listed(actor, [again])[0]).data)


class ReviewUnblind(CaseView):
    @extend_schema(request=None, responses=shapes.AuthorSerializer(many=True))
    def post(self, request: Request, case: str) -> Response:
        """Who gave which answer of a settled case, for managers; the look is noted in the audit trail."""
        actor, row = self.found(request, case)
        authors = reviews.unblind(actor=actor, case=row)
        found = [
            {"answer": name, "actor": author.public_id, "pseudonym": author.pseudonym}
            for name, author in sorted(authors.items())
        ]
        return Response(shapes.AuthorSerializer(found, many=True).data)


class WatchedAnnotators(APIView):
    @extend_schema(responses=shapes.WatchedSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """Annotators whose answers are reviewed. For managers: it would tell reviewers whose work they look at."""
        actor = get_member_for(request, slug, *MANAGERS)
        require_scope(request, Scope.READ, Scope.MANAGE)
        return Response(shapes.WatchedSerializer(selectors.watched_in(actor.project), many=True).data)

    @extend_schema(request=shapes.WatchSerializer, responses={200: shapes.WatchedSerializer, 204: None})
    def post(self, request: Request, slug: str) -> Response:
        """Have a share of somebody's answers reviewed from now on; a rate of 0 ends it (204)."""
        actor = get_member_for(request, slug, *MANAGERS)
        require_scope(request, Scope.MANAGE)
        asked = _body(shapes.WatchSerializer, request).validated_data
        annotator = selectors.get_annotator_for(actor, asked["annotator"])
        row = reviews.watch(actor=actor, annotator=annotator, rate=asked["rate"], reason=asked["reason"])
        return Response(shapes.WatchedSerializer(row).data) if row else Response(status=204)


class Rulings(APIView):
    @extend_schema(responses=shapes.RulingSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """What reviewers said of your own answers, newest first; `X-Unread` says how many are new."""
        actor = get_member_for(request, slug, *EVERYBODY)
        require_scope(request, Scope.ANNOTATE, Scope.READ)
        pages = Cursor()
        page = pages.paginate_queryset(selectors.rulings_for(actor), request, view=self)
        shown = shapes.RulingSerializer(selectors.shown_rulings(actor, page or []), many=True).data
        answer = pages.get_paginated_response(shown)
        answer["X-Unread"] = str(selectors.unread_rulings(actor))
        return answer


class RulingsRead(APIView):
    @extend_schema(request=shapes.ReadSerializer, responses=shapes.ReadAnswerSerializer)
    def post(self, request: Request, slug: str) -> Response:
        """Mark rulings on these answers of yours, or on all, as read."""
        actor = get_member_for(request, slug, *EVERYBODY)
        require_scope(request, Scope.ANNOTATE)
        asked = _body(shapes.ReadSerializer, request).validated_data
        read = reviews.mark_read(actor=actor, annotations=asked.get("annotations"))
        return Response({"read": read, "unread": selectors.unread_rulings(actor)})
