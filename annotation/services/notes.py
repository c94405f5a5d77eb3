"""Notes to the managers, and their answers."""

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts.models import Actor
from accounts.services import EVERYBODY, MANAGERS, require_role
from annotation.errors import KeyReused
from annotation.models import Note, Task
from ground import clock
from ground.errors import Conflict, Invalid

LONGEST = 10_000


def write_note(*, actor: Actor, text: str, key: str, task: Task | None = None) -> Note:
    """A note to the managers, about a task or in general. A repeated key returns the first note.

    Errors: Invalid, KeyReused when the key stands for another text.
    """
    require_role(actor, *EVERYBODY)
    text = _checked(text)
    if not key or len(key) > 80:
        raise Invalid(_("Send a key of 1 to 80 characters, new for each note, the same on a retry."))
    try:
        with transaction.atomic():
            return Note.objects.create(project=actor.project, author=actor, task=task, key=key, text=text)
    except IntegrityError:
        first = Note.objects.get(author=actor, key=key)
    if (first.text, first.task_id) != (text, task.pk if task else None):
        raise KeyReused(_("This key already stands for another note."), hint=_("Make a new key for each note."))
    return first


def answer_note(*, actor: Actor, note: Note, text: str) -> Note:
    """Answer a note, once. Errors: Conflict when another manager was first."""
    require_role(actor, *MANAGERS)
    text = _checked(text)
    answered = {"answer": text, "answered_by": actor, "answered_at": clock.now()}
    if Note.objects.open().filter(pk=note.pk, project=actor.project).update(**answered) != 1:
        raise Conflict(_("This note was answered meanwhile."), hint=_("Read the answer that stands there."))
    return Note.objects.get(pk=note.pk)


def mark_seen(*, actor: Actor) -> int:
    """Its author has read every answer there is now."""
    unseen = Note.objects.filter(author=actor, answered_at__isnull=False, seen_at=None)
    return unseen.update(seen_at=clock.now())


def _checked(text: str) -> str:
    text = text.strip()
    if not text or len(text) > LONGEST or "\x00" in text:
        raise Invalid(_("Write something, in at most %d characters.") % LONGEST)
    return text
