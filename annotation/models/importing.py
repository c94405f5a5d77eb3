"""Many tasks at once: imports, bulk edits, saved views."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models import Actor, Project
from annotation.models.task import Batch, Schema
from ground.fields import PublicIdField
from ground.models import Row
from jobs.models import Job


class TaskImport(Row):
    """A file of tasks on its way in. `offset` is committed with the rows before it, so a killed import goes on where it was."""

    public_id = PublicIdField(prefix="imp")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="imports")
    actor = models.ForeignKey(Actor, on_delete=models.PROTECT, related_name="+")
    job = models.OneToOneField(Job, on_delete=models.PROTECT, null=True, related_name="+")
    schema = models.ForeignKey(Schema, on_delete=models.PROTECT, related_name="+")
    batch = models.ForeignKey(Batch, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    filename = models.CharField(max_length=200)
    overlap = models.PositiveSmallIntegerField(default=1)
    priority = models.PositiveSmallIntegerField(default=5)
    size = models.BigIntegerField(default=0, help_text="bytes")
    offset = models.BigIntegerField(default=0, help_text="bytes read and committed")
    line = models.BigIntegerField(default=0, help_text="lines read and committed")
    made = models.BigIntegerField(default=0)
    known = models.BigIntegerField(default=0, help_text="passed over: their external id has a task already")
    wrong = models.BigIntegerField(default=0)
    finished_at = models.DateTimeField(null=True, blank=True)


class BulkEdit(Row):
    """One change to every task that a query finds, done in pieces by a job. A deletion can be undone until it is purged."""

    class Kind(models.TextChoices):
        PRIORITY = "priority", _("priority")
        OVERLAP = "overlap", _("overlap")
        BATCH = "batch", _("batch")
        ASSIGN = "assign", _("assignment")
        DELETE = "delete", _("deletion")

    public_id = PublicIdField(prefix="edt")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="bulk_edits")
    actor = models.ForeignKey(Actor, on_delete=models.PROTECT, related_name="+")
    job = models.OneToOneField(Job, on_delete=models.PROTECT, null=True, related_name="+")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    query = models.JSONField(default=dict, help_text="which tasks: the browser's query, or {ids: [...]}")
    value = models.JSONField(null=True)
    before = models.BigIntegerField(
        default=0, help_text="only tasks with an id up to this one: what was there when asked"
    )
    reached = models.BigIntegerField(default=0, help_text="tasks with an id up to this one are done")
    changed = models.BigIntegerField(default=0)
    kept = models.BigIntegerField(default=0, help_text="tasks that could not be changed as far as asked")
    finished_at = models.DateTimeField(null=True, blank=True)
    undone_at = models.DateTimeField(null=True, blank=True)
    purged_at = models.DateTimeField(null=True, blank=True)


class SavedView(Row):
    """A query of the data browser with a name."""

    public_id = PublicIdField(prefix="viw")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="views")
    actor = models.ForeignKey(Actor, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=80)
    query = models.JSONField(default=dict)
    shared = models.BooleanField(default=False, help_text="everybody in the project sees it")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["actor", "name"], name="view_name_once")]
