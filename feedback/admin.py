"""A look at the rows. Nothing is written here: what people said and what was frozen does not change."""

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from feedback.models import FeedbackEvent, Preference, Snapshot


class ReadOnly(admin.ModelAdmin):
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(FeedbackEvent)
class FeedbackEventAdmin(ReadOnly):
    list_display = ("public_id", "project", "kind", "target", "actor", "created_at")
    list_filter = ("kind",)
    list_select_related = ("project", "actor")
    search_fields = ("public_id", "target")


@admin.register(Preference)
class PreferenceAdmin(ReadOnly):
    list_display = ("id", "project", "outcome", "strength", "actor", "created_at", "withdrawn_at")
    list_filter = ("outcome",)
    list_select_related = ("project", "actor")


@admin.register(Snapshot)
class SnapshotAdmin(ReadOnly):
    list_display = ("public_id", "project", "number", "name", "digest", "created_at")
    list_select_related = ("project",)
