"""Runs: a job with a method, a dataset, a base and, in the end, a model version."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models import Project
from feedback.models import Snapshot
from ground import clock
from ground.fields import PublicIdField, VersionedJSONField
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
        KTO = "kto", _("Kahneman-Tversky optimisation")
        PPO = "ppo", _("proximal policy optimisation")
        GRPO = "grpo", _("group relative policy optimisation")
        RLOO = "rloo", _("REINFORCE leave-one-out")
        CLASSIFY = "classify", _("text classifier")
        TAG = "tag", _("token classifier")
        PRETRAIN = "pretrain", _("pre-training on raw text")
        PREDICT = "predict", _("prediction of labels")
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


class Target(Row):
    """A place outside this machine where runs may go: hosts, a Slurm cluster, a Kubernetes cluster. Retired, never deleted."""

    class Kind(models.TextChoices):
        HOSTS = "hosts", _("hosts over ssh")
        SLURM = "slurm", "Slurm"
        KUBERNETES = "kubernetes", "Kubernetes"

    public_id = PublicIdField(prefix="tgt")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="targets")
    name = models.SlugField(max_length=80)
    kind = models.CharField(max_length=12, choices=Kind.choices)
    settings = VersionedJSONField(help_text="what the plan of its kind reads: see training.clusters")
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="target_name_once")]
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class MlflowRun(models.Model):
    """How far MLflow knows a run. Whoever holds `due_at` sends."""

    run = models.OneToOneField(Run, on_delete=models.CASCADE, related_name="mlflow")
    server = models.CharField(max_length=500, blank=True)
    experiment_id = models.CharField(max_length=100, blank=True)
    mlflow_id = models.CharField(max_length=100, blank=True, help_text="set once its params are there")
    seq = models.PositiveIntegerField(default=0, help_text="of the last event whose metrics are there")
    seq_at = models.DateTimeField(null=True, blank=True)
    status = models.CharField(max_length=12, blank=True, help_text="as MLflow calls it")
    ended_at = models.DateTimeField(null=True, blank=True, help_text="the end that it was told of")
    due_at = models.DateTimeField(default=clock.now)
    attempts = models.PositiveSmallIntegerField(default=0, help_text="that failed since one did not")
    error = models.CharField(max_length=300, blank=True)

    class Meta:
        indexes = [models.Index(fields=["due_at"], name="mlflow_run_due")]

    def __str__(self) -> str:
        return self.mlflow_id
