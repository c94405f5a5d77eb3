"""Shapes of the queue's API."""

from typing import Any

from rest_framework import serializers

from annotation.data import Feedback, ServedTask
from annotation.models import Annotation, Guideline
from annotation.services.tasks import DEFAULT_QUESTION
from ground.api import StrictSerializer


class PairSerializer(StrictSerializer):
    first = serializers.CharField(max_length=60, help_text="completion id")
    second = serializers.CharField(max_length=60, help_text="completion id")


class NewTasksSerializer(StrictSerializer):
    """Either `pairs`, or `from_job`: the id of a finished generation whose samples are paired prompt by prompt."""

    question = serializers.CharField(max_length=500, default=DEFAULT_QUESTION)
    overlap = serializers.IntegerField(min_value=1, max_value=64, default=1)
    priority = serializers.IntegerField(min_value=0, max_value=9, default=5)
    pairs = PairSerializer(many=True, required=False)
    from_job = serializers.CharField(max_length=60, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("pairs" in attrs) == ("from_job" in attrs):
            raise serializers.ValidationError("Send either pairs or from_job.")
        return attrs


class CreatedTasksSerializer(serializers.Serializer):
    created = serializers.IntegerField()
    tasks = serializers.ListField(child=serializers.CharField())


class GuidelineSerializer(serializers.ModelSerializer[Guideline]):
    id = serializers.CharField(source="public_id")

    class Meta:
        model = Guideline
        fields = ["id", "version", "body", "created_at"]


class NewGuidelineSerializer(StrictSerializer):
    body = serializers.CharField(max_length=100_000, trim_whitespace=False, help_text="markdown")


class NextSerializer(StrictSerializer):
    queue = serializers.SlugField(max_length=80, required=False, help_text="only from the queue of this name")
    holding = serializers.ListField(child=serializers.CharField(max_length=80), default=list, max_length=20)


class SubmitSerializer(StrictSerializer):
    lease = serializers.UUIDField()
    answers = serializers.JSONField()
    seconds = serializers.FloatField(min_value=0, max_value=86_400, required=False, allow_null=True)


class LeaseSerializer(StrictSerializer):
    lease = serializers.UUIDField()
    reason = serializers.CharField(max_length=2000, default="", allow_blank=True)


class CandidateSerializer(serializers.Serializer):
    side = serializers.CharField()
    text = serializers.CharField()


class TaskInSlotSerializer(serializers.Serializer):
    id = serializers.CharField()
    fields_shown = serializers.JSONField(help_text="[{name, text}]: what of `data` is shown, under which words")
    data = serializers.JSONField()  # type: ignore[assignment]
    prompt = serializers.JSONField()
    candidates = CandidateSerializer(many=True)
    questions = serializers.JSONField()


class SlotSerializer(serializers.Serializer):
    """A leased slot. `candidates` stand in the order this actor is to see them in."""

    id = serializers.CharField()
    lease = serializers.UUIDField()
    lease_expires_at = serializers.DateTimeField()
    task = TaskInSlotSerializer()
    draft = serializers.JSONField(allow_null=True)


class AnnotationSerializer(serializers.ModelSerializer[Annotation]):
    id = serializers.CharField(source="public_id")
    task = serializers.CharField(source="task.public_id")

    class Meta:
        model = Annotation
        fields = ["id", "task", "key", "answers", "display_order", "counted", "surplus", "seconds", "created_at"]


class FeedbackSerializer(serializers.Serializer):
    """Of an answer to gold, in a queue that says so at once."""

    score = serializers.FloatField(help_text="0 wrong to 1 right")
    right_answers = serializers.JSONField(
        help_text="as the answers that were sent: first and second as this actor saw them"
    )
    explanation = serializers.CharField()


class SubmittedSerializer(serializers.Serializer):
    annotation = AnnotationSerializer()
    feedback = FeedbackSerializer(allow_null=True)
    next = SlotSerializer(allow_null=True)


def annotation_json(annotation: Annotation) -> dict[str, Any]:
    """What `AnnotationSerializer` documents, built by hand: every answer passes here."""
    return {
        "id": annotation.public_id,
        "task": annotation.task.public_id,
        "key": annotation.key,
        "answers": annotation.answers,
        "display_order": annotation.display_order,
        "counted": annotation.counted,
        "surplus": annotation.surplus,
        "seconds": annotation.seconds,
        "created_at": annotation.created_at.isoformat(),
    }


def slot_json(slot: ServedTask) -> dict[str, Any]:
    return {
        "id": slot.id,
        "lease": slot.lease,
        "lease_expires_at": slot.lease_expires_at.isoformat(),
        "task": {
            "id": slot.task_id,
            "fields_shown": slot.fields,
            "data": slot.data,
            "prompt": slot.prompt,
            "candidates": [{"side": candidate.side, "text": candidate.text} for candidate in slot.candidates],
            "questions": slot.questions,
        },
        "draft": slot.draft,
    }


def feedback_json(told: Feedback | None) -> dict[str, Any] | None:
    if told is None:
        return None
    return {"score": told.score, "right_answers": told.right_answers, "explanation": told.explanation}
