"""One change to every task that a query finds, done in pieces by a job, and the undoing of a deletion."""

import time
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef, QuerySet
from django.utils.translation import gettext as _

from accounts.models import Actor
from accounts.services import MANAGERS, record_event, require_role
from annotation.browsing import check_query, matching
from annotation.models import Annotation, Batch, BulkEdit, Group, Task
from annotation.models.task import MOST_OVERLAP
from annotation.services import tasks as task_services
from ground import clock
from ground.errors import Conflict, Invalid, NotFound
from jobs.errors import JobError, LeaseLost
from jobs.models import Job
from jobs.services import renew, submit

KIND = "bulk_edit"
# Tasks in one transaction, which holds their slots: claims pass them over, an answer to one waits until the piece is done.
PIECE = 200
PURGE_PIECE = 200
PURGE_SECONDS = 0.5
JSON = dict[str, Any]


@transaction.atomic
def start_edit(*, actor: Actor, kind: str, value: Any, query: JSON) -> BulkEdit:
    """Queue a change to every task the query finds now; tasks that come later are not touched. Managers only.

    `value` is a number for priority and overlap, a batch's id or null for batch, and for assign a group's id, an actor's id or
    null; a deletion has none. Errors: Invalid, NotFound.
    """
    require_role(actor, *MANAGERS)
    if kind not in BulkEdit.Kind.values:
        raise Invalid(_("kind: is one of %s.") % ", ".join(BulkEdit.Kind.values))
    query = check_query(query)
    target_of(actor, kind, value)
    newest = Task.objects.filter(project=actor.project).order_by("-pk").values_list("pk", flat=True).first()
    edit = BulkEdit.objects.create(
        project=actor.project, actor=actor, kind=kind, query=query, value=value, before=newest or 0
    )
    _queue(edit, actor, undo=False)
    data = {"kind": kind, "value": value}
    record_event(project=actor.project, actor=actor, verb="tasks.edit_started", object_id=edit.public_id, data=data)
    return edit


def _queue(edit: BulkEdit, actor: Actor, *, undo: bool) -> None:
    spec = {"schema_version": 1, "edit": edit.public_id, "undo": undo}
    edit.job = submit(actor=actor, project=edit.project, kind=KIND, spec=spec)
    edit.save(update_fields=["job"])


def target_of(actor: Actor, kind: str, value: Any) -> Any:
    """What the services want in the place of the value. Errors: Invalid, NotFound."""
    if kind in ("priority", "overlap"):
        least, most = (0, 9) if kind == "priority" else (1, MOST_OVERLAP)
        if type(value) is not int or not least <= value <= most:
            raise Invalid(_("value: needs a whole number from %(least)d to %(most)d.") % {"least": least, "most": most})
        return value
    if value is None:
        return None
    if kind == "delete" or not isinstance(value, str):
        raise Invalid(_("value: needs null or an id."))
    return _batch(actor, value) if kind == "batch" else _pool(actor, value)


def _batch(actor: Actor, public_id: str) -> Batch:
    found = Batch.objects.filter(project=actor.project, public_id=public_id.replace("\x00", "")).first()
    if found is None:
        raise NotFound(_("There is no batch %(id)s here.") % {"id": public_id[:60]})
    return found


def _pool(actor: Actor, public_id: str) -> int:
    """0 everybody, a group's key, minus an actor's key."""
    wanted = public_id.replace("\x00", "")
    group = Group.objects.filter(project=actor.project, public_id=wanted).first()
    if group is not None:
        return group.pk
    person = Actor.objects.filter(project=actor.project, public_id=wanted).first()
    if person is None:
        raise NotFound(_("There is no group or person %(id)s here.") % {"id": public_id[:60]})
    return -person.pk


def run_edit(job: Job) -> JSON:
    """The kind's `run`: go on from the last task that was done."""
    edit = BulkEdit.objects.select_related("project", "actor__project", "actor__membership").get(job=job)
    if job.spec["undo"]:
        return _run_undo(job, edit)
    while True:
        _heed_cancel(job)
        piece = _next_piece(edit)
        if not piece:
            return counts_of(edit)
        _do_piece(edit, piece)
        renew(job=job, progress={"changed": edit.changed, "kept": edit.kept})


def counts_of(edit: BulkEdit) -> JSON:
    return {"changed": edit.changed, "kept": edit.kept}


def _next_piece(edit: BulkEdit) -> list[Task]:
    found = matching(edit.project, edit.query).filter(pk__gt=edit.reached, pk__lte=edit.before)
    return list(found.order_by("pk")[:PIECE])


@transaction.atomic
def _do_piece(edit: BulkEdit, piece: Sequence[Task]) -> None:
    """Change these tasks and note how far the edit came, together. A second process finds `reached` moved and stops."""
    changed, kept = _change(edit, piece)
    moved = BulkEdit.objects.filter(pk=edit.pk, reached=edit.reached).update(
        reached=piece[-1].pk, changed=F("changed") + changed, kept=F("kept") + kept
    )
    if moved != 1:
        raise LeaseLost(edit.public_id)
    edit.refresh_from_db(fields=["reached", "changed", "kept"])


