"""Shapes of review's API."""

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from annotation.data import NewRuling, Settlement
from annotation.models import Case, Ruling, Task, Watched
from annotation.services.reviews import LONGEST_REASON
from annotation.services.settling import LONGEST_COMMENT
from ground.api import StrictSerializer

MOST_ANSWERS = 100


class NextCaseSerializer(StrictSerializer):
    after = serializers.CharField(max_length=60, required=False, help_text="a case's id: only cases that came after it")


class AskSerializer(StrictSerializer):
    task = serializers.CharField(max_length=60)
    reason = serializers.CharField(max_length=LONGEST_REASON, default="", allow_blank=True)


class NewRulingSerializer(StrictSerializer):
    answer = serializers.CharField(max_length=40, help_text="its name in this case, ans_…")
    verdict = serializers.ChoiceField(Ruling.Verdict.choices)
    comment = serializers.CharField(
        max_length=LONGEST_COMMENT, default="", allow_blank=True, help_text="its author reads it"
    )


class SettleSerializer(StrictSerializer):
    """A ruling for every answer, a cause, and at most one of `adopt`, `answers`, `ask_again`."""

    rulings = NewRulingSerializer(many=True, max_length=MOST_ANSWERS)  # type: ignore[call-arg]
    cause = serializers.ChoiceField(Case.Cause.choices)
    comment = serializers.CharField(max_length=LONGEST_COMMENT, default="", allow_blank=True)
    adopt = serializers.CharField(
        max_length=40, default="", allow_blank=True, help_text="the answer that stands for the task"
    )
    answers = serializers.JSONField(
        required=False, allow_null=True, default=None, help_text="or one of your own, candidates as you saw them"
    )
    ask_again = serializers.BooleanField(default=False, help_text="ask somebody else in the place of rejected answers")

    def validate_rulings(self, value: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if len({ruling["answer"] for ruling in value}) != len(value):
            raise serializers.ValidationError(_("An answer is ruled on once."))
        return value

    def decision(self) -> Settlement:
        asked: dict[str, Any] = dict(self.validated_data)
        rulings = {row["answer"]: NewRuling(row["verdict"], row["comment"]) for row in asked.pop("rulings")}
        return Settlement(rulings=rulings, **asked)


class WatchSerializer(StrictSerializer):
    annotator = serializers.CharField(max_length=60, help_text="actor id")
    rate = serializers.FloatField(min_value=0, max_value=1, help_text="share of the answers; 0 ends it")
    reason = serializers.CharField(max_length=LONGEST_REASON, default="", allow_blank=True)


class ReadSerializer(StrictSerializer):
    annotations = serializers.ListField(
        child=serializers.CharField(max_length=60), required=False, max_length=1000, help_text="left out: all of them"
    )


class CaseSerializer(serializers.Serializer):
    """A line in the list of cases. Nothing in it says what was answered, or by whom."""

    id = serializers.CharField()
    task = serializers.CharField()
    title = serializers.CharField()
    state = serializers.ChoiceField(["open", "leased", "settled", "dismissed"])
    reasons = serializers.ListField(child=serializers.ChoiceField(Case.Reason.choices))
    agreement = serializers.FloatField(allow_null=True)
    since = serializers.DateTimeField()
    settled_at = serializers.DateTimeField(allow_null=True)
    cause = serializers.CharField(allow_blank=True)
    nobody_can_take_it = serializers.BooleanField(required=False, help_text="every reviewer answered its task")


class CandidateInCaseSerializer(serializers.Serializer):
    side = serializers.CharField()
    text = serializers.CharField()


class ContentSerializer(serializers.Serializer):
    fields_shown = serializers.JSONField()
    data = serializers.JSONField()  # type: ignore[assignment]
    prompt = serializers.JSONField()
    candidates = CandidateInCaseSerializer(many=True)
    questions = serializers.JSONField()


class AnswerInCaseSerializer(serializers.Serializer):
    """`id` is the answer's name in this case alone."""

    id = serializers.CharField()
    number = serializers.IntegerField()
    answers = serializers.JSONField()
    flags = serializers.ListField(child=serializers.CharField())
    verdict = serializers.CharField(allow_null=True)
    comment = serializers.CharField(allow_blank=True)


class WholeCaseSerializer(CaseSerializer):
    """A case with all that is needed to settle it, blind."""

    lease_expires_at = serializers.DateTimeField(allow_null=True)
    mine = serializers.BooleanField()
    comment = serializers.CharField(allow_blank=True)
    content = ContentSerializer()
    answers = AnswerInCaseSerializer(many=True)
    stands = serializers.JSONField(allow_null=True, help_text="the settlement in force")


class WatchedSerializer(serializers.ModelSerializer[Watched]):
    annotator = serializers.CharField(source="actor.public_id")
    pseudonym = serializers.CharField(source="actor.pseudonym")
    by = serializers.CharField(source="by.public_id")

    class Meta:
        model = Watched
        fields = ["annotator", "pseudonym", "rate", "since", "by", "reason"]


class AuthorSerializer(serializers.Serializer):
    answer = serializers.CharField()
    actor = serializers.CharField()
    pseudonym = serializers.CharField()


class RulingSerializer(serializers.Serializer):
    """What a reviewer said of one's own answer, and what stands for the task now; sides as one saw them."""

    annotation = serializers.CharField()
    task = serializers.CharField()
    verdict = serializers.ChoiceField(Ruling.Verdict.choices)
    comment = serializers.CharField(allow_blank=True)
    case_comment = serializers.CharField(allow_blank=True)
    cause = serializers.CharField(allow_blank=True)
    prompt = serializers.JSONField()
    data = serializers.JSONField()  # type: ignore[assignment]
    candidates = CandidateInCaseSerializer(many=True)
    answers = serializers.JSONField()
    stands = serializers.JSONField(allow_null=True)
    at = serializers.DateTimeField()
    read = serializers.BooleanField()


class ReadAnswerSerializer(serializers.Serializer):
    read = serializers.IntegerField()
    unread = serializers.IntegerField()


class TaskReviewSerializer(serializers.Serializer):
    """What review made of a task so far."""

    case = serializers.CharField()
    task = serializers.CharField()
    resolution = serializers.ChoiceField([value.name.lower() for value in Task.Resolution])
