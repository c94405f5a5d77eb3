"""Gated reads of notes: a manager's all, anybody's own."""

from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from accounts.models import Actor, Project
from annotation.models import Note
from ground.errors import NotFound


def notes_of(project: Project, *, state: str = "") -> QuerySet[Note]:
    """All notes; open ones in the order they came, others newest first."""
    rows = Note.objects.filter(project=project).select_related("author", "task", "answered_by")
    if state == "open":
        return rows.filter(answered_at=None).order_by("pk")
    return (rows.filter(answered_at__isnull=False) if state == "answered" else rows).order_by("-pk")


def notes_by(actor: Actor) -> QuerySet[Note]:
    return Note.objects.filter(author=actor).select_related("author", "task", "answered_by").order_by("-pk")


def get_note_for(actor: Actor, public_id: str) -> Note:
    """A note of the actor's project. Errors: NotFound."""
    note = notes_of(actor.project).filter(public_id=public_id).first()
    if note is None:
        raise NotFound(_("There is no note %(id)s here.") % {"id": public_id[:60]})
    return note


def open_notes(project: Project) -> int:
    return Note.objects.open().filter(project=project).count()


def unseen_answers(actor: Actor) -> int:
    return Note.objects.filter(author=actor, answered_at__isnull=False, seen_at=None).count()


def note_json(note: Note) -> dict[str, Any]:
    return {
        "id": note.public_id,
        "task": note.task.public_id if note.task else None,
        "author": note.author.public_id,
        "author_name": str(note.author),
        "text": note.text,
        "created_at": note.created_at,
        "answer": note.answer,
        "answered_at": note.answered_at,
        "answered_by": str(note.answered_by) if note.answered_by else None,
        "seen_at": note.seen_at,
    }
