"""Reads of schemas."""

from typing import Any

from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext as _

from accounts.models import Actor, Project
from annotation.models import Annotation, Schema, Task
from ground.costly import counted
from ground.errors import NotFound


def schemas_of(project: Project) -> QuerySet[Any]:
    """Every version, the newest first, each with `outdated`: whether its name has a newer one."""
    newer = Schema.objects.filter(project=OuterRef("project"), name=OuterRef("name"), version__gt=OuterRef("version"))
    return Schema.objects.filter(project=project).annotate(outdated=Exists(newer)).order_by("-pk")


def get_schema_for(actor: Actor, public_id: str) -> Any:
    """A schema of the actor's project. Errors: NotFound."""
    found = schemas_of(actor.project).filter(public_id=public_id.replace("\x00", "")).first()
    if found is None:
        raise NotFound(_("There is no schema %(id)s here.") % {"id": public_id[:60]})
    return found


def latest_of(actor: Actor, name: str) -> Schema | None:
    return Schema.objects.filter(project=actor.project, name=name).order_by("-version").first()


def task_counts(project: Project) -> dict[int, dict[str, int]]:
    """For each schema: its tasks, those that are open, those that nobody answered. Gold does not count."""
    return counted(f"schemas:{project.pk}", lambda: _count_tasks(project))[1]


def _count_tasks(project: Project) -> dict[int, dict[str, int]]:
    answered = Exists(Annotation.objects.filter(task=OuterRef("pk")))
    rows = (
        Task.objects.production()
        .filter(project=project)
        .exclude(state=Task.State.ARCHIVED)
        .annotate(answered=answered)
        .values("schema_id")
        .annotate(
            tasks=Count("pk"),
            unanswered=Count("pk", filter=Q(answered=False, state=Task.State.OPEN)),
        )
    )
    return {row["schema_id"]: {"tasks": row["tasks"], "unanswered": row["unanswered"]} for row in rows}
