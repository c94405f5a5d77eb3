"""Models and what they said: versions that never change, aliases that move, every response ever shown."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.models import Actor, Project
from ground.fields import EncryptedTextField, PublicIdField, VersionedJSONField
from ground.models import Row
from jobs.models import Job


class Model(Row):
    """A line of versions under one name. A library base model belongs to no project."""

    public_id = PublicIdField(prefix="mdl")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, null=True, blank=True, related_name="models")
    slug = models.SlugField(max_length=80)
    name = models.CharField(max_length=200)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "slug"], name="model_slug_once_per_project"),
            models.UniqueConstraint(fields=["slug"], condition=Q(project=None), name="library_model_slug_once"),
        ]

    def __str__(self) -> str:
        return self.name


class ModelVersion(Row):
    """Weights with their digests and their history. Immutable (a trigger refuses UPDATE)."""

    class Kind(models.TextChoices):
        CAUSAL = "causal", _("language model")
        REWARD = "reward", _("reward model")
        ENCODER = "encoder", _("encoder")
        SEQ2SEQ = "seq2seq", _("encoder-decoder")
        CLASSIFIER = "classifier", _("text classifier")
        TAGGER = "tagger", _("token classifier")

    public_id = PublicIdField(prefix="ver")
    model = models.ForeignKey(Model, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    kind = models.CharField(max_length=12, choices=Kind.choices)
    parent = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="children")
    artifact = models.CharField(max_length=500, help_text="folder, absolute or below the storage root")
    digest = models.CharField(max_length=80)
    files = models.JSONField(default=dict, help_text="file name to sha256")
    lineage = VersionedJSONField(help_text="run, method, snapshot, base and reward versions, with digests")
    metrics = models.JSONField(default=dict)
    card = models.TextField(blank=True, help_text="model card, markdown")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["model", "number"], name="model_version_number_once")]
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.model.slug}@{self.number}"


class Evaluation(Row):
    """A version measured, alone or against a baseline. Written when the job that measured it is done; never changed."""

    public_id = PublicIdField(prefix="evl")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="evaluations")
    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="evaluations")
    baseline = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    judge = models.CharField(max_length=60, help_text="public id of the reward version, or `people`")
    job = models.OneToOneField(Job, on_delete=models.PROTECT, null=True, blank=True, related_name="evaluation")
    spec = VersionedJSONField()
    metrics = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"{self.version} by {self.judge}"


class Verdict(Row):
    """A judgement of a challenger, with the evidence it was made on. Immutable."""

    class Outcome(models.TextChoices):
        BETTER = "better", _("better")
        WORSE = "worse", _("worse")
        UNDECIDED = "undecided", _("too few to tell")
        OVERRIDE = "override", _("overridden")
        BOOTSTRAP = "bootstrap", _("first version")

    public_id = PublicIdField(prefix="vdt")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, null=True, blank=True, related_name="verdicts")
    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="verdicts")
    champion = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    evaluation = models.ForeignKey(Evaluation, on_delete=models.PROTECT, null=True, blank=True, related_name="verdicts")
    outcome = models.CharField(max_length=12, choices=Outcome.choices)
    reason = models.TextField(blank=True)
    evidence = VersionedJSONField()
    actor = models.ForeignKey(Actor, on_delete=models.PROTECT, null=True, blank=True, related_name="verdicts")

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(outcome="override") | ~Q(reason=""), name="override_has_a_reason"),
        ]

    def __str__(self) -> str:
        return f"{self.version}: {self.outcome}"


class Alias(Row):
    """A moving name. It moves by compare-and-set on `generation`, and a trigger guards `champion`."""

    CHAMPION = "champion"

    public_id = PublicIdField(prefix="als")
    model = models.ForeignKey(Model, on_delete=models.PROTECT, related_name="aliases")
    name = models.SlugField(max_length=40)
    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="aliases")
    verdict = models.ForeignKey(Verdict, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    generation = models.PositiveIntegerField(default=1)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["model", "name"], name="alias_once_per_model"),
            models.CheckConstraint(
                condition=~Q(name="champion") | Q(verdict__isnull=False), name="champion_has_a_verdict"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model.slug}@{self.name}"


class AliasMove(Row):
    """The log of moves: what served at any time is one query."""

    alias = models.ForeignKey(Alias, on_delete=models.PROTECT, related_name="moves")
    from_version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, null=True, related_name="+")
    to_version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="+")
    verdict = models.ForeignKey(Verdict, on_delete=models.PROTECT, null=True, related_name="+")
    generation = models.PositiveIntegerField()
    actor = models.ForeignKey(Actor, on_delete=models.PROTECT, null=True, related_name="+")
    reason = models.TextField(blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["alias", "generation"], name="alias_move_once_per_generation")]


class Deployment(Row):
    """A version behind a backend that answers in the OpenAI form. Only the gateway talks to it."""

    class Backend(models.TextChoices):
        TRANSFORMERS = "transformers", _("transformers serve, managed here")
        VLLM = "vllm", _("vLLM, managed here")
        URL = "url", _("any OpenAI-compatible address")

    class State(models.TextChoices):
        STARTING = "starting", _("starting")
        READY = "ready", _("ready")
        FAILED = "failed", _("failed")
        STOPPED = "stopped", _("stopped")

    public_id = PublicIdField(prefix="dep")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="deployments")
    version = models.ForeignKey(
        ModelVersion, on_delete=models.PROTECT, null=True, blank=True, related_name="deployments"
    )
    backend = models.CharField(max_length=16, choices=Backend.choices)
    state = models.CharField(max_length=12, choices=State.choices, default=State.STARTING)
    wanted = models.BooleanField(
        default=True, help_text="the manager of servers starts what is wanted and stops the rest"
    )
    url = models.URLField(blank=True)
    remote_model = models.CharField(max_length=300, blank=True, help_text="the `model` the backend expects")
    api_key = EncryptedTextField(blank=True)
    process = models.JSONField(default=dict, blank=True)
    error = models.TextField(blank=True)
    ready_at = models.DateTimeField(null=True, blank=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(backend="url") | Q(version__isnull=False), name="managed_deployment_has_version"
            ),
            models.UniqueConstraint(
                fields=["project", "version", "backend"],
                condition=Q(wanted=True),
                name="one_wanted_deployment_per_version",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.version or self.url} on {self.backend}"


class Prompt(Row):
    """What a model is asked: a list of messages, once per project by content."""

    public_id = PublicIdField(prefix="prm")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="prompts")
    external_id = models.CharField(max_length=200, blank=True)
    messages = models.JSONField(help_text="[{role, content}], last from the user")
    digest = models.CharField(max_length=80, help_text="of the messages")
    metadata = models.JSONField(default=dict, blank=True)
    held_out = models.BooleanField(default=False, help_text="kept for evaluation: never in a training split")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "digest"], name="prompt_once_per_project")]

    def __str__(self) -> str:
        return self.messages[-1]["content"][:80]


class Completion(Row):
    """Every response ever shown or stored. Its public id is what feedback points at."""

    class Source(models.TextChoices):
        VERSION = "version", _("model version")
        ENDPOINT = "endpoint", _("outside model")
        IMPORTED = "imported", _("imported")
        HUMAN = "human", _("written by a person")

    public_id = PublicIdField(prefix="cmp")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="completions")
    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="completions")
    source = models.CharField(max_length=12, choices=Source.choices)
    version = models.ForeignKey(
        ModelVersion, on_delete=models.PROTECT, null=True, blank=True, related_name="completions"
    )
    actor = models.ForeignKey(Actor, on_delete=models.PROTECT, null=True, blank=True, related_name="completions")
    text = models.TextField()
    digest = models.CharField(max_length=80, help_text="of the text")
    sampling = models.JSONField(default=dict, help_text="temperature, top_p, max_new_tokens, seed, …")
    finish_reason = models.CharField(max_length=20, blank=True)
    usage = models.JSONField(default=dict, help_text="prompt_tokens, completion_tokens, milliseconds")
    job = models.ForeignKey(Job, on_delete=models.PROTECT, null=True, blank=True, related_name="completions")
    external_id = models.CharField(max_length=200, blank=True, help_text="unique within its job or import")
    alias = models.CharField(max_length=120, blank=True, help_text="the name it was asked by at the gateway")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(source="version", version__isnull=False) | (~Q(source="version") & Q(version=None)),
                name="completion_version_iff_source_version",
            ),
            models.UniqueConstraint(
                fields=["job", "external_id"], condition=Q(job__isnull=False), name="completion_once_per_job_sample"
            ),
        ]
        indexes = [models.Index(fields=["project", "prompt"], name="completion_by_prompt")]

    def __str__(self) -> str:
        return self.public_id
