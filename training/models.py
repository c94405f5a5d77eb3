"""Runs: a job with a method, a dataset, a base and, in the end, a model version."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models import Project
from feedback.models import Snapshot
from ground.fields import PublicIdField
from ground.models import Row
from jobs.models import Job
from models_registry.models import ModelVersion


class Run(Row):
    """One training, generation or evaluation on the engine. Its state is its job's."""

    class Method(models.TextChoices):
        IMPORT = "import", _("base model import")
        GENERATE = "generate", _("generation")
        SFT = "sft", _("supervised fine-tuning")
        REWARD = "reward", _("reward model")
        DPO = "dpo", _("direct preference optimisation")
        EVALUATE = "evaluate", _("evaluation")

    public_id = PublicIdField(prefix="run")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="runs")
    number = models.PositiveIntegerField()
    job = models.OneToOneField(Job, on_delete=models.PROTECT, related_name="run")
    method = models.CharField(max_length=12, choices=Method.choices)
    snapshot = models.ForeignKey(Snapshot, on_delete=models.PROTECT, null=True, blank=True, related_name="runs")
    base = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, null=True, blank=True, related_name="runs")
    output = models.OneToOneField(ModelVersion, on_delete=models.PROTECT, null=True, blank=True, related_name="run")
    folder = models.CharField(max_length=500)
    settings = models.JSONField(
        default=dict, help_text="hyperparameters, parallelism and checkpoint settings as asked for"
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "number"], name="run_number_once")]
        ordering = ["-number"]

    def __str__(self) -> str:
        return f"run {self.number}"
