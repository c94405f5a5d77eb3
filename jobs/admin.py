"""Read-mostly: whoever looks after the instance sees the rows; changes go through services."""

from django.contrib import admin

from ground.admin import ReadOnly
from jobs.models import Beat, Delivery, Device, Job, Webhook


@admin.register(Job)
class JobAdmin(ReadOnly):
    list_display = ["public_id", "kind", "state", "attempt", "project", "queued_at", "started_at", "finished_at"]
    list_filter = ["state", "kind"]
    search_fields = ["public_id"]
    list_select_related = ["project"]


@admin.register(Device)
class DeviceAdmin(ReadOnly):
    list_display = ["host", "kind", "ordinal", "job"]
    list_select_related = ["job"]


@admin.register(Beat)
class BeatAdmin(ReadOnly):
    list_display = ["name", "due_at"]


@admin.register(Webhook)
class WebhookAdmin(ReadOnly):
    list_display = ["public_id", "project", "url", "paused", "retired_at"]
    exclude = ["secret"]


@admin.register(Delivery)
class DeliveryAdmin(ReadOnly):
    list_display = ["public_id", "webhook", "event", "state", "attempts", "status", "sent_at"]
    list_filter = ["state", "event"]
    list_select_related = ["webhook"]
