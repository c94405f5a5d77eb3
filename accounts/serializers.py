"""Shapes of projects, members and tokens."""

from typing import Any

from django.core.validators import validate_slug
from rest_framework import serializers

from accounts.models import Actor, ApiToken, Project, Role, Scope, User
from ground.api import StrictSerializer


class PersonSerializer(serializers.ModelSerializer[User]):
    id = serializers.CharField(source="public_id")
    keys = serializers.JSONField(help_text="{off: bool, map: {action: key}}")

    class Meta:
        model = User
        fields = ["id", "email", "name", "locale", "time_zone", "keys"]


class PersonChangeSerializer(StrictSerializer):
    locale = serializers.CharField(max_length=12, required=False, allow_blank=True)
    time_zone = serializers.CharField(max_length=64, required=False, allow_blank=True)
    keys = serializers.DictField(required=False)


class ProjectSerializer(serializers.ModelSerializer[Project]):
    id = serializers.CharField(source="public_id")

    class Meta:
        model = Project
        fields = ["id", "slug", "name", "description", "created_at"]


class NewProjectSerializer(StrictSerializer):
    slug = serializers.CharField(max_length=80, validators=[validate_slug])
    name = serializers.CharField(max_length=200)
    description = serializers.CharField(max_length=10_000, default="", allow_blank=True)


class ActorSerializer(serializers.ModelSerializer[Actor]):
    id = serializers.CharField(source="public_id")
    role = serializers.SerializerMethodField()

    class Meta:
        model = Actor
        fields = ["id", "kind", "pseudonym", "external_id", "role"]

    def get_role(self, actor: Actor) -> str:
        membership = getattr(actor, "membership", None)
        return membership.role if membership else ""


class NewMemberSerializer(StrictSerializer):
    email = serializers.EmailField()
    role = serializers.ChoiceField(choices=Role.choices)


class NewActorSerializer(StrictSerializer):
    """A simulated annotator."""

    external_id = serializers.CharField(max_length=200)
    pseudonym = serializers.CharField(max_length=80)


class NewTokenSerializer(StrictSerializer):
    name = serializers.CharField(max_length=120)
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=Scope.choices), min_length=1, max_length=10)
    actor = serializers.CharField(max_length=60, required=False, help_text="for whom; yourself when left out")
    expires_at = serializers.DateTimeField(required=False, allow_null=True)


class TokenSerializer(serializers.ModelSerializer[ApiToken]):
    id = serializers.CharField(source="public_id")
    actor = serializers.CharField(source="actor.public_id")

    class Meta:
        model = ApiToken
        fields = ["id", "name", "prefix", "actor", "scopes", "expires_at", "revoked_at", "last_used_at", "created_at"]


class IssuedTokenSerializer(TokenSerializer):
    token = serializers.CharField(read_only=True, help_text="shown this once")

    class Meta(TokenSerializer.Meta):
        fields = [*TokenSerializer.Meta.fields, "token"]


def issued(token: ApiToken, secret: str) -> dict[str, Any]:
    return {**TokenSerializer(token).data, "token": secret}
