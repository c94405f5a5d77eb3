"""The shapes of this floor's API. Reading shapes are models' own; writing shapes refuse what they do not know."""

from typing import Any

from rest_framework import serializers

from ground.api import StrictSerializer
from models_registry.models import (
    Alias,
    AliasMove,
    Completion,
    Deployment,
    Evaluation,
    Model,
    ModelVersion,
    Prompt,
    Verdict,
)


class PromptOut(serializers.ModelSerializer[Prompt]):
    id = serializers.CharField(source="public_id")

    class Meta:
        model = Prompt
        fields = ["id", "external_id", "messages", "metadata", "held_out", "created_at"]


class PromptRows(StrictSerializer):
    rows = serializers.ListField(
        child=serializers.JSONField(),
        help_text="each {prompt: text | messages: [{role, content}], external_id?, held_out?, metadata?}",
    )


class RowResult(serializers.Serializer[Any]):
    index = serializers.IntegerField()
    status = serializers.ChoiceField(["created", "existing", "invalid"])
    id = serializers.CharField(required=False)
    error = serializers.CharField(required=False)


class RowResults(serializers.Serializer[Any]):
    results = RowResult(many=True)


class CompletionOut(serializers.ModelSerializer[Completion]):
    id = serializers.CharField(source="public_id")
    prompt = serializers.CharField(source="prompt.public_id")
    version = serializers.CharField(source="version.public_id", allow_null=True, default=None)
    job = serializers.CharField(source="job.public_id", allow_null=True, default=None)

    class Meta:
        model = Completion
        fields = [
            *("id", "prompt", "source", "version", "text", "sampling", "finish_reason", "usage", "job"),
            *("external_id", "alias", "created_at"),
        ]


class CompletionFilter(serializers.Serializer[Any]):
    prompt = serializers.CharField(required=False)
    version = serializers.CharField(required=False)
    job = serializers.CharField(required=False)
    source = serializers.ChoiceField(choices=Completion.Source.choices, required=False)  # type: ignore[assignment]


class AliasOut(serializers.ModelSerializer[Alias]):
    id = serializers.CharField(source="public_id")
    model = serializers.CharField(source="model.slug")
    version = serializers.CharField(source="version.public_id")
    number = serializers.IntegerField(source="version.number")
    verdict = serializers.CharField(source="verdict.public_id", allow_null=True, default=None)

    class Meta:
        model = Alias
        fields = ["id", "model", "name", "version", "number", "verdict", "generation"]


class MoveOut(serializers.ModelSerializer[AliasMove]):
    alias = serializers.CharField(source="alias.name")
    from_version = serializers.CharField(source="from_version.public_id", allow_null=True, default=None)
    to_version = serializers.CharField(source="to_version.public_id")
    verdict = serializers.CharField(source="verdict.public_id", allow_null=True, default=None)
    actor = serializers.CharField(source="actor.public_id", allow_null=True, default=None)

    class Meta:
        model = AliasMove
        fields = ["alias", "from_version", "to_version", "verdict", "generation", "actor", "reason", "created_at"]


class VersionOut(serializers.ModelSerializer[ModelVersion]):
    id = serializers.CharField(source="public_id")
    model = serializers.CharField(source="model.slug")
    parent = serializers.CharField(  # type: ignore[assignment]
        source="parent.public_id", allow_null=True, default=None
    )

    class Meta:
        model = ModelVersion
        fields = [
            "id",
            "model",
            "number",
            "kind",
            "parent",
            "digest",
            "files",
            "lineage",
            "metrics",
            "card",
            "created_at",
        ]


class ModelOut(serializers.ModelSerializer[Model]):
    id = serializers.CharField(source="public_id")
    library = serializers.SerializerMethodField()
    aliases = AliasOut(many=True)

    class Meta:
        model = Model
        fields = ["id", "slug", "name", "library", "aliases", "created_at"]

    def get_library(self, model: Model) -> bool:
        return model.project_id is None


class ModelDetail(ModelOut):
    versions = VersionOut(many=True)
    moves = serializers.SerializerMethodField()

    class Meta(ModelOut.Meta):
        fields = [*ModelOut.Meta.fields, "versions", "moves"]

    def get_moves(self, model: Model) -> list[dict[str, Any]]:
        moves = AliasMove.objects.filter(alias__model=model).order_by("-id")[:100]
        return MoveOut(moves.select_related("alias", "from_version", "to_version", "verdict", "actor"), many=True).data  # type: ignore[return-value]


class EvaluationOut(serializers.ModelSerializer[Evaluation]):
    id = serializers.CharField(source="public_id")
    version = serializers.CharField(source="version.public_id")
    baseline = serializers.CharField(source="baseline.public_id", allow_null=True, default=None)
    job = serializers.CharField(source="job.public_id", allow_null=True, default=None)

    class Meta:
        model = Evaluation
        fields = ["id", "version", "baseline", "judge", "job", "spec", "metrics", "created_at"]


class VerdictOut(serializers.ModelSerializer[Verdict]):
    id = serializers.CharField(source="public_id")
    version = serializers.CharField(source="version.public_id")
    champion = serializers.CharField(source="champion.public_id", allow_null=True, default=None)
    evaluation = serializers.CharField(source="evaluation.public_id", allow_null=True, default=None)

    class Meta:
        model = Verdict
        fields = ["id", "version", "champion", "evaluation", "outcome", "reason", "evidence", "created_at"]


class VerdictIn(StrictSerializer):
    evaluation = serializers.CharField(required=False, max_length=60)
    version = serializers.CharField(required=False, max_length=160)
    outcome = serializers.ChoiceField(
        choices=[Verdict.Outcome.OVERRIDE.value, Verdict.Outcome.BOOTSTRAP.value], required=False
    )
    reason = serializers.CharField(required=False, allow_blank=True, max_length=5000, default="")


class MoveIn(StrictSerializer):
    version = serializers.CharField(max_length=160)
    verdict = serializers.CharField(required=False, allow_null=True, max_length=60)
    expected_generation = serializers.IntegerField(min_value=0, max_value=2_000_000_000)
    reason = serializers.CharField(required=False, allow_blank=True, max_length=5000, default="")


class RollbackIn(StrictSerializer):
    expected_generation = serializers.IntegerField(min_value=1, max_value=2_000_000_000, required=False)
    reason = serializers.CharField(required=False, allow_blank=True, max_length=5000, default="")


class DeploymentOut(serializers.ModelSerializer[Deployment]):
    id = serializers.CharField(source="public_id")
    version = serializers.CharField(source="version.public_id", allow_null=True, default=None)

    class Meta:
        model = Deployment
        fields = ["id", "version", "backend", "state", "wanted", "error", "remote_model", "ready_at", "created_at"]


class DeploymentIn(StrictSerializer):
    version = serializers.CharField(required=False, max_length=160)
    backend = serializers.ChoiceField(choices=Deployment.Backend.choices)
    url = serializers.URLField(required=False, max_length=200)
    remote_model = serializers.CharField(required=False, max_length=300)
    api_key = serializers.CharField(required=False, max_length=500, write_only=True)
