"""Shapes of this floor's API."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from ground.api import StrictSerializer
from jobs.models import Job
from training.costs import Cost, cost_of
from training.models import Run
from training.pages.runs import seconds_left


class NamesField(serializers.Field[Any, Any, Any, Any]):
    """A word for some of them, or a list of ids."""

    def __init__(self, words: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.words = words

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, str) or (isinstance(data, list) and data and all(isinstance(name, str) for name in data)):
            return data
        raise serializers.ValidationError(f"Send {self.words}, or a list of ids.")

    def to_representation(self, value: Any) -> Any:
        return value


class RunIn(StrictSerializer):
    """What a method needs stands in GET /api/v1/methods. Versions as `ver_…`, `slug@number` or `slug@alias`."""

    method = serializers.ChoiceField(choices=Run.Method.choices)
    base = serializers.CharField(required=False, allow_null=True, max_length=160)
    snapshot = serializers.CharField(required=False, allow_null=True, max_length=60)
    reward = serializers.CharField(required=False, allow_null=True, max_length=160)
    baseline = serializers.CharField(required=False, allow_null=True, max_length=160)
    prompts = NamesField("held_out, training", required=False, allow_null=True)
    texts = NamesField(
        "open, all, corpus:NAME", required=False, allow_null=True, help_text="tasks to read, or a corpus"
    )
    model = serializers.SlugField(required=False, max_length=80, help_text="the model that the result is a version of")
    hyperparameters = serializers.DictField(required=False)
    parallelism = serializers.DictField(required=False)
    checkpoint = serializers.DictField(required=False)
    sampling = serializers.DictField(required=False)
    seed = serializers.IntegerField(required=False, min_value=0, max_value=2**32 - 1, default=0)
    target = serializers.CharField(
        required=False, allow_null=True, max_length=80, help_text="a target's name or id; without it, this machine"
    )
    preflight_override = serializers.CharField(
        required=False, max_length=500, help_text="why it may start whatever preflight finds; kept with the run"
    )


class CostOut(serializers.Serializer[Any]):
    device_seconds = serializers.FloatField(help_text="devices times seconds in which the run held them, all attempts")
    devices = serializers.IntegerField()
    kind = serializers.CharField(help_text="cpu (one device, however many processes) or gpu")
    watts = serializers.FloatField(help_text="assumed of each device; set by whoever operates the machine")
    kilowatt_hours = serializers.FloatField(help_text="an estimate: device-seconds times watts")


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
    cost = serializers.SerializerMethodField()
    seconds_left = serializers.SerializerMethodField(help_text="by the pace so far; null where nothing tells")

    class Meta:
        model = Run
        fields = [
            *("id", "number", "method", "state", "job", "base", "snapshot", "version", "settings", "progress"),
            *(
                "launcher",
                "world_size",
                "zero_stage",
                "seconds",
                "cost",
                "seconds_left",
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

    @extend_schema_field(CostOut)
    def get_cost(self, run: Run) -> dict[str, Any]:
        """Until now. A list brings the costs of all its rows along; a row alone asks for its own."""
        known: dict[int, Cost] = self.context.get("costs") or {}
        return CostOut(known.get(run.pk) or cost_of(run)).data

    def get_seconds_left(self, run: Run) -> float | None:
        left = seconds_left(run) if run.job.state == Job.State.RUNNING else None
        return None if left is None else round(left, 1)

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


class SampleOut(serializers.Serializer[Any]):
    step = serializers.IntegerField(allow_null=True)
    text = serializers.CharField()
    ended = serializers.BooleanField(help_text="false: cut off at its longest")


class ShownOut(serializers.Serializer[Any]):
    prompt = serializers.CharField()
    texts = SampleOut(many=True)


class SamplesOut(serializers.Serializer[Any]):
    results = ShownOut(many=True)


class CompareQuery(StrictSerializer):
    runs = serializers.CharField(max_length=400, help_text="comma-separated ids, up to six")


class ComparedRow(serializers.Serializer[Any]):
    name = serializers.CharField(help_text="dotted: hyperparameters.beta")
    values = serializers.ListField(child=serializers.JSONField(allow_null=True), help_text="null where a run has none")


class CompareOut(serializers.Serializer[Any]):
    runs = serializers.ListField(child=serializers.CharField())
    differences = ComparedRow(many=True)
    finals = ComparedRow(many=True)
    series = serializers.DictField(
        child=serializers.DictField(child=serializers.JSONField()), help_text="by run, by metric: [[step, value], …]"
    )


class PredictionsQuery(StrictSerializer):
    after = serializers.IntegerField(required=False, min_value=0, default=0, help_text="rows to leave out")
    limit = serializers.IntegerField(required=False, min_value=1, max_value=1000, default=100)


class PredictionsOut(serializers.Serializer[Any]):
    results = serializers.ListField(
        child=serializers.JSONField(),
        help_text="{id of the task, labels, scores} or {id, spans: [{start, end, label, score}]} in code points",
    )
    next = serializers.IntegerField(allow_null=True, help_text="`after` of the next page")


class LogQuery(StrictSerializer):
    bytes = serializers.IntegerField(required=False, min_value=1, max_value=1_000_000, default=32_000)


class LogOut(serializers.Serializer[Any]):
    log = serializers.CharField(help_text="the end of what the run's processes printed")


class LogLinesQuery(StrictSerializer):
    file = serializers.CharField(required=False, default="launcher.log", max_length=200)
    q = serializers.CharField(required=False, default="", allow_blank=True, max_length=200, help_text="case aside")
    after = serializers.IntegerField(
        required=False, min_value=0, help_text="the first lines after this one; without it the last lines"
    )
    limit = serializers.IntegerField(required=False, min_value=1, max_value=1000, default=200)


class LogLineOut(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    text = serializers.CharField()


class LogLinesOut(serializers.Serializer[Any]):
    files = serializers.ListField(child=serializers.CharField())
    results = LogLineOut(many=True)
    more = serializers.BooleanField(help_text="ask again with `after` set to the last number you have")


class LogFileQuery(StrictSerializer):
    file = serializers.CharField(required=False, default="launcher.log", max_length=200)


class SettingOut(serializers.Serializer[Any]):
    name = serializers.CharField()
    type = serializers.CharField()
    default = serializers.JSONField(allow_null=True)
    help = serializers.CharField()
    minimum = serializers.FloatField(required=False)
    above = serializers.FloatField(required=False)
    maximum = serializers.FloatField(required=False)
    choices = serializers.ListField(required=False)
    default_by_size = serializers.ListField(
        required=False,
        help_text="what null stands for, by the base's size: from_parameters, and with_adapters and all_weights, or on",
    )


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
