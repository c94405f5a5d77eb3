"""Shapes of schemas."""

from typing import Any

from rest_framework import serializers

from annotation.models import Schema
from annotation.questions import needs
from annotation.questions.chat import as_asked
from ground.api import StrictSerializer


class NewSchemaSerializer(StrictSerializer):
    name = serializers.SlugField(max_length=80, help_text="of a schema there is, for a new version of it")
    body = serializers.JSONField(help_text="{fields: […], questions: […]}; see docs/schemas.md")
    based_on = serializers.CharField(
        max_length=60,
        required=False,
        allow_blank=True,
        help_text="id of the version that was edited, empty for none: 409 `schema_outdated` where there is another by now",
    )


class CheckSchemaSerializer(StrictSerializer):
    body = serializers.JSONField()


class ProblemSerializer(serializers.Serializer):
    path = serializers.CharField()
    message = serializers.CharField()


class NeedsSerializer(serializers.Serializer):
    """What a task under the schema brings beside its fields."""

    prompt = serializers.BooleanField()
    responses = serializers.ListField(child=serializers.IntegerField(), help_text="[at least, at most]")


class CheckedSerializer(serializers.Serializer):
    ok = serializers.BooleanField()
    errors = ProblemSerializer(many=True)  # type: ignore[assignment]
    needs = NeedsSerializer(allow_null=True)
    warnings = serializers.ListField(
        child=serializers.CharField(), help_text="to managers: what would work, but not now, like models nobody serves"
    )


class SchemaRowSerializer(serializers.Serializer):
    id = serializers.CharField()
    name = serializers.CharField()
    version = serializers.IntegerField()
    latest = serializers.BooleanField()
    kinds = serializers.ListField(child=serializers.CharField())
    needs = NeedsSerializer()
    created_at = serializers.DateTimeField()


class SchemaSerializer(SchemaRowSerializer):
    body = serializers.JSONField(help_text="to whoever does not manage, without the names of the models in a chat")


class PublishedSerializer(SchemaSerializer):
    warnings = serializers.ListField(child=serializers.CharField(), help_text="models of a chat that nobody serves")


class MoveSerializer(StrictSerializer):
    to = serializers.CharField(max_length=60, help_text="id of the newer version")


class ReasonSerializer(serializers.Serializer):
    task = serializers.CharField()
    message = serializers.CharField()


class MovedSerializer(serializers.Serializer):
    moved = serializers.IntegerField()
    answered = serializers.IntegerField(help_text="stay: somebody answered them under the old version")
    gold = serializers.IntegerField(help_text="stay: their keys are answers under the old version")
    unfit = serializers.IntegerField(help_text="stay: what they hold does not fit the new version")
    reasons = ReasonSerializer(many=True, help_text="why the first twenty do not fit")
    more = serializers.BooleanField(help_text="not every task was looked at yet: ask again")


class TemplateSerializer(serializers.Serializer):
    name = serializers.CharField()
    title = serializers.CharField()
    about = serializers.CharField()
    body = serializers.JSONField()
    sample = serializers.JSONField(help_text="{data, prompt, responses}: a task to try it on")
    answers = serializers.JSONField(help_text="an answer to the sample")


def needs_json(body: dict[str, Any]) -> dict[str, Any]:
    needed = needs(body)
    return {"prompt": needed.prompt, "responses": [needed.least, needed.most]}


def schema_json(schema: Schema, latest: bool, *, blind: bool = False) -> dict[str, Any]:
    """`blind`: for somebody who may talk with the models in it."""
    body = schema.body
    if blind:
        body = {**body, "questions": [as_asked(one) if one["kind"] == "chat" else one for one in body["questions"]]}
    return {
        "id": schema.public_id,
        "name": schema.name,
        "version": schema.version,
        "latest": latest,
        "kinds": [question["kind"] for question in schema.body["questions"]],
        "needs": needs_json(schema.body),
        "created_at": schema.created_at,
        "body": body,
    }
