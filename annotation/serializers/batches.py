"""Shapes of the API of batches."""

from dataclasses import asdict
from typing import Any

from rest_framework import serializers

from annotation.models import Batch
from annotation.selectors.batches import Progress, forecast_words, is_late
from annotation.serializers.queues import MOST_TASKS
from annotation.services.batches import LONGEST_NAME, LONGEST_NOTE, MOST_BUDGET
from ground.api import StrictSerializer
from measures.forecast import Forecast


class BatchInSerializer(StrictSerializer):
    name = serializers.CharField(max_length=LONGEST_NAME)
    note = serializers.CharField(max_length=LONGEST_NOTE, allow_blank=True, required=False)
    due_on = serializers.DateField(allow_null=True, required=False)
    budget = serializers.IntegerField(
        min_value=0, max_value=MOST_BUDGET, allow_null=True, required=False, help_text="judgements at most; null: all"
    )


class ProgressSerializer(serializers.Serializer):
    wanted = serializers.IntegerField(help_text="judgements in all, no more than the budget")
    done = serializers.IntegerField()
    in_hand = serializers.IntegerField()
    open = serializers.IntegerField()
    held = serializers.IntegerField(help_text="places the budget does not pay for")
    remaining = serializers.IntegerField()


class ForecastSerializer(serializers.Serializer):
    """Days from now; rates a day with a 95 % t interval over the last `over` spans of 24 hours."""

    per_day = serializers.FloatField()
    low = serializers.FloatField()
    high = serializers.FloatField()
    days = serializers.FloatField()
    soonest = serializers.FloatField()
    latest = serializers.FloatField(allow_null=True)
    over = serializers.IntegerField()


class BatchOutSerializer(BatchInSerializer):
    id = serializers.CharField()
    state = serializers.CharField(help_text="running, paused or archived")
    progress = ProgressSerializer()
    late = serializers.BooleanField(help_text="the due date has passed and something remains")
    forecast = ForecastSerializer(allow_null=True, help_text="null: too little work to tell, or not running")
    forecast_sentence = serializers.CharField()
    created_at = serializers.DateTimeField()


class BatchEditedSerializer(BatchOutSerializer):
    overshoot = serializers.IntegerField(help_text="judgements given or in hand beyond the budget; they are kept")


class BatchTasksSerializer(StrictSerializer):
    tasks = serializers.ListField(child=serializers.CharField(max_length=60), min_length=1, max_length=MOST_TASKS)


class BatchMovedSerializer(serializers.Serializer):
    moved = serializers.IntegerField()


def batch_json(batch: Batch, progress: Progress, forecast: Forecast | None) -> dict[str, Any]:
    return {
        "id": batch.public_id,
        "name": batch.name,
        "note": batch.note,
        "due_on": batch.due_on.isoformat() if batch.due_on else None,
        "budget": batch.budget,
        "state": Batch.State(batch.state).name.lower(),
        "progress": {**asdict(progress), "remaining": progress.remaining},
        "late": is_late(batch, progress),
        "forecast": asdict(forecast) if forecast else None,
        "forecast_sentence": forecast_words(batch, progress, forecast),
        "created_at": batch.created_at.isoformat(),
    }
