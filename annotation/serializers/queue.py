"""Shapes of the queue's API."""

from typing import Any

from rest_framework import serializers

from annotation.data import Answer, Feedback, ServedTask
from annotation.models import Annotation, Guideline
from annotation.questions import POSITIONS
from ground.api import StrictSerializer


class PairSerializer(StrictSerializer):
    first = serializers.CharField(max_length=60, help_text="completion id")
    second = serializers.CharField(max_length=60, help_text="completion id")


class NewTasksSerializer(StrictSerializer):
    """One of `tasks` (what a line of an import holds, 500 at most), `groups` (ids of one to nine completions each), `pairs`, or
    `from_job`: the id of a finished generation whose different samples are judged together, prompt by prompt.

    `schema` is the name of one the project has. Without it two responses are compared, and `question` is asked.
    """

    schema = serializers.CharField(max_length=80, required=False)
    question = serializers.CharField(max_length=500, required=False)
    overlap = serializers.IntegerField(min_value=1, max_value=64, default=1)
    priority = serializers.IntegerField(min_value=0, max_value=9, default=5)
    tasks = serializers.ListField(child=serializers.DictField(), required=False)
    groups = serializers.ListField(
        child=serializers.ListField(child=serializers.CharField(max_length=60), min_length=1, max_length=9),
        required=False,
        max_length=10_000,
    )
    pairs = PairSerializer(many=True, required=False)
    from_job = serializers.CharField(max_length=60, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if sum(name in attrs for name in ("tasks", "groups", "pairs", "from_job")) != 1:
            raise serializers.ValidationError("Send one of tasks, groups, pairs or from_job.")
        if "schema" in attrs and "question" in attrs:
            raise serializers.ValidationError({"question": "The schema has its questions; leave this out."})
        if "schema" not in attrs and "tasks" in attrs:
            raise serializers.ValidationError({"schema": "Name the schema of these tasks."})
        return attrs


class AddedSerializer(serializers.Serializer):
    status = serializers.ChoiceField(["created", "known", "invalid"])
    id = serializers.CharField(allow_blank=True)
    error = serializers.CharField(allow_blank=True)


class CreatedTasksSerializer(serializers.Serializer):
    created = serializers.IntegerField()
    tasks = serializers.ListField(child=serializers.CharField())
    results = AddedSerializer(many=True, required=False, help_text="one for each of `tasks`, in their order")


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
    schema = serializers.CharField(
        max_length=60,
        required=False,
        help_text="the schema that was answered: 409 `schema_changed` where the task has another",
    )
    seconds = serializers.FloatField(min_value=0, max_value=86_400, required=False, allow_null=True)


class LeaseSerializer(StrictSerializer):
    lease = serializers.UUIDField()
    reason = serializers.CharField(max_length=2000, default="", allow_blank=True)


class CandidateSerializer(serializers.Serializer):
    side = serializers.ChoiceField(POSITIONS, help_text="where it stands, and how answers call it")
    text = serializers.CharField()


class TaskInSlotSerializer(serializers.Serializer):
    id = serializers.CharField()
    schema = serializers.CharField(help_text="the id of the schema whose questions these are")
    layout = serializers.CharField()
    sensitive = serializers.JSONField(help_text="false, true, or a few words on what is sensitive")
    fields_shown = serializers.JSONField(help_text="[{name, text, kind?}]: what of `data` is shown, under which words")
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
            "schema": slot.schema,
            "layout": slot.layout,
            "sensitive": slot.sensitive,
            "fields_shown": slot.fields,
            "data": slot.data,
            "prompt": slot.prompt,
            "candidates": [{"side": candidate.side, "text": candidate.text} for candidate in slot.candidates],
            "questions": slot.questions,
        },
        "draft": slot.draft,
    }


def counted_json(answer: Answer, task: str) -> dict[str, Any]:
    """`annotation_json` of an answer that was written and counts, to the task of a public id."""
    return {
        "id": answer.public_id,
        "task": task,
        "key": answer.key,
        "answers": answer.answers,
        "display_order": answer.display_order,
        "counted": True,
        "surplus": False,
        "seconds": answer.seconds,
        "created_at": answer.at.isoformat(),
    }


def submitted_json(
    annotation: dict[str, Any], told: Feedback | None, following: dict[str, Any] | None
) -> dict[str, Any]:
    return {"annotation": annotation, "feedback": feedback_json(told), "next": following}


def feedback_json(told: Feedback | None) -> dict[str, Any] | None:
    if told is None:
        return None
    return {"score": told.score, "right_answers": told.right_answers, "explanation": told.explanation}
