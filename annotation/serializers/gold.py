"""Shapes of the API of gold and standings."""

from typing import Any

from rest_framework import serializers

from annotation.models import GoldKey, Standing, Task
from annotation.selectors.gold import is_doubtful
from annotation.serializers.queue import PairSerializer
from annotation.services.gold_keys import LONGEST_EXPLANATION
from annotation.services.standings import LONGEST_REASON
from ground.api import StrictSerializer

_EXPLANATION: dict[str, Any] = {"max_length": LONGEST_EXPLANATION, "allow_blank": True}


class NewGoldSerializer(StrictSerializer):
    """Either `data` under a `schema` that shows fields, or a `pair` of completions."""

    queue = serializers.CharField(max_length=60, help_text="id of the queue it checks")
    schema = serializers.CharField(max_length=60, required=False, help_text="id; needed with data")
    data = serializers.JSONField(required=False)  # type: ignore[assignment]
    pair = PairSerializer(required=False)
    answers = serializers.JSONField(help_text="the key: an answer under the schema, of a pair in the order given here")
    explanation = serializers.CharField(default="", **_EXPLANATION)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("data" in attrs) == ("pair" in attrs):
            raise serializers.ValidationError("Send either data or a pair.")
        if "data" in attrs and "schema" not in attrs:
            raise serializers.ValidationError({"schema": "Name the schema that shows the data."})
        return attrs


class GoldKeySerializer(StrictSerializer):
    answers = serializers.JSONField()
    explanation = serializers.CharField(default="", **_EXPLANATION)


class PromotionSerializer(StrictSerializer):
    task = serializers.CharField(max_length=60, help_text="id of a complete task whose answers agree")
    queue = serializers.CharField(max_length=60, required=False, help_text="id; without it the task's own")
    explanation = serializers.CharField(default="", **_EXPLANATION)


class GoldSerializer(serializers.Serializer):
    id = serializers.CharField()
    queue = serializers.CharField()
    schema = serializers.CharField()
    data = serializers.JSONField()  # type: ignore[assignment]
    prompt = serializers.JSONField(allow_null=True)
    answers = serializers.JSONField()
    explanation = serializers.CharField()
    source = serializers.ChoiceField(choices=GoldKey.Source.choices)  # type: ignore[assignment]
    promoted_from = serializers.CharField(allow_null=True)
    retired = serializers.BooleanField()
    answered = serializers.IntegerField(help_text="answers that count")
    right = serializers.FloatField(allow_null=True, help_text="their mean score, 0 to 1")
    doubtful = serializers.BooleanField(help_text="most people miss it: look whether the key is right")
    created_at = serializers.DateTimeField()


class PromotableSerializer(serializers.Serializer):
    task = serializers.CharField()
    queue = serializers.CharField()
    answers = serializers.IntegerField()
    agreement = serializers.FloatField()


class StandingSerializer(serializers.Serializer):
    actor = serializers.CharField()
    name = serializers.CharField()
    queue = serializers.CharField()
    state = serializers.ChoiceField(choices=[state.name.lower() for state in Standing.State])
    right = serializers.FloatField(help_text="sum of the scores looked at")
    answered = serializers.IntegerField(help_text="gold answers looked at")
    reason = serializers.CharField()
    changed_at = serializers.DateTimeField()


class OwnStandingSerializer(serializers.Serializer):
    queue = serializers.CharField(help_text="its name")
    state = serializers.ChoiceField(choices=[state.name.lower() for state in Standing.State])
    reason = serializers.CharField()
    changed_at = serializers.DateTimeField()


class StandingActionSerializer(StrictSerializer):
    actor = serializers.CharField(max_length=60)
    queue = serializers.CharField(max_length=60)
    reason = serializers.CharField(max_length=LONGEST_REASON)


def gold_json(task: Any) -> dict[str, Any]:
    """`task` comes from `selectors_gold.gold_of`."""
    origin = task.gold.promoted_from
    return {
        "id": task.public_id,
        "queue": task.queue.public_id,
        "schema": task.schema.public_id,
        "data": {name: value for name, value in task.data.items() if name != "schema_version"},
        "prompt": task.prompt.messages if task.prompt else None,
        "answers": task.gold.answers,
        "explanation": task.gold.explanation,
        "source": task.gold.source,
        "promoted_from": origin.public_id if origin else None,
        "retired": task.state == Task.State.ARCHIVED,
        "answered": task.tried,
        "right": task.right,
        "doubtful": is_doubtful(task),
        "created_at": task.created_at.isoformat(),
    }


def standing_json(standing: Standing) -> dict[str, Any]:
    return {
        "actor": standing.actor.public_id,
        "name": standing.actor.pseudonym,
        "queue": standing.queue.public_id,
        "state": Standing.State(standing.state).name.lower(),
        "right": standing.right,
        "answered": standing.answered,
        "reason": standing.reason,
        "changed_at": standing.changed_at.isoformat(),
    }


def own_standing_json(standing: Standing) -> dict[str, Any]:
    return {
        "queue": standing.queue.name,
        "state": Standing.State(standing.state).name.lower(),
        "reason": standing.reason,
        "changed_at": standing.changed_at.isoformat(),
    }
