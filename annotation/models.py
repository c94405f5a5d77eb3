"""Tasks, the slots that make overlap a fact, and what people said."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.models import Actor, Project
from annotation.schemas import check_schema
from ground import clock
from ground.fields import PublicIdField, VersionedJSONField
from ground.models import Row
from models_registry.models import Completion, Evaluation, Prompt


class Schema(Row):
    """The questions a task asks. A change makes a new version; answers stay readable under theirs. Immutable."""

    public_id = PublicIdField(prefix="sch")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="schemas")
    name = models.SlugField(max_length=80)
    version = models.PositiveIntegerField()
    body = VersionedJSONField(check=check_schema)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "name", "version"], name="schema_version_once")]

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"


class Guideline(Row):
    """How to judge, in markdown. Immutable: a change is a new version, and every annotation knows the one it was made under."""

    public_id = PublicIdField(prefix="gdl")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="guidelines")
    version = models.PositiveIntegerField()
    body = models.TextField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "version"], name="guideline_version_once")]
        ordering = ["-version"]

    def __str__(self) -> str:
        return f"v{self.version}"


class TaskQuerySet(models.QuerySet["Task"]):
    def open(self) -> TaskQuerySet:
        return self.filter(state=Task.State.OPEN)


class Task(Row):
    """Something to judge, `overlap` times, by as many different actors."""

    class State(models.IntegerChoices):
        OPEN = 0, _("open")
        COMPLETE = 1, _("complete")
        ARCHIVED = 2, _("archived")

    public_id = PublicIdField(prefix="tsk")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="tasks")
    schema = models.ForeignKey(Schema, on_delete=models.PROTECT, related_name="tasks")
    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, null=True, blank=True, related_name="tasks")
    evaluation = models.ForeignKey(Evaluation, on_delete=models.PROTECT, null=True, blank=True, related_name="tasks")
    external_id = models.CharField(max_length=200, blank=True)
    data = VersionedJSONField(help_text="the fields the schema shows")
    metadata = models.JSONField(default=dict, blank=True)
    overlap = models.PositiveSmallIntegerField(default=1)
    done = models.PositiveSmallIntegerField(default=0)
    priority = models.PositiveSmallIntegerField(default=5, help_text="0 to 9, 9 first")
    state = models.PositiveSmallIntegerField(choices=State.choices, default=State.OPEN)

    objects = TaskQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(done__lte=models.F("overlap")), name="task_done_within_overlap"),
            models.CheckConstraint(condition=Q(overlap__gte=1, overlap__lte=64), name="task_overlap_1_to_64"),
            models.CheckConstraint(condition=Q(priority__lte=9), name="task_priority_0_to_9"),
            models.UniqueConstraint(
                fields=["project", "external_id"], condition=~Q(external_id=""), name="task_external_id_once"
            ),
        ]
        indexes = [models.Index(fields=["project", "id"], name="task_by_project")]

    def __str__(self) -> str:
        return self.public_id


class Candidate(models.Model):
    """A response offered in a task. The order people saw it in is drawn per actor and stored with the answer."""

    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="candidates")
    completion = models.ForeignKey(Completion, on_delete=models.PROTECT, related_name="candidacies")
    ordinal = models.PositiveSmallIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["task", "ordinal"], name="candidate_ordinal_once"),
            models.UniqueConstraint(fields=["task", "completion"], name="candidate_completion_once"),
        ]
        ordering = ["ordinal"]


class Lane(models.Model):
    """A coarse rank of slots. Inside a lane `seq` only grows, so what lies behind an annotator's mark needs no second look."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="lanes")
    pool_id = models.BigIntegerField(default=0, help_text="who may claim here; 0 is everybody")
    sort = models.PositiveSmallIntegerField(help_text="lanes are tried in this order")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "pool_id", "sort"], name="lane_once")]


