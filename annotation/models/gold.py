"""Tasks whose answer is known, how people did on them, and what follows for those people."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models import Actor
from annotation.models.queue import Queue
from annotation.models.said import Annotation
from annotation.models.task import Task
from ground.models import Row


class GoldKey(Row):
    """The known answer of a gold task."""

    class Source(models.TextChoices):
        WRITTEN = "written", _("written by a manager")
        CONSENSUS = "consensus", _("what people agreed on")

    task = models.OneToOneField(Task, on_delete=models.CASCADE, related_name="gold")
    answers = models.JSONField(help_text="under the task's schema, candidates named by ordinal")
    explanation = models.TextField(blank=True, help_text="shown after a wrong answer where the queue gives feedback")
    source = models.CharField(max_length=10, choices=Source.choices, default=Source.WRITTEN)
    promoted_from = models.ForeignKey(
        Task, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", help_text="the task people agreed on"
    )
    actor = models.ForeignKey(Actor, on_delete=models.PROTECT, related_name="+")


class GoldScore(Row):
    """How right an answer to a gold task was, 0 to 1. It counts only while its annotation does."""

    annotation = models.OneToOneField(Annotation, on_delete=models.CASCADE, related_name="gold_score")
    actor = models.ForeignKey(Actor, on_delete=models.CASCADE, related_name="gold_scores", db_index=False)
    queue = models.ForeignKey(Queue, on_delete=models.PROTECT, related_name="+", db_index=False)
    score = models.FloatField()

    class Meta:
        indexes = [models.Index(fields=["actor", "queue", "-id"], name="gold_score_by_actor")]


class Standing(Row):
    """Where an actor stands with a queue after its gold. Whoever is paused or blocked is handed nothing there."""

    class State(models.IntegerChoices):
        GOOD = 0, _("good")
        WARNED = 1, _("warned")
        PAUSED = 2, _("paused")
        BLOCKED = 3, _("blocked")
        PASSED = 4, _("passed the test")
        FAILED = 5, _("failed the test")

    actor = models.ForeignKey(Actor, on_delete=models.CASCADE, related_name="standings")
    queue = models.ForeignKey(Queue, on_delete=models.CASCADE, related_name="standings")
    state = models.PositiveSmallIntegerField(choices=State.choices, default=State.GOOD)
    right = models.FloatField(default=0, help_text="sum of the scores looked at")
    answered = models.PositiveSmallIntegerField(default=0, help_text="gold answers looked at")
    counted_after = models.BigIntegerField(default=0, help_text="gold scores up to this id were forgiven")
    changed_at = models.DateTimeField()
    reason = models.TextField(blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["actor", "queue"], name="standing_once")]
