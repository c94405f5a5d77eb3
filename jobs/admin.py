"""Read-mostly: whoever looks after the instance sees the rows; changes go through services."""

from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from jobs.models import Beat, Device, Job


class ReadOnlyAdmin(admin.ModelAdmin):
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Job)
class JobAdmin(ReadOnlyAdmin):
    list_display = ["public_id", "kind", "state", "attempt", "project", "queued_at", "started_at", "finished_at"]
    list_filter = ["state", "kind"]
    search_fields = ["public_id"]
    list_select_related = ["project"]


@admin.register(Device)
class DeviceAdmin(ReadOnlyAdmin):
    list_display = ["host", "kind", "ordinal", "job"]
    list_select_related = ["job"]


@admin.register(Beat)
class BeatAdmin(ReadOnlyAdmin):
    list_display = ["name", "due_at"]
