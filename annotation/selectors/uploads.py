"""Gated reads of uploads, and whether what a task names is there."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from accounts.models import Actor, Project
from annotation.models import Upload
from annotation.showing import uploads_in
from ground.errors import NotFound
from models_registry.texts import shown

# A film's container may hold sound alone.
FITS = {"image": ("image",), "audio": ("audio", "video"), "video": ("video",), "captions": ("captions",)}
Named = tuple[str, str, str]


def get_upload_for(actor: Actor, public_id: str) -> Upload:
    """Errors: NotFound, for another project's upload too."""
    found = uploads_of(actor.project).filter(public_id=public_id.replace("\x00", "")).first()
    if found is None:
        raise NotFound(_("There is no upload %(id)s here.") % {"id": shown(public_id[:60])})
    return found


def uploads_of(project: Project) -> QuerySet[Upload]:
    return Upload.objects.filter(project=project).select_related("actor", "project")


def kinds_of(project: Project, ids: Iterable[str]) -> dict[str, str]:
    """The kind of each of these uploads that the project has."""
    wanted = {public_id for public_id in ids if len(public_id) <= 40}
    if not wanted:
        return {}
    return dict(Upload.objects.filter(project=project, public_id__in=wanted).values_list("public_id", "kind"))


def problem_with(named: Iterable[Named], kinds: dict[str, str]) -> str:
    """What is wrong with the uploads that a task names, by its path; nothing for nothing."""
    for path, public_id, asked in named:
        kind = kinds.get(public_id)
        if kind is None:
            return _("%(path)s: there is no upload %(id)s in this project; send the file first, then name its id") % {
                "path": path,
                "id": shown(public_id[:60]),
            }
        if kind not in FITS[asked]:
            told = {"path": path, "id": public_id, "kind": str(Upload.Kind(kind).label), "asked": asked}
            return _("%(path)s: the upload %(id)s is a %(kind)s, and the field shows kind %(asked)s") % told
    return ""


def check_uploads(project: Project, body: Mapping[str, Any], data: Mapping[str, Any]) -> None:
    """Refuse data that names an upload the project does not have. Errors: ValueError with the path."""
    named = uploads_in(body.get("fields", ()), data)
    problem = problem_with(named, kinds_of(project, (public_id for _path, public_id, _kind in named)))
    if problem:
        raise ValueError(problem)


def upload_json(row: Upload) -> dict[str, Any]:
    return {
        "id": row.public_id,
        "kind": row.kind,
        "media_type": row.media_type,
        "name": row.name,
        "bytes": row.bytes,
        "sha256": row.sha256,
        "width": row.pixels_across,
        "height": row.pixels_down,
        "seconds": row.seconds,
        "by": str(row.actor),
        "created_at": row.created_at,
    }
