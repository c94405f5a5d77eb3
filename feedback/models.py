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

    class Origin(models.TextChoices):
        COMPARISON = "comparison", _("two responses compared")
        RANKING = "ranking", _("implied by a ranking")
        REWRITE = "rewrite", _("a better response written")
        CORRECTION = "correction", _("a response corrected")
        CHAT = "chat", _("a reply chosen in a live chat")

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="preferences")
    annotation = models.ForeignKey(
        Annotation, on_delete=models.PROTECT, null=True, blank=True, related_name="preferences"
    )
    event = models.ForeignKey(
        FeedbackEvent, on_delete=models.PROTECT, null=True, blank=True, related_name="preferences"
    )
    projector = models.PositiveSmallIntegerField(help_text="version of the projection that made this row")
    part = models.CharField(max_length=120, blank=True, default="", help_text="of its source; empty: all it prefers")
    origin = models.CharField(max_length=12, choices=Origin.choices, default=Origin.COMPARISON)
    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="preferences")
    root = models.ForeignKey(
        Prompt,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="where the conversation began; a split never parts the two",
    )
    first = models.ForeignKey(Completion, on_delete=models.PROTECT, related_name="+")
    second = models.ForeignKey(Completion, on_delete=models.PROTECT, related_name="+")
    outcome = models.CharField(max_length=8, choices=Outcome.choices)
    strength = models.PositiveSmallIntegerField(null=True, blank=True, help_text="1 slightly, 2 clearly, 3 much")
    all_bad = models.BooleanField(default=False, help_text="preferred, but said to be bad too: not to be imitated")
    aspects = models.JSONField(
        default=dict, blank=True, help_text="name to {choice, strength}, of `first` and `second`"
    )
    first_shown_first = models.BooleanField(null=True, help_text="whether `first` stood first on the screen")
    actor = models.ForeignKey(Actor, on_delete=models.PROTECT, related_name="preferences")
    created_at = models.DateTimeField()
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["annotation", "projector", "part"], name="preference_once_per_part"),
            models.UniqueConstraint(fields=["event", "projector"], name="preference_once_per_event"),
            models.CheckConstraint(
                condition=Q(annotation__isnull=False, event=None) | Q(annotation=None, event__isnull=False),
                name="preference_has_one_source",
            ),
        ]
        indexes = [models.Index(fields=["project", "prompt"], name="preference_by_prompt")]


class Demonstration(models.Model):
    """A projection of responses that people wrote, or let stand, to be imitated: rebuildable, never the truth."""

    class Origin(models.TextChoices):
        DEMONSTRATION = "demonstration", _("written")
        REWRITE = "rewrite", _("written to be better")
        CORRECTION = "correction", _("corrected")
        UNCHANGED = "unchanged", _("nothing to correct")
        CHAT = "chat", _("written in a live chat")

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="demonstrations")
    annotation = models.ForeignKey(Annotation, on_delete=models.PROTECT, related_name="demonstrations")
    projector = models.PositiveSmallIntegerField(help_text="version of the projection that made this row")
    part = models.CharField(max_length=120, help_text="of the annotation: the question, and the turn")
    origin = models.CharField(max_length=16, choices=Origin.choices)
    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="demonstrations")
    root = models.ForeignKey(
        Prompt,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="where the conversation began; a split never parts the two",
    )
    completion = models.ForeignKey(Completion, on_delete=models.PROTECT, related_name="+")
    actor = models.ForeignKey(Actor, on_delete=models.PROTECT, related_name="demonstrations")
    created_at = models.DateTimeField()
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["annotation", "projector", "part"], name="demonstration_once_per_part")
        ]


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
    prompt = models.ForeignKey(
        Prompt, on_delete=models.PROTECT, null=True, blank=True, related_name="+", help_text="empty: of no conversation"
    )
    preferences = models.ManyToManyField(Preference, related_name="snapshot_rows")
    annotations = models.ManyToManyField(
        Annotation, related_name="snapshot_rows", help_text="those that say more than one preference"
    )
    events = models.ManyToManyField(
        FeedbackEvent, related_name="snapshot_rows", help_text="thumbs, which prefer nothing"
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["snapshot", "file", "line"], name="snapshot_line_once")]
