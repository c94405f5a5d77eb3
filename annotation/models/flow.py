"""What belongs to the person who judges, beside their answers: notes, what they have read, what they can bear."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from accounts.models import Actor, Project
from annotation.models.task import Guideline, Task
from ground import clock
from ground.fields import PublicIdField
from ground.models import Row


class NoteQuerySet(models.QuerySet["Note"]):
    def open(self) -> NoteQuerySet:
        return self.filter(answered_at=None)


class Note(Row):
    """What somebody asks or tells the managers, about a task or in general, and the one answer. Neither is ever changed."""

    public_id = PublicIdField(prefix="nte")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="notes", db_index=False)
    author = models.ForeignKey(Actor, on_delete=models.PROTECT, related_name="notes", db_index=False)
    task = models.ForeignKey(Task, on_delete=models.SET_NULL, null=True, blank=True, related_name="notes")
    key = models.CharField(max_length=80, help_text="client-made idempotency key")
    text = models.TextField()
    answer = models.TextField(blank=True)
    answered_by = models.ForeignKey(Actor, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    answered_at = models.DateTimeField(null=True, blank=True)
    seen_at = models.DateTimeField(null=True, blank=True, help_text="when its author saw the answer")

    objects = NoteQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["author", "key"], name="note_once_per_key"),
            models.CheckConstraint(
                condition=Q(answered_at=None, answered_by=None, answer="", seen_at=None)
                | (Q(answered_at__isnull=False, answered_by__isnull=False) & ~Q(answer="")),
                name="note_answered_whole",
            ),
        ]
        indexes = [
            models.Index(fields=["project", "id"], condition=Q(answered_at=None), name="note_open"),
            models.Index(fields=["project", "-id"], name="note_by_project"),
            models.Index(fields=["author", "-id"], name="note_by_author"),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def is_open(self) -> bool:
        return self.answered_at is None


class GuidelineRead(Row):
    """That somebody opened a version of the guidelines."""

    actor = models.ForeignKey(Actor, on_delete=models.CASCADE, related_name="+", db_index=False)
    guideline = models.ForeignKey(Guideline, on_delete=models.CASCADE, related_name="reads", db_index=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["actor", "guideline"], name="guideline_read_once")]


class SensitiveLimit(models.Model):
    """How many sensitive tasks a project hands to one person at most. No row, or no number: as many as there are."""

    project = models.OneToOneField(Project, on_delete=models.CASCADE, primary_key=True, related_name="+")
    per_hour = models.PositiveIntegerField(null=True, blank=True)
    per_day = models.PositiveIntegerField(null=True, blank=True)


class SensitiveChoice(models.Model):
    """Whether a person works on sensitive tasks of this project at all. Nobody else is told."""

    actor = models.OneToOneField(Actor, on_delete=models.CASCADE, primary_key=True, related_name="+")
    spared = models.BooleanField(default=False)
    at = models.DateTimeField(default=clock.now)


class Exposure(models.Model):
    """A sensitive task that was handed to somebody. One given back before it was opened is no exposure."""

    actor = models.ForeignKey(Actor, on_delete=models.CASCADE, related_name="+", db_index=False)
    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="+", db_index=False)
    at = models.DateTimeField()
    opened_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["actor", "task"], name="exposure_once")]
        indexes = [models.Index(fields=["actor", "-at"], name="exposure_by_actor")]
