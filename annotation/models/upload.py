"""Pictures, sounds and films that tasks show."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models import Actor, Project
from ground.fields import PublicIdField
from ground.models import Row


class Upload(Row):
    """A file as it came, kept once in its project. Immutable: tasks and answers name it. Its bytes lie in `settings.UPLOADS`."""

    class Kind(models.TextChoices):
        IMAGE = "image", _("picture")
        AUDIO = "audio", _("sound")
        VIDEO = "video", _("film")
        CAPTIONS = "captions", _("captions")

    public_id = PublicIdField(prefix="upl")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="uploads", db_index=False)
    actor = models.ForeignKey(Actor, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=8, choices=Kind.choices)
    media_type = models.CharField(max_length=40, help_text="what the bytes are, whatever the sender called them")
    sha256 = models.CharField(max_length=64)
    bytes = models.BigIntegerField()
    name = models.CharField(max_length=200)
    pixels_across = models.PositiveIntegerField(null=True, blank=True)
    pixels_down = models.PositiveIntegerField(null=True, blank=True)
    seconds = models.FloatField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "sha256"], name="upload_bytes_once")]
        indexes = [models.Index(fields=["project", "id"], name="upload_by_project")]

    def __str__(self) -> str:
        return self.public_id
