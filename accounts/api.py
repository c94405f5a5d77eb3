"""Projects, members, simulated annotators, tokens."""

from typing import cast

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import serializers as shapes
from accounts import services
from accounts.models import Actor, ApiToken, Scope, User
from accounts.selectors import get_actor_for, get_member_for, projects_for, require_scope
from ground.errors import Forbidden, Invalid, NotFound


class Me(APIView):
    @extend_schema(responses=shapes.PersonSerializer)
    def get(self, request: Request) -> Response:
        """The signed-in person: language, time zone and what their keys differ by."""
        return Response(shapes.PersonSerializer(_person(request)).data)

    @extend_schema(request=shapes.PersonChangeSerializer, responses=shapes.PersonSerializer)
    def patch(self, request: Request) -> Response:
        """Change what is named; `keys` is the whole map."""
        user = _person(request)
        shape = shapes.PersonChangeSerializer(data=request.data)
        shape.is_valid(raise_exception=True)
        asked = shape.validated_data
        if "keys" in asked:
            services.set_keys(user=user, keys=asked["keys"])
        if "locale" in asked or "time_zone" in asked:
            services.set_locale(
                user=user,
                locale=asked.get("locale", user.locale),
                time_zone=asked.get("time_zone", user.time_zone),
            )
        return Response(shapes.PersonSerializer(user).data)


def _person(request: Request) -> User:
    if not isinstance(request.user, User):
        raise Forbidden(_("A token stands for no person."), hint=_("Sign in as a person."))
    return request.user


class Projects(APIView):
    @extend_schema(responses=shapes.ProjectSerializer(many=True))
    def get(self, request: Request) -> Response:
        """The projects the asker belongs to."""
        token = request.auth
        rows = [token.project] if isinstance(token, ApiToken) else list(projects_for(cast(User, request.user)))
        return Response(shapes.ProjectSerializer(rows, many=True).data)

    @extend_schema(request=shapes.NewProjectSerializer, responses={201: shapes.ProjectSerializer})
    def post(self, request: Request) -> Response:
        """A new project, owned by the signed-in person."""
        if not isinstance(request.user, User):
            raise Forbidden(
                _("A token belongs to one project and cannot make another."), hint=_("Sign in as a person.")
            )
        shape = shapes.NewProjectSerializer(data=request.data)
        shape.is_valid(raise_exception=True)
        project = services.create_project(user=request.user, **shape.validated_data)
        return Response(shapes.ProjectSerializer(project).data, status=201)


class OneProject(APIView):
    @extend_schema(responses=shapes.ProjectSerializer)
    def get(self, request: Request, slug: str) -> Response:
        return Response(shapes.ProjectSerializer(get_actor_for(request, slug).project).data)


class Members(APIView):
    @extend_schema(responses=shapes.ActorSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        actor = get_member_for(request, slug, *services.MANAGERS)
        require_scope(request, Scope.READ, Scope.MANAGE)
        rows = Actor.objects.filter(project=actor.project, membership__isnull=False).select_related("membership")
        return Response(shapes.ActorSerializer(rows.order_by("pk"), many=True).data)

    @extend_schema(request=shapes.NewMemberSerializer, responses={201: shapes.ActorSerializer})
    def post(self, request: Request, slug: str) -> Response:
        """Give a person who can already sign in a role here."""
        actor = get_member_for(request, slug, *services.MANAGERS)
        require_scope(request, Scope.MANAGE)
        shape = shapes.NewMemberSerializer(data=request.data)
        shape.is_valid(raise_exception=True)
        email = shape.validated_data["email"].lower()
        user = User.objects.filter(email=email).first()
        if user is None:
            raise Invalid(
                _("Nobody signs in as %(email)s.") % {"email": email},
                hint=_("An operator adds people: manage.py add_person."),
            )
        member = services.add_member(actor=actor, user=user, role=shape.validated_data["role"])
        return Response(shapes.ActorSerializer(member).data, status=201)


class SimulatedAnnotators(APIView):
    @extend_schema(request=shapes.NewActorSerializer, responses={201: shapes.ActorSerializer})
    def post(self, request: Request, slug: str) -> Response:
        """A simulated annotator, marked as simulated wherever its answers show. Give it a token next."""
        actor = get_member_for(request, slug, *services.MANAGERS)
        require_scope(request, Scope.MANAGE)
        shape = shapes.NewActorSerializer(data=request.data)
        shape.is_valid(raise_exception=True)
        simulated = services.add_simulated_annotator(actor=actor, **shape.validated_data)
        return Response(shapes.ActorSerializer(simulated).data, status=201)


class Tokens(APIView):
    @extend_schema(responses=shapes.TokenSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        actor = get_member_for(request, slug, *services.EVERYBODY)
        rows = ApiToken.objects.filter(project=actor.project).select_related("actor")
        if services.role_of(actor) not in services.MANAGERS:
            rows = rows.filter(actor=actor)
        return Response(shapes.TokenSerializer(rows.order_by("-pk"), many=True).data)

    @extend_schema(request=shapes.NewTokenSerializer, responses={201: shapes.IssuedTokenSerializer})
    def post(self, request: Request, slug: str) -> Response:
        """A token; its secret stands in this answer and nowhere else."""
        actor = get_member_for(request, slug, *services.EVERYBODY)
        require_scope(request, Scope.MANAGE)
        shape = shapes.NewTokenSerializer(data=request.data)
        shape.is_valid(raise_exception=True)
        asked = dict(shape.validated_data)
        subject = _subject(actor, asked.pop("actor", ""))
        token, secret = services.issue_token(actor=actor, subject=subject, **asked)
        return Response(shapes.issued(token, secret), status=201)


class OneToken(APIView):
    @extend_schema(responses={204: None})
    def delete(self, request: Request, slug: str, token: str) -> Response:
        """Revoke it, at once."""
        actor = get_member_for(request, slug, *services.EVERYBODY)
        require_scope(request, Scope.MANAGE)
        row = ApiToken.objects.filter(project=actor.project, public_id=token).first()
        if row is None:
            raise NotFound(_("There is no such token here."))
        services.revoke_token(actor=actor, token=row)
        return Response(status=204)


def _subject(actor: Actor, public_id: str) -> Actor:
    if not public_id:
        return actor
    subject = Actor.objects.filter(project=actor.project, public_id=public_id).select_related("project").first()
    if subject is None:
        raise NotFound(_("There is no actor %(id)s here.") % {"id": public_id})
    return subject
