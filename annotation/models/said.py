"""What people said about tasks, finished and unfinished."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.models import Actor, Project
from annotation.models.queue import Slot
from annotation.models.task import Guideline, Task
from ground import clock
from ground.fields import PublicIdField
from ground.models import Row


class Draft(models.Model):
    """Unsubmitted work of an actor on a task. It outlives the lease."""

    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="drafts")
    actor = models.ForeignKey(Actor, on_delete=models.CASCADE, related_name="drafts")
    answers = models.JSONField(default=dict)
    saved_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["task", "actor"], name="draft_once")]


class AnnotationQuerySet(models.QuerySet["Annotation"]):
    def counted(self) -> AnnotationQuerySet:
        return self.filter(counted=True)


class Annotation(Row):
    """What an actor said about a task. Append-only: edits, undo and withdrawal are further rows.

    An answer fills a slot. A settlement is what a reviewer put in the answers' place; it fills none.
    """

    public_id = PublicIdField(prefix="ann")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="annotations", db_index=False)
    task = models.ForeignKey(Task, on_delete=models.PROTECT, related_name="annotations", db_index=False)
    slot = models.ForeignKey(
        Slot, on_delete=models.PROTECT, null=True, blank=True, related_name="annotations", db_index=False
    )
    actor = models.ForeignKey(Actor, on_delete=models.PROTECT, related_name="annotations", db_index=False)
    guideline = models.ForeignKey(
        Guideline, on_delete=models.PROTECT, null=True, blank=True, related_name="+", db_index=False
    )
    key = models.CharField(max_length=80, help_text="client-made idempotency key")
    answers = models.JSONField(help_text="under the task's schema, candidates named by ordinal, never by side")
    display_order = models.JSONField(default=list, help_text="ordinals in the order they were shown")
    seconds = models.FloatField(null=True, blank=True, help_text="active time, idle excluded")
    counted = models.BooleanField(default=True, help_text="false for surplus, undone and withdrawn answers")
    surplus = models.BooleanField(default=False, help_text="came after the slot had gone to somebody else")
    settlement = models.BooleanField(default=False, help_text="a reviewer's last word on the task")

    objects = AnnotationQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["actor", "key"], name="annotation_once_per_key"),
            models.UniqueConstraint(fields=["slot"], condition=Q(counted=True), name="one_counted_annotation_per_slot"),
            models.UniqueConstraint(
                fields=["task"], condition=Q(settlement=True, counted=True), name="one_settlement_per_task"
            ),
            models.CheckConstraint(
                condition=Q(settlement=True, slot=None) | Q(settlement=False, slot__isnull=False),
                name="annotation_fills_a_slot_or_settles",
            ),
        ]
        indexes = [
            models.Index(fields=["task", "actor"], name="annotation_by_task_actor"),
            models.Index(fields=["project", "id"], name="annotation_by_project"),
            models.Index(fields=["actor", "-id"], name="annotation_by_actor"),
        ]

    def __str__(self) -> str:
        return self.public_id


class Withdrawal(Row):
    """An answer taken back: by its author (undo, edit), by a manager (retraction), by review. The answer itself stays."""

    class Kind(models.TextChoices):
        UNDO = "undo", _("undone by its author")
        RETRACTION = "retraction", _("retracted")
        REVIEW = "review", _("rejected in review")
        EDIT = "edit", _("replaced by its author")

    annotation = models.OneToOneField(Annotation, on_delete=models.PROTECT, related_name="withdrawal")
    actor = models.ForeignKey(Actor, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=12, choices=Kind.choices)
    reason = models.TextField(blank=True)
    replacement = models.OneToOneField(
        Annotation, on_delete=models.PROTECT, null=True, blank=True, related_name="replaces", help_text="of an edit"
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(kind="edit", replacement__isnull=False) | (~Q(kind="edit") & Q(replacement=None)),
                name="withdrawal_replaced_iff_edited",
            )
        ]


class Skip(Row):
    """A task an actor passed over, with the reason; it is not offered to that actor again."""

    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="skips")
    actor = models.ForeignKey(Actor, on_delete=models.CASCADE, related_name="skips")
    reason = models.TextField(blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["task", "actor"], name="skip_once")]
