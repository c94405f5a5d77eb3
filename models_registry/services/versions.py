"""Models and their versions."""

from pathlib import Path
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils.text import slugify
from django.utils.translation import gettext as _

from accounts.models import Actor, Project
from accounts.services import record_event
from ground.errors import Forbidden, Invalid
from models_registry.models import Model, ModelVersion


def ensure_model(*, project: Project | None, slug: str, name: str = "") -> Model:
    """The model of that slug in the project (None: the library), made on first sight."""
    if not slug or slug != slugify(slug) or len(slug) > 80:
        raise Invalid(_("A model's slug is up to 80 small letters, digits, - and _."), hint=slugify(slug)[:80])
    found = Model.objects.filter(project=project, slug=slug).first()
    if found is not None:
        return found
    try:
        with transaction.atomic():
            return Model.objects.create(project=project, slug=slug, name=name or slug)
    except IntegrityError:
        # Another process made it between the look and the insert.
        return Model.objects.get(project=project, slug=slug)


@transaction.atomic
def register_version(
    *,
    actor: Actor | None,
    project: Project | None,
    model_slug: str,
    kind: str,
    artifact: Path,
    digest: str,
    files: dict[str, str],
    lineage: dict[str, Any],
    metrics: dict[str, Any] | None = None,
    parent: ModelVersion | None = None,
    card: str = "",
) -> ModelVersion:
    """The next version of a model. The same (model, digest, lineage run) again gives the first one back.

    Called when a job that its starter was allowed to start is done, so only the project is checked, not the role.
    `project` None registers into the library. The files are where `artifact` says before this is called.
    """
    if actor is not None and actor.project_id != getattr(project, "pk", None):
        raise Forbidden(_("That actor belongs to another project."))
    if kind not in ModelVersion.Kind.values:
        raise Invalid(_("A version is one of: %s.") % ", ".join(ModelVersion.Kind.values))
    model = ensure_model(project=project, slug=model_slug)
    # Numbers are counted under the model's row lock (SQLite: under the one write lock).
    model = Model.objects.select_for_update().get(pk=model.pk)
    for version in model.versions.filter(digest=digest):
        if version.lineage.get("run") == lineage.get("run"):
            return version
    version = ModelVersion.objects.create(
        model=model,
        number=(model.versions.aggregate(last=Max("number"))["last"] or 0) + 1,
        kind=kind,
        parent=parent,
        artifact=str(artifact),
        digest=digest,
        files=files,
        lineage=lineage,
        metrics=metrics or {},
        card=card,
    )
    record_event(project=project, actor=actor, verb="version.registered", object_id=version.public_id)
    return version
