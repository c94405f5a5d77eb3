"""What is to be judged: tasks, the schema they are asked under, the guidelines, the batches they come in."""

from __future__ import annotations

import functools
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.models import Project
from annotation.schemas import check_schema
from ground.fields import PublicIdField, VersionedJSONField
from ground.models import Row
from models_registry.models import Completion, Evaluation, Prompt

MOST_OVERLAP = 64


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

    @staticmethod
    @functools.lru_cache(maxsize=1000)
    def known(pk: int) -> tuple[str, dict[str, Any]]:
        """The public id and the body of a schema by its key, read once by each process: a schema never changes."""
        found: tuple[str, dict[str, Any]] = Schema.objects.values_list("public_id", "body").get(pk=pk)
        return found

    @staticmethod
    def body_of(pk: int) -> dict[str, Any]:
        return Schema.known(pk)[1]


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


class Batch(Row):
    """Tasks that are wanted together: by a date, for a number of judgements. Its lanes are served only while it runs.

    The budget is a fact, not a check: only as many slots are open as it pays for, the others are held.
    """

    class State(models.IntegerChoices):
        RUNNING = 0, _("running")
        PAUSED = 1, _("paused")
        ARCHIVED = 2, _("archived")

    public_id = PublicIdField(prefix="bat")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="batches")
    name = models.CharField(max_length=120)
    note = models.TextField(blank=True)
    due_on = models.DateField(null=True, blank=True)
    budget = models.PositiveIntegerField(null=True, blank=True, help_text="judgements to collect at most; empty: all")
    state = models.PositiveSmallIntegerField(choices=State.choices, default=State.RUNNING)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="batch_name_once")]

    def __str__(self) -> str:
        return self.name


class TaskQuerySet(models.QuerySet["Task"]):
    def open(self) -> TaskQuerySet:
        return self.filter(state=Task.State.OPEN)

    def production(self) -> TaskQuerySet:
        """Tasks whose answers are wanted for themselves, not to check the people who give them."""
        return self.filter(purpose=Task.Purpose.PRODUCTION)


class Task(Row):
    """Something to judge, `overlap` times, by as many different actors."""

    class State(models.IntegerChoices):
        OPEN = 0, _("open")
        COMPLETE = 1, _("complete")
        ARCHIVED = 2, _("archived")

    class Purpose(models.IntegerChoices):
        PRODUCTION = 0, _("production")
        GOLD = 1, _("gold")

    class Resolution(models.IntegerChoices):
        """What review made of the answers; snapshots may ask for it."""

        NONE = 0, _("not looked at")
        AGREED = 1, _("agreed")
        WAITING = 2, _("waits for review")
        SETTLED = 3, _("settled")
        REJECTED = 4, _("rejected")

    public_id = PublicIdField(prefix="tsk")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="tasks", db_index=False)
    queue = models.ForeignKey("annotation.Queue", on_delete=models.PROTECT, related_name="tasks", db_index=False)
    batch = models.ForeignKey(
        Batch, on_delete=models.PROTECT, null=True, blank=True, related_name="tasks", db_index=False
    )
    schema = models.ForeignKey(Schema, on_delete=models.PROTECT, related_name="tasks", db_index=False)
    prompt = models.ForeignKey(
        Prompt, on_delete=models.PROTECT, null=True, blank=True, related_name="tasks", db_index=False
    )
    evaluation = models.ForeignKey(
        Evaluation, on_delete=models.PROTECT, null=True, blank=True, related_name="tasks", db_index=False
    )
    external_id = models.CharField(max_length=200, blank=True)
    data = VersionedJSONField(help_text="the fields the schema shows")
    metadata = models.JSONField(default=dict, blank=True)
    overlap = models.PositiveSmallIntegerField(default=1)
    done = models.PositiveSmallIntegerField(default=0)
    priority = models.PositiveSmallIntegerField(default=5, help_text="0 to 9, 9 first")
    score = models.FloatField(null=True, blank=True, help_text="how much an answer would teach; written by others")
    pool_id = models.BigIntegerField(
        default=0, help_text="who it is assigned to: 0 everybody, a group's id, minus an actor's id"
    )
    purpose = models.PositiveSmallIntegerField(choices=Purpose.choices, default=Purpose.PRODUCTION)
    state = models.PositiveSmallIntegerField(choices=State.choices, default=State.OPEN)
    agreement = models.FloatField(null=True, blank=True, help_text="share of agreeing pairs of answers, 0 to 1")
    resolution = models.PositiveSmallIntegerField(choices=Resolution.choices, default=Resolution.NONE)
    deletion = models.ForeignKey(
        "annotation.BulkEdit", on_delete=models.SET_NULL, null=True, blank=True, related_name="deleted", db_index=False
    )

    objects = TaskQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(done__lte=models.F("overlap")), name="task_done_within_overlap"),
            models.CheckConstraint(
                condition=Q(purpose=0, overlap__gte=1, overlap__lte=MOST_OVERLAP) | Q(purpose=1),
                name="task_overlap_1_to_64",
            ),
            models.CheckConstraint(condition=Q(priority__lte=9), name="task_priority_0_to_9"),
            models.UniqueConstraint(
                fields=["project", "external_id"], condition=~Q(external_id=""), name="task_external_id_once"
            ),
        ]
        indexes = [
            models.Index(fields=["project", "id"], name="task_by_project"),
            models.Index(fields=["batch", "id"], condition=Q(batch__isnull=False), name="task_by_batch"),
            models.Index(fields=["prompt"], condition=Q(prompt__isnull=False), name="task_by_prompt"),
            models.Index(fields=["evaluation"], condition=Q(evaluation__isnull=False), name="task_by_evaluation"),
            models.Index(fields=["queue", "id"], condition=Q(purpose=1), name="task_gold"),
            models.Index(fields=["deletion"], condition=Q(deletion__isnull=False), name="task_by_deletion"),
            models.Index(fields=["project", "id"], condition=Q(resolution=2), name="task_waits_for_review"),
            # The browser's orders. Only the first costs an import anything.
            models.Index(fields=["project", "priority", "id"], name="task_by_priority"),
            models.Index(
                fields=["project", "agreement", "id"], condition=Q(agreement__isnull=False), name="task_by_agreement"
            ),
            models.Index(fields=["project", "score", "id"], condition=Q(score__isnull=False), name="task_by_score"),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def is_gold(self) -> bool:
        return self.purpose == self.Purpose.GOLD


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
