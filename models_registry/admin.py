"""Read-mostly: a look behind the pages. What must never change cannot be changed here either."""

from django.contrib import admin

from ground.admin import ReadOnly
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


@admin.register(Model)
class ModelAdmin(ReadOnly):
    list_display = ["slug", "name", "project", "created_at"]
    search_fields = ["slug", "name"]


@admin.register(ModelVersion)
class VersionAdmin(ReadOnly):
    list_display = ["public_id", "model", "number", "kind", "digest", "created_at"]
    list_select_related = ["model"]


@admin.register(Alias)
class AliasAdmin(ReadOnly):
    list_display = ["model", "name", "version", "generation"]
    list_select_related = ["model", "version__model"]


@admin.register(Deployment)
class DeploymentAdmin(ReadOnly):
    list_display = ["public_id", "version", "backend", "state", "wanted", "heartbeat_at"]
    list_select_related = ["version__model"]
    exclude = ["api_key"]


@admin.register(Prompt)
class PromptAdmin(ReadOnly):
    list_display = ["public_id", "project", "held_out", "created_at"]
    list_select_related = ["project"]


@admin.register(Completion, Evaluation, Verdict, AliasMove)
class RecordAdmin(ReadOnly):
    list_display = ["__str__", "created_at"]
