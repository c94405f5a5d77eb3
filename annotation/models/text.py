"""What the data browser searches."""

from __future__ import annotations

from django.db import models

from accounts.models import Project
from annotation.models.task import Task


class TaskText(models.Model):
    """The words of a task, filled behind by a tick, never by whoever makes the task.

    On PostgreSQL `words` is a tsvector with a GIN index (see the migration), so it is never read through the model; on SQLite
    it is the text in small letters.
    """

    task = models.OneToOneField(Task, on_delete=models.CASCADE, primary_key=True, related_name="text")
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+", db_index=False)
    words = models.TextField()
