"""Long work as rows: the row is the truth, the message only a nudge."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.models import Actor, Project
from ground import clock
from ground.fields import EncryptedTextField, PublicIdField, VersionedJSONField
from ground.models import Row


class JobQuerySet(models.QuerySet["Job"]):
    def waiting(self) -> JobQuerySet:
        return self.filter(state=Job.State.QUEUED)

    def running(self) -> JobQuerySet:
        return self.filter(state=Job.State.RUNNING)

    def abandoned(self) -> JobQuerySet:
        """Running, but nobody renews the lease any more."""
        return self.running().filter(lease_expires_at__lt=clock.now())


class Job(Row):
    """One piece of long work. `kind` names a registered Kind; `spec` is its typed, versioned input."""

    class State(models.TextChoices):
        QUEUED = "queued", _("queued")
        RUNNING = "running", _("running")
        SUCCEEDED = "succeeded", _("succeeded")
        FAILED = "failed", _("failed")
        CANCELLED = "cancelled", _("cancelled")

    FINAL = (State.SUCCEEDED, State.FAILED, State.CANCELLED)

    public_id = PublicIdField(prefix="job")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, null=True, blank=True, related_name="jobs")
    actor = models.ForeignKey(Actor, on_delete=models.PROTECT, null=True, blank=True, related_name="jobs")
    kind = models.CharField(max_length=40)
    spec = VersionedJSONField()
    state = models.CharField(max_length=12, choices=State.choices, default=State.QUEUED)
    key = models.CharField(max_length=120, blank=True, help_text="idempotency key, unique per project and kind")
    devices = models.PositiveSmallIntegerField(default=0, help_text="counted devices this job needs while it runs")

    attempt = models.PositiveSmallIntegerField(default=0)
    max_attempts = models.PositiveSmallIntegerField(default=3)
    not_before = models.DateTimeField(default=clock.now)
    lease_token = models.UUIDField(
        null=True, blank=True, help_text="fencing token: a writer without it has lost the job"
    )
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)

    process = models.JSONField(
        default=dict, blank=True, help_text="host, supervisor and launcher process, for adoption"
    )
    progress = models.JSONField(default=dict, blank=True)
    result = models.JSONField(null=True, blank=True)
    error = models.JSONField(null=True, blank=True, help_text="class, message, hint")
    queued_at = models.DateTimeField(default=clock.now)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["not_before"], condition=Q(state="queued"), name="job_queued"),
            models.Index(fields=["lease_expires_at"], condition=Q(state="running"), name="job_running_lease"),
            models.Index(fields=["project", "-id"], name="job_by_project"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["project", "kind", "key"], condition=~Q(key=""), name="job_once_per_key"),
            models.CheckConstraint(
                condition=Q(state="running", lease_token__isnull=False) | (~Q(state="running") & Q(lease_token=None)),
                name="job_lease_iff_running",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["queued", "running"], finished_at=None)
                | Q(state__in=["succeeded", "failed", "cancelled"], finished_at__isnull=False),
                name="job_finished_iff_final",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.public_id}"

    @property
    def is_final(self) -> bool:
        return self.state in self.FINAL


class JobEvent(models.Model):
    """A line of the run's events.jsonl, in the database once: (job, seq) is the line's own number."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="events")
    seq = models.PositiveIntegerField()
    at = models.DateTimeField()
    kind = models.CharField(max_length=20)
    step = models.PositiveIntegerField(null=True)
    data = models.JSONField(default=dict)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["job", "seq"], name="job_event_once")]
        indexes = [models.Index(fields=["job", "kind", "seq"], name="job_event_by_kind")]


class Device(models.Model):
    """One counted place to compute on one machine: a GPU, or the machine's CPU. Held by at most one job."""

    host = models.CharField(max_length=120)
    ordinal = models.PositiveSmallIntegerField()
    kind = models.CharField(max_length=8, choices=[("cpu", "CPU"), ("gpu", "GPU")])
    job = models.ForeignKey(Job, on_delete=models.SET_NULL, null=True, blank=True, related_name="held_devices")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["host", "kind", "ordinal"], name="device_once")]


class Outbox(models.Model):
    """Something that happened, for one consumer, written in the transaction in which it happened.

    The consumer deletes the row in the transaction that does its work, so no watermark can pass a late commit.
    """

    consumer = models.CharField(max_length=40)
    topic = models.CharField(max_length=60)
    object_id = models.BigIntegerField()
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        indexes = [models.Index(fields=["consumer", "id"], name="outbox_by_consumer")]


class Beat(models.Model):
    """When a periodic duty is next due; a conditional update on it lets one of many tick processes do it."""

    name = models.CharField(max_length=60, primary_key=True)
    due_at = models.DateTimeField()


class Webhook(Row):
    """An address outside that is told what happens in a project. Retired, never deleted: its deliveries name it."""

    public_id = PublicIdField(prefix="whk")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="webhooks")
    actor = models.ForeignKey(Actor, on_delete=models.PROTECT, related_name="webhooks")
    url = models.CharField(max_length=500)
    secret = EncryptedTextField(help_text="whsec_ and base64, as receivers' libraries read it")
    events = models.JSONField(default=list, help_text="names of events")
    paused = models.BooleanField(default=False)
    retired_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.url


class Delivery(Row):
    """One message to one webhook. Its id and body stay the same however often it is sent, so receivers can drop doubles."""

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        DELIVERED = "delivered", _("delivered")
        FAILED = "failed", _("failed")

    public_id = PublicIdField(prefix="msg")
    webhook = models.ForeignKey(Webhook, on_delete=models.PROTECT, related_name="deliveries")
    event = models.CharField(max_length=60)
    body = models.TextField(help_text="JSON, as it is signed")
    state = models.CharField(max_length=12, choices=State.choices, default=State.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0, help_text="since it was last asked for")
    due_at = models.DateTimeField(default=clock.now)
    sent_at = models.DateTimeField(null=True, blank=True, help_text="of the last attempt")
    status = models.PositiveSmallIntegerField(null=True, blank=True, help_text="HTTP status of the last answer")
    error = models.CharField(max_length=300, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["due_at"], condition=Q(state="waiting"), name="delivery_due"),
            models.Index(fields=["webhook", "-id"], name="delivery_by_webhook"),
        ]

    def __str__(self) -> str:
        return f"{self.event} {self.public_id}"