def _change(edit: BulkEdit, piece: Sequence[Task]) -> tuple[int, int]:
    """How many were changed, and how many could not be, as far as asked."""
    actor, target = edit.actor, target_of(edit.actor, edit.kind, edit.value)
    if edit.kind == BulkEdit.Kind.OVERLAP:
        changed, kept = task_services.set_overlap(actor=actor, tasks=piece, overlap=target)
        return changed, kept
    if edit.kind == BulkEdit.Kind.PRIORITY:
        return task_services.set_priority(actor=actor, tasks=piece, priority=target), 0
    if edit.kind == BulkEdit.Kind.BATCH:
        return task_services.set_batch(actor=actor, tasks=piece, batch=target), 0
    if edit.kind == BulkEdit.Kind.ASSIGN:
        return task_services.assign(actor=actor, tasks=piece, pool_id=target or 0), 0
    return task_services.archive_tasks(actor=actor, tasks=piece, deletion=edit), 0


def _run_undo(job: Job, edit: BulkEdit) -> JSON:
    restored = int(job.progress.get("restored", 0))
    while piece := list(Task.objects.filter(deletion=edit).order_by("pk")[:PIECE]):
        with transaction.atomic():
            restored += task_services.restore_tasks(actor=edit.actor, tasks=piece)
            # What was put back by hand since is archived no more, and belongs to this deletion no more.
            Task.objects.filter(pk__in=[task.pk for task in piece], deletion=edit).update(deletion=None)
        renew(job=job, progress={"restored": restored})
    return {"restored": restored}


def _heed_cancel(job: Job) -> None:
    if Job.objects.filter(pk=job.pk, cancel_requested_at__isnull=False).exists():
        raise JobError("cancelled", _("Stopped as asked."), hint=_("What was changed so far stays changed."))


def finish_edit(job: Job, result: JSON) -> JSON:
    edit = BulkEdit.objects.get(job=job)
    BulkEdit.objects.filter(pk=edit.pk).update(finished_at=clock.now())
    verb = "tasks.edit_undone" if job.spec["undo"] else "tasks.edited"
    record_event(project=edit.project, actor=job.actor, verb=verb, object_id=edit.public_id, data=result)
    return result


def edit_closed(job: Job) -> None:
    """After any final state; one that succeeded has noted its end."""
    BulkEdit.objects.filter(job=job, finished_at=None).update(finished_at=clock.now())


@transaction.atomic
def undo_deletion(*, actor: Actor, edit: BulkEdit) -> BulkEdit:
    """Put every task of a deletion back, by a job. Errors: Conflict while it runs, when it was undone, or after its window."""
    require_role(actor, *MANAGERS)
    edit = BulkEdit.objects.select_for_update(of=("self",)).select_related("job", "project").get(pk=edit.pk)
    if edit.kind != BulkEdit.Kind.DELETE:
        raise Conflict(_("Only a deletion can be undone; make another change in its place."))
    if edit.job is not None and not edit.job.is_final:
        raise Conflict(_("It is still at work."), hint=_("Cancel it first, or wait until it is done."))
    if not can_undo(edit):
        raise Conflict(_("This deletion can no longer be undone."))
    edit.undone_at = clock.now()
    edit.save(update_fields=["undone_at"])
    _queue(edit, actor, undo=True)
    return edit


def can_undo(edit: BulkEdit) -> bool:
    """Whether the undo window of a deletion is open."""
    within = clock.now() - edit.created_at <= settings.UNDO_WINDOW
    # An undoing that was stopped can be asked for again.
    stopped = edit.job is not None and edit.job.state in (Job.State.FAILED, Job.State.CANCELLED)
    left = edit.undone_at is None or stopped
    return edit.kind == BulkEdit.Kind.DELETE and edit.purged_at is None and left and within


def purge_deletions() -> int:
    """A periodic duty: of deletions past their window, remove the tasks nobody answered. Those with answers stay archived."""
    old = BulkEdit.objects.filter(
        kind=BulkEdit.Kind.DELETE,
        purged_at=None,
        undone_at=None,
        finished_at__isnull=False,
        created_at__lt=clock.now() - settings.UNDO_WINDOW,
    )
    removed, until = 0, time.monotonic() + PURGE_SECONDS
    for edit in old.order_by("pk")[:20]:
        while time.monotonic() < until:
            gone = _purge_piece(edit)
            removed += gone
            if not gone:
                BulkEdit.objects.filter(pk=edit.pk, undone_at=None).update(purged_at=clock.now())
                break
    return removed


@transaction.atomic
def _purge_piece(edit: BulkEdit) -> int:
    piece = list(_unanswered(edit).values_list("pk", flat=True)[:PURGE_PIECE])
    Task.objects.filter(pk__in=piece).delete()
    return len(piece)


def _unanswered(edit: BulkEdit) -> QuerySet[Task]:
    answered = Annotation.objects.filter(task=OuterRef("pk"))
    return Task.objects.filter(~Exists(answered), deletion=edit).order_by("pk")
