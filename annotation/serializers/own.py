"""Shapes of what belongs to the asker."""

from dataclasses import asdict
from typing import Any

from rest_framework import serializers

from annotation.models import Guideline
from annotation.selectors.own_work import OwnWork
from annotation.selectors.reading import Changes
from ground.api import StrictSerializer


class NoteSerializer(serializers.Serializer):
    id = serializers.CharField()
    task = serializers.CharField(allow_null=True)
    author = serializers.CharField()
    author_name = serializers.CharField()
    text = serializers.CharField()
    created_at = serializers.DateTimeField()
    answer = serializers.CharField()
    answered_at = serializers.DateTimeField(allow_null=True)
    answered_by = serializers.CharField(allow_null=True)
    seen_at = serializers.DateTimeField(allow_null=True)


class NewNoteSerializer(StrictSerializer):
    text = serializers.CharField(max_length=10_000)
    task = serializers.CharField(max_length=60, required=False, allow_blank=True)


class NoteAnswerSerializer(StrictSerializer):
    text = serializers.CharField(max_length=10_000)


class PieceSerializer(serializers.Serializer):
    kind = serializers.ChoiceField(choices=["same", "gone", "come"])
    text = serializers.CharField()


class ReadingSerializer(serializers.Serializer):
    version = serializers.IntegerField(allow_null=True)
    body = serializers.CharField()
    since = serializers.IntegerField(allow_null=True, help_text="the version last read, where something changed")
    sections = serializers.ListField(child=serializers.CharField())
    pieces = PieceSerializer(many=True)


def reading_json(guideline: Guideline | None, changes: Changes | None) -> dict[str, Any]:
    return {
        "version": guideline.version if guideline else None,
        "body": guideline.body if guideline else "",
        "since": changes.since if changes else None,
        "sections": changes.sections if changes else [],
        "pieces": [asdict(piece) for piece in changes.pieces] if changes else [],
    }


class OwnAnswerSerializer(serializers.Serializer):
    id = serializers.CharField()
    task = serializers.CharField()
    created_at = serializers.DateTimeField()
    answers = serializers.JSONField(help_text="candidates as they were shown")
    state = serializers.ChoiceField(choices=["counted", "surplus", "withdrawn", "ruled"])
    verdict = serializers.CharField(allow_null=True)
    replaced_by = serializers.CharField(allow_null=True)
    seconds = serializers.FloatField(allow_null=True)
    fixed = serializers.CharField(help_text="why it cannot be changed any more; empty when it can")


class OwnAnswersSerializer(serializers.Serializer):
    answers = OwnAnswerSerializer(many=True)
    next = serializers.CharField(allow_null=True)


def answers_json(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    told = ("id", "task", "answers", "state", "verdict", "replaced_by", "seconds", "fixed")
    return [{**{name: row[name] for name in told}, "created_at": row["at"]} for row in rows]


class ReplaceSerializer(StrictSerializer):
    answers = serializers.JSONField()
    seconds = serializers.FloatField(min_value=0, max_value=86_400, required=False, allow_null=True)


class ShareSerializer(serializers.Serializer):
    n = serializers.IntegerField()
    estimate = serializers.FloatField(allow_null=True)
    low = serializers.FloatField(allow_null=True)
    high = serializers.FloatField(allow_null=True)


class DaySerializer(serializers.Serializer):
    day = serializers.DateField()
    answers = serializers.IntegerField()
    seconds = serializers.FloatField(allow_null=True)


class OwnWorkSerializer(serializers.Serializer):
    answers = serializers.IntegerField()
    today = serializers.IntegerField()
    seconds = serializers.FloatField()
    pace = serializers.FloatField(allow_null=True, help_text="median seconds of the latest answers")
    paced = serializers.IntegerField(help_text="answers the pace is of")
    agreement = ShareSerializer()
    gold = ShareSerializer(allow_null=True)
    days = DaySerializer(many=True)


def work_json(work: OwnWork) -> dict[str, Any]:
    return asdict(work)


class SensitiveSerializer(serializers.Serializer):
    spared = serializers.BooleanField()
    until = serializers.DateTimeField(allow_null=True, help_text="no sensitive task before then")
    per_hour = serializers.IntegerField(allow_null=True)
    per_day = serializers.IntegerField(allow_null=True)


class SensitiveChangeSerializer(StrictSerializer):
    spared = serializers.BooleanField(required=False)
    per_hour = serializers.IntegerField(min_value=0, max_value=10_000, required=False, allow_null=True)
    per_day = serializers.IntegerField(min_value=0, max_value=10_000, required=False, allow_null=True)
