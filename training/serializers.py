"""Shapes of this floor's API."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from ground.api import StrictSerializer
from training.models import Run


class PromptsField(serializers.Field[Any, Any, Any, Any]):
    """`held_out`, `training`, or a list of prompt ids."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, str) or (isinstance(data, list) and data and all(isinstance(name, str) for name in data)):
            return data
        raise serializers.ValidationError("Send held_out, training, or a list of prompt ids.")

    def to_representation(self, value: Any) -> Any:
        return value


class RunIn(StrictSerializer):
    """What a method needs stands in GET /api/v1/methods. Versions as `ver_…`, `slug@number` or `slug@alias`."""

    method = serializers.ChoiceField(choices=Run.Method.choices)
    base = serializers.CharField(required=False, allow_null=True, max_length=160)
    snapshot = serializers.CharField(required=False, allow_null=True, max_length=60)
    reward = serializers.CharField(required=False, allow_null=True, max_length=160)
    baseline = serializers.CharField(required=False, allow_null=True, max_length=160)
    prompts = PromptsField(required=False, allow_null=True)
    model = serializers.SlugField(required=False, max_length=80, help_text="the model that the result is a version of")
    hyperparameters = serializers.DictField(required=False)
    parallelism = serializers.DictField(required=False)
    checkpoint = serializers.DictField(required=False)
    sampling = serializers.DictField(required=False)
    seed = serializers.IntegerField(required=False, min_value=0, max_value=2**32 - 1, default=0)


class RunOut(serializers.ModelSerializer[Run]):
    id = serializers.CharField(source="public_id")
    job = serializers.CharField(source="job.public_id")
    state = serializers.CharField(source="job.state")
    base = serializers.CharField(source="base.public_id", allow_null=True, default=None)
    snapshot = serializers.CharField(source="snapshot.public_id", allow_null=True, default=None)
    version = serializers.CharField(source="output.public_id", allow_null=True, default=None)
    progress = serializers.JSONField(source="job.progress")
    error = serializers.JSONField(source="job.error", allow_null=True)
    attempt = serializers.IntegerField(source="job.attempt")
    started_at = serializers.DateTimeField(source="job.started_at", allow_null=True)
    finished_at = serializers.DateTimeField(source="job.finished_at", allow_null=True)
    cancel_requested = serializers.SerializerMethodField()
    launcher = serializers.SerializerMethodField()
    world_size = serializers.SerializerMethodField()
    zero_stage = serializers.SerializerMethodField()
    seconds = serializers.SerializerMethodField()

    class Meta:
        model = Run
        fields = [
            *("id", "number", "method", "state", "job", "base", "snapshot", "version", "settings", "progress"),
            *(
                "launcher",
                "world_size",
                "zero_stage",
                "seconds",
                "error",
                "attempt",
                "cancel_requested",
                "created_at",
                "started_at",
                "finished_at",
                "folder",
            ),
        ]

    def get_cancel_requested(self, run: Run) -> bool:
        return run.job.cancel_requested_at is not None

    def get_launcher(self, run: Run) -> str | None:
        return self._reported(run, "launcher")

    def get_world_size(self, run: Run) -> int | None:
        return self._reported(run, "world_size")

    def get_zero_stage(self, run: Run) -> int | None:
        return self._reported(run, "zero_stage")

    def get_seconds(self, run: Run) -> float | None:
        return self._reported(run, "seconds")

    @staticmethod
    def _reported(run: Run, name: str) -> Any:
        """What the engine said when it was done; null before."""
        return (run.job.result or {}).get(name)


class RunDetail(RunOut):
    """`result` is what the engine wrote last: metrics, launcher, world size, ZeRO stage, seconds, memory, artifact."""

    result = serializers.JSONField(source="job.result", allow_null=True)
    evaluation = serializers.SerializerMethodField()

    class Meta(RunOut.Meta):
        fields = [*RunOut.Meta.fields, "result", "evaluation"]

    def get_evaluation(self, run: Run) -> str | None:
        evaluation = getattr(run.job, "evaluation", None)
        return evaluation.public_id if evaluation else None


class RunPage(serializers.Serializer[Any]):
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = RunOut(many=True)


class RunFilter(StrictSerializer):
    method = serializers.ChoiceField(choices=Run.Method.choices, required=False)
    state = serializers.CharField(required=False, max_length=12)
    limit = serializers.IntegerField(required=False, min_value=1, max_value=1000)
    cursor = serializers.CharField(required=False)


class MetricsQuery(StrictSerializer):
    names = serializers.CharField(required=False, help_text="comma-separated; all without it")


class MetricsOut(serializers.Serializer[Any]):
    series = serializers.DictField(
        child=serializers.ListField(child=serializers.ListField(child=serializers.FloatField())),
        help_text="[step, value] by metric; a step that was run again counts once",
    )
    names = serializers.ListField(child=serializers.CharField())


class LogQuery(StrictSerializer):
    bytes = serializers.IntegerField(required=False, min_value=1, max_value=1_000_000, default=32_000)


class LogOut(serializers.Serializer[Any]):
    log = serializers.CharField(help_text="the end of what the run's processes printed")


class SettingOut(serializers.Serializer[Any]):
    name = serializers.CharField()
    type = serializers.CharField()
    default = serializers.JSONField(allow_null=True)
    help = serializers.CharField()
    minimum = serializers.FloatField(required=False)
    above = serializers.FloatField(required=False)
    maximum = serializers.FloatField(required=False)
    choices = serializers.ListField(required=False)


class MethodOut(serializers.Serializer[Any]):
    method = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    uses = serializers.ListField(child=serializers.CharField())
    hyperparameters = SettingOut(many=True)
    parallelism = SettingOut(many=True)
    checkpoint = SettingOut(many=True)


class LoopOut(serializers.Serializer[Any]):
    stations = serializers.JSONField()
    win_rate = serializers.JSONField(allow_null=True)
    numbers = serializers.JSONField()