class Slot(models.Model):
    """One of the `overlap` places of a task. Its public id is the task's with the ordinal behind it."""

    class State(models.IntegerChoices):
        OPEN = 0, _("open")
        LEASED = 1, _("leased")
        DONE = 2, _("done")
        PARKED = 3, _("parked")

    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="slots")
    lane = models.ForeignKey(Lane, on_delete=models.PROTECT, related_name="+", db_index=False)
    ordinal = models.PositiveSmallIntegerField()
    seq = models.BigIntegerField(help_text="fresh each time the slot opens")
    state = models.PositiveSmallIntegerField(choices=State.choices, default=State.OPEN)
    actor = models.ForeignKey(
        Actor, on_delete=models.PROTECT, null=True, blank=True, related_name="slots", db_index=False
    )
    lease_token = models.UUIDField(null=True, blank=True)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    leased_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["task", "ordinal"], name="slot_once"),
            models.UniqueConstraint(
                fields=["task", "actor"], condition=Q(actor__isnull=False), name="slot_once_per_actor"
            ),
            models.CheckConstraint(
                condition=Q(state=0, actor=None) | (~Q(state=0) & Q(actor__isnull=False)), name="slot_open_iff_no_actor"
            ),
            models.CheckConstraint(
                condition=Q(state=1, lease_token__isnull=False, lease_expires_at__isnull=False)
                | (~Q(state=1) & Q(lease_token=None)),
                name="slot_lease_iff_leased",
            ),
        ]
        indexes = [
            models.Index(fields=["lane", "seq"], condition=Q(state=0), name="slot_open"),
            models.Index(fields=["lease_expires_at"], condition=Q(state=1), name="slot_lease_expiry"),
            models.Index(fields=["actor"], condition=Q(state__in=[1, 3]), name="slot_held"),
        ]

    @property
    def public_id(self) -> str:
        return f"slt_{self.task.public_id.removeprefix('tsk_')}_{self.ordinal}"


class Mark(models.Model):
    """How far an actor has come in a lane."""

    actor = models.ForeignKey(Actor, on_delete=models.CASCADE, related_name="+", db_index=False)
    lane = models.ForeignKey(Lane, on_delete=models.CASCADE, related_name="+", db_index=False)
    seq = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["actor", "lane"], name="mark_once")]


class QueueReset(models.Model):
    """When an actor's marks were last put back to the start: at most once a minute, when the queue seemed empty."""

    actor = models.OneToOneField(Actor, on_delete=models.CASCADE, related_name="+", primary_key=True)
    at = models.DateTimeField()


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
    """What an actor said about a task. Append-only: edits, undo and withdrawal are further rows."""

    public_id = PublicIdField(prefix="ann")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="annotations")
    task = models.ForeignKey(Task, on_delete=models.PROTECT, related_name="annotations", db_index=False)
    slot = models.ForeignKey(Slot, on_delete=models.PROTECT, related_name="annotations", db_index=False)
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

    objects = AnnotationQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["actor", "key"], name="annotation_once_per_key"),
            models.UniqueConstraint(fields=["slot"], condition=Q(counted=True), name="one_counted_annotation_per_slot"),
        ]
        indexes = [
            models.Index(fields=["task", "actor"], name="annotation_by_task_actor"),
            models.Index(fields=["project", "id"], name="annotation_by_project"),
            models.Index(fields=["actor", "-id"], name="annotation_by_actor"),
        ]

    def __str__(self) -> str:
        return self.public_id


class Withdrawal(Row):
    """An answer taken back: by its author (undo) or by a manager (retraction). The answer itself stays."""

    class Kind(models.TextChoices):
        UNDO = "undo", _("undone by its author")
        RETRACTION = "retraction", _("retracted")

    annotation = models.OneToOneField(Annotation, on_delete=models.PROTECT, related_name="withdrawal")
    actor = models.ForeignKey(Actor, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=12, choices=Kind.choices)
    reason = models.TextField(blank=True)


class Skip(Row):
    """A task an actor passed over, with the reason; it is not offered to that actor again."""

    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="skips")
    actor = models.ForeignKey(Actor, on_delete=models.CASCADE, related_name="skips")
    reason = models.TextField(blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["task", "actor"], name="skip_once")]
