"""What judgements become: feedback events, preferences projected from them, frozen snapshots."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.models import Actor, Project
from annotation.models import Annotation
from ground.fields import PublicIdField, VersionedJSONField
from ground.models import Row
from jobs.models import Job
from models_registry.models import Completion, Prompt


class FeedbackEvent(Row):
    """What an application sent about a completion. Append-only; a target not known yet is kept and reconciled later."""

    class Kind(models.TextChoices):
        THUMB = "thumb", _("thumb")
        RATING = "rating", _("rating")
        CORRECTION = "correction", _("correction")
        COMPARISON = "comparison", _("comparison")

    public_id = PublicIdField(prefix="fbk")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="feedback")
    actor = models.ForeignKey(Actor, on_delete=models.PROTECT, related_name="feedback")
    kind = models.CharField(max_length=12, choices=Kind.choices)
    target = models.CharField(max_length=60, help_text="completion public id, as sent")
    completion = models.ForeignKey(Completion, on_delete=models.PROTECT, null=True, blank=True, related_name="feedback")
    other_target = models.CharField(max_length=60, blank=True, help_text="the second completion of a comparison")
    other = models.ForeignKey(Completion, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    value = VersionedJSONField()
    comment = models.TextField(blank=True)
    tags = models.JSONField(default=dict, blank=True)
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["project", "-id"], name="feedback_by_project"),
            models.Index(fields=["target"], condition=Q(completion=None), name="feedback_pending"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.public_id}"


class Preference(models.Model):
    """A projection of judgements: rebuildable, never the truth. `outcome` speaks of `first` and `second`."""

    class Outcome(models.TextChoices):
        FIRST = "first", _("first preferred")
        SECOND = "second", _("second preferred")
        TIE = "tie", _("equal")
        NEITHER = "neither", _("both bad")

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="preferences")
    annotation = models.ForeignKey(
        Annotation, on_delete=models.PROTECT, null=True, blank=True, related_name="preferences"
    )
    event = models.ForeignKey(
        FeedbackEvent, on_delete=models.PROTECT, null=True, blank=True, related_name="preferences"
    )
    projector = models.PositiveSmallIntegerField(help_text="version of the projection that made this row")
    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="preferences")
    first = models.ForeignKey(Completion, on_delete=models.PROTECT, related_name="+")
    second = models.ForeignKey(Completion, on_delete=models.PROTECT, related_name="+")
    outcome = models.CharField(max_length=8, choices=Outcome.choices)
    strength = models.PositiveSmallIntegerField(null=True, blank=True, help_text="1 slightly, 2 clearly, 3 much")
    first_shown_first = models.BooleanField(null=True, help_text="whether `first` stood first on the screen")
    actor = models.ForeignKey(Actor, on_delete=models.PROTECT, related_name="preferences")
    created_at = models.DateTimeField()
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["annotation", "projector"], name="preference_once_per_annotation"),
            models.UniqueConstraint(fields=["event", "projector"], name="preference_once_per_event"),
            models.CheckConstraint(
                condition=Q(annotation__isnull=False, event=None) | Q(annotation=None, event__isnull=False),
                name="preference_has_one_source",
            ),
        ]
        indexes = [models.Index(fields=["project", "prompt"], name="preference_by_prompt")]


class Snapshot(Row):
    """A frozen dataset: files with digests, written before this row. Immutable."""

    public_id = PublicIdField(prefix="snp")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="snapshots")
    number = models.PositiveIntegerField()
    name = models.CharField(max_length=200, blank=True)
    job = models.OneToOneField(Job, on_delete=models.PROTECT, null=True, blank=True, related_name="snapshot")
    actor = models.ForeignKey(Actor, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    spec = VersionedJSONField(help_text="what was asked for: split, ties, aggregation, filters")
    folder = models.CharField(max_length=500)
    digest = models.CharField(max_length=80, help_text="of the manifest: files, rows and their digests")
    files = models.JSONField(help_text="name to {sha256, rows}")
    counts = models.JSONField(help_text="rows, prompts, judgements, actors, dropped by reason")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "number"], name="snapshot_number_once")]
        ordering = ["-number"]

    def __str__(self) -> str:
        return f"snapshot {self.number}"


class SnapshotRow(models.Model):
    """Which judgements stand behind one line of a snapshot's file."""

    snapshot = models.ForeignKey(Snapshot, on_delete=models.PROTECT, related_name="rows")
    file = models.CharField(max_length=60)
    line = models.PositiveIntegerField()
    digest = models.CharField(max_length=80)
    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="+")
    preferences = models.ManyToManyField(Preference, related_name="snapshot_rows")
    events = models.ManyToManyField(
        FeedbackEvent, related_name="snapshot_rows", help_text="thumbs, which prefer nothing"
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["snapshot", "file", "line"], name="snapshot_line_once")]
