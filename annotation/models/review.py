"""Work that a second pair of eyes looks at, and what it decided."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.models import Actor, Project
from annotation.models.said import Annotation
from annotation.models.task import Task
from ground.fields import PublicIdField
from ground.models import Row


class Case(Row):
    """A task that waits for a reviewer, and why. At most one is open for a task."""

    class State(models.IntegerChoices):
        OPEN = 0, _("open")
        LEASED = 1, _("in review")
        SETTLED = 2, _("settled")
        DISMISSED = 3, _("no longer needed")

    class Reason(models.TextChoices):
        DISAGREEMENT = "disagreement", _("people disagree")
        FLAG = "flag", _("somebody flagged it")
        SAMPLE = "sample", _("drawn as a sample")
        ANNOTATOR = "annotator", _("its annotator is being reviewed")
        ASKED = "asked", _("somebody asked for it")

    class Cause(models.TextChoices):
        """Why people differed; what guidelines are mended by."""

        GUIDELINE = "guideline", _("the guidelines are unclear")
        AMBIGUOUS = "ambiguous", _("the task itself allows both")
        MISTAKE = "mistake", _("somebody was wrong")
        SKILL = "skill", _("it needs knowledge that somebody lacked")
        BAD_TASK = "bad_task", _("the task is broken")
        NONE = "none", _("nothing was wrong")

    public_id = PublicIdField(prefix="cas")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="cases")
    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="cases", db_index=False)
    reasons = models.JSONField(default=list)
    agreement = models.FloatField(null=True, blank=True)
    state = models.PositiveSmallIntegerField(choices=State.choices, default=State.OPEN)
    reviewer = models.ForeignKey(Actor, on_delete=models.PROTECT, null=True, blank=True, related_name="cases")
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    settled_at = models.DateTimeField(null=True, blank=True)
    cause = models.CharField(max_length=12, choices=Cause.choices, blank=True)
    comment = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["task"], condition=Q(state__in=[0, 1]), name="one_open_case_per_task"),
            models.CheckConstraint(
                condition=Q(state__in=[0, 3]) | Q(reviewer__isnull=False), name="case_in_review_has_a_reviewer"
            ),
        ]
        indexes = [
            models.Index(fields=["project", "id"], condition=Q(state__in=[0, 1]), name="case_open"),
            models.Index(fields=["task", "id"], name="case_by_task"),
        ]


class Ruling(Row):
    """What a case says of one answer, with a comment its author reads."""

    class Verdict(models.TextChoices):
        ACCEPT = "accept", _("accepted")
        FIX = "fix", _("corrected")
        REJECT = "reject", _("rejected")

    case = models.ForeignKey(Case, on_delete=models.CASCADE, related_name="rulings")
    annotation = models.ForeignKey(Annotation, on_delete=models.PROTECT, related_name="rulings")
    verdict = models.CharField(max_length=6, choices=Verdict.choices)
    comment = models.TextField(blank=True)
    read_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["case", "annotation"], name="ruling_once")]


class Watched(Row):
    """An annotator whose answers are reviewed, all of them or a share. Ending it removes the row; the audit trail keeps both."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="watched", db_index=False)
    actor = models.ForeignKey(Actor, on_delete=models.CASCADE, related_name="+", db_index=False)
    rate = models.FloatField(default=1, help_text="share of the answers that are reviewed")
    since = models.DateTimeField(help_text="answers given from then on")
    by = models.ForeignKey(Actor, on_delete=models.PROTECT, related_name="+", db_index=False)
    reason = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "actor"], name="watched_once"),
            models.CheckConstraint(condition=Q(rate__gt=0, rate__lte=1), name="watched_rate_0_to_1"),
        ]
