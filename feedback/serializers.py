"""Shapes of the feedback and snapshot API."""

import re
from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from feedback.data import NewFeedback
from feedback.models import FeedbackEvent, Snapshot, SnapshotRow
from feedback.services.freezing import ANY, LONGEST_NAME, RESOLUTIONS, TIES, WIDEST_SHARE
from ground.api import StrictSerializer

KINDS = ("thumb", "rating", "correction")
OUTCOMES = ("first", "second", "tie", "neither")
THUMBS = ("up", "down")
LONGEST_TEXT = 100_000
LONGEST_COMMENT = 10_000
MOST_TAGS = 16
COMPLETION_ID = re.compile(r"cmp_[0-9A-Za-z_-]{1,56}")


class Text(serializers.CharField):
    """Text, as it was sent: numbers are not turned into it and nothing is trimmed."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"trim_whitespace": False, **options})

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            raise serializers.ValidationError(_("Expected text."))
        return super().to_internal_value(data)


class CompletionId(Text):
    """The id that the gateway answered with. It need not be known yet."""

    def to_internal_value(self, data: Any) -> str:
        value = super().to_internal_value(data)
        if not COMPLETION_ID.fullmatch(value):
            raise serializers.ValidationError(_("Expected a completion id like cmp_0198…, as the gateway gives it."))
        return value


class Tags(serializers.DictField):
    """At most 16 short texts by short names."""

    child = Text(max_length=512, allow_blank=True)

    def to_internal_value(self, data: Any) -> dict[str, str]:
        value = super().to_internal_value(data)
        if len(value) > MOST_TAGS or any(len(name) > 64 for name in value):
            raise serializers.ValidationError(_("At most 16 tags, their names at most 64 characters."))
        return value


VALUE_SCHEMA = {
    "oneOf": [
        {"type": "string", "enum": list(THUMBS), "description": "of a thumb"},
        {"type": "integer", "minimum": 1, "maximum": 5, "description": "of a rating"},
        {
            "type": "object",
            "description": "of a correction",
            "properties": {"text": {"type": "string", "maxLength": LONGEST_TEXT}},
            "required": ["text"],
            "additionalProperties": False,
        },
    ]
}


@extend_schema_field(VALUE_SCHEMA)
class Value(serializers.Field):
    """Read by kind, in the serializer."""

    def to_internal_value(self, data: Any) -> Any:
        return data

    def to_representation(self, value: Any) -> Any:
        return value


class FeedbackSerializer(StrictSerializer):
    completion = CompletionId(max_length=60)
    kind = serializers.ChoiceField(KINDS)
    value = Value(help_text="thumb: up or down; rating: 1 to 5; correction: {text}")
    comment = Text(max_length=LONGEST_COMMENT, allow_blank=True, default="")
    user = Text(max_length=200, allow_blank=True, default="", help_text="your own name for your end user")
    tags = Tags(required=False, default=dict)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        check = {"thumb": _thumb, "rating": _rating, "correction": _correction}[attrs["kind"]]
        try:
            attrs["value"] = check(attrs["value"])
        except serializers.ValidationError as error:
            raise serializers.ValidationError({"value": error.detail}) from error
        return attrs


def _thumb(value: Any) -> dict[str, Any]:
    if value not in THUMBS:
        raise serializers.ValidationError(_("A thumb is up or down."))
    return {"thumb": value}


def _rating(value: Any) -> dict[str, Any]:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 5:
        raise serializers.ValidationError(_("A rating is a whole number from 1 to 5."))
    return {"rating": value}


def _correction(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value) != {"text"}:
        raise serializers.ValidationError(_("A correction is an object with text and nothing else."))
    text = Text(max_length=LONGEST_TEXT).run_validation(value["text"])
    if not text.strip():
        raise serializers.ValidationError(_("A correction needs text."))
    return {"text": text}


def new_feedback(data: dict[str, Any]) -> NewFeedback:
    return NewFeedback(
        target=data["completion"],
        kind=data["kind"],
        value=data["value"],
        comment=data["comment"],
        user=data["user"],
        tags=data["tags"],
    )


class BatchSerializer(StrictSerializer):
    """Only for the description of the API: the items are checked one by one, so that a wrong one spoils none."""

    items = FeedbackSerializer(many=True, help_text="at most 1000")  # type: ignore[assignment]


class ComparisonSerializer(StrictSerializer):
    first = CompletionId(max_length=60)
    second = CompletionId(max_length=60)
    outcome = serializers.ChoiceField(OUTCOMES, help_text="neither: both are bad")
    strength = serializers.IntegerField(min_value=1, max_value=3, required=False, allow_null=True, default=None)
    comment = Text(max_length=LONGEST_COMMENT, allow_blank=True, default="")
    user = Text(max_length=200, allow_blank=True, default="")
    tags = Tags(required=False, default=dict)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["strength"] is not None and attrs["outcome"] not in ("first", "second"):
            raise serializers.ValidationError({"strength": _("Only where one side is preferred.")})
        return attrs


class EventSerializer(serializers.Serializer):
    """`state` is pending until the completion it speaks of is known."""

    id = serializers.CharField()
    kind = serializers.CharField()
    state = serializers.ChoiceField(["accepted", "pending", "withdrawn"])
    completion = serializers.CharField()
    other = serializers.CharField(required=False)


def event_json(event: FeedbackEvent) -> dict[str, Any]:
    state = "withdrawn" if event.withdrawn_at else "pending" if event.completion_id is None else "accepted"
    found = {"id": event.public_id, "kind": event.kind, "state": state, "completion": event.target}
    return found | ({"other": event.other_target} if event.other_target else {})


class ResultSerializer(serializers.Serializer):
    """What became of one item: `id` and `state`, or `error`."""

    index = serializers.IntegerField()
    status = serializers.IntegerField()
    id = serializers.CharField(required=False)
    state = serializers.CharField(required=False)
    error = serializers.JSONField(required=False)


class BatchResultSerializer(serializers.Serializer):
    results = ResultSerializer(many=True)


class StoredFeedbackSerializer(serializers.ModelSerializer[FeedbackEvent]):
    id = serializers.CharField(source="public_id")
    completion = serializers.CharField(source="target")
    other = serializers.CharField(source="other_target")
    state = serializers.SerializerMethodField()
    actor = serializers.CharField(source="actor.pseudonym")

    class Meta:
        model = FeedbackEvent
        fields = ["id", "kind", "state", "completion", "other", "value", "comment", "tags", "actor", "created_at"]

    def get_state(self, event: FeedbackEvent) -> str:
        return str(event_json(event)["state"])


class NewSnapshotSerializer(StrictSerializer):
    name = Text(max_length=LONGEST_NAME, allow_blank=True, default="")
    test_share = serializers.FloatField(min_value=0, max_value=WIDEST_SHARE, default=0.2)
    seed = serializers.IntegerField(min_value=-(2**31), max_value=2**31 - 1, default=0)
    ties = serializers.ChoiceField(TIES, default="drop")
    resolution = serializers.ChoiceField(
        list(RESOLUTIONS), default=ANY, help_text="reviewed: agreed or settled tasks only; not_waiting: no case is open"
    )


class AcceptedSnapshotSerializer(serializers.Serializer):
    job = serializers.CharField()
    snapshot = serializers.CharField(help_text="the id it will have when the job is done")


class SnapshotSerializer(serializers.ModelSerializer[Snapshot]):
    id = serializers.CharField(source="public_id")
    job = serializers.CharField(source="job.public_id", allow_null=True, default=None)

    class Meta:
        model = Snapshot
        fields = ["id", "number", "name", "job", "spec", "digest", "files", "counts", "created_at"]


class SnapshotRowSerializer(serializers.ModelSerializer[SnapshotRow]):
    """A line of a file and what stands behind it: annotations, and feedback from applications."""

    prompt = serializers.CharField(source="prompt.public_id", allow_null=True, default=None)
    annotations = serializers.SerializerMethodField()
    feedback = serializers.SerializerMethodField()

    class Meta:
        model = SnapshotRow
        fields = ["file", "line", "digest", "prompt", "annotations", "feedback"]

    def get_annotations(self, row: SnapshotRow) -> list[str]:
        preferred = {said.annotation.public_id for said in row.preferences.all() if said.annotation is not None}
        return sorted(preferred | {said.public_id for said in row.annotations.all()})

    def get_feedback(self, row: SnapshotRow) -> list[str]:
        compared = [said.event.public_id for said in row.preferences.all() if said.event is not None]
        return sorted([*compared, *(event.public_id for event in row.events.all())])


class VerificationSerializer(serializers.Serializer):
    intact = serializers.BooleanField()
    changed = serializers.ListField(child=serializers.CharField())


class WinRateSerializer(serializers.Serializer):
    """`win_rate` is null before anybody could tell; `enough` false means: too few people or prompts to tell."""

    evaluation = serializers.CharField()
    votes = serializers.IntegerField()
    win_rate = serializers.JSONField(allow_null=True)
