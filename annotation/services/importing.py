"""Importing tasks from a file: received as a stream, read by a job in pieces, each of which is there whole or not at all."""

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, wait
from typing import Any

from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.models import F
from django.utils.translation import gettext as _

from accounts.models import Actor
from accounts.services import MANAGERS, record_event, require_role
from annotation.budget import fill_budget
from annotation.lines import MOST_LINES, Chunk, Rules, Wrong, chunks_of
from annotation.models import Batch, Lane, Schema, TaskImport
from annotation.placing import forget_marks
from annotation.services.adding import frame_of, unknown_of, write_new
from annotation.services.import_files import Report, keep, path_of
from annotation.services.tasks import check_overlap
from ground import clock
from ground.collecting import seldom_collected
from ground.dialect import is_postgresql
from ground.errors import Conflict, Forbidden, Gone, Invalid
from ground.ids import new_public_id
from ground.threads import database_threads
from jobs.errors import JobError, LeaseLost
from jobs.models import Job
from jobs.services import renew, request_cancel, submit

KIND = "import_tasks"
PROMPTS_AT_ONCE = 500
TRIES = 5
GIVE_WAY_SECONDS = 3.0
JSON = dict[str, Any]


def start_import(
    *,
    actor: Actor,
    blocks: Iterable[bytes],
    schema: Schema,
    filename: str = "",
    overlap: int = 1,
    priority: int = 5,
    batch: Batch | None = None,
) -> TaskImport:
    """Keep the file and queue its import; the file is on disk before this returns. Managers only.

    Errors: Invalid for an empty file or wrong settings, NoRoom when the disk is full.
    """
    require_role(actor, *MANAGERS)
    check_overlap(overlap)
    if not 0 <= priority <= 9:
        raise Invalid(_("Priority is a number from 0 to 9; 9 comes first."))
    if schema.project_id != actor.project_id or (batch is not None and batch.project_id != actor.project_id):
        raise Forbidden(_("That belongs to another project."))
    public_id = new_public_id("imp")
    size = keep(path_of(public_id), blocks)
    try:
        with transaction.atomic():
            row = TaskImport.objects.create(
                public_id=public_id,
                project=actor.project,
                actor=actor,
                schema=schema,
                batch=batch,
                filename=filename[:200],
                overlap=overlap,
                priority=priority,
                size=size,
            )
            _queue(row)
            data = {"bytes": size, "schema": str(schema)}
            record_event(project=row.project, actor=actor, verb="tasks.import_started", object_id=public_id, data=data)
    except BaseException:
        path_of(public_id).unlink(missing_ok=True)
        raise
    return row


def _queue(row: TaskImport) -> None:
    spec = {"schema_version": 1, "import": row.public_id}
    row.job = submit(actor=row.actor, project=row.project, kind=KIND, spec=spec)
    row.save(update_fields=["job"])


def cancel_import(*, actor: Actor, row: TaskImport) -> TaskImport:
    """Stop reading. The tasks that came in stay."""
    require_role(actor, *MANAGERS)
    assert row.job is not None
    request_cancel(actor=actor, job=row.job)
    row.refresh_from_db()
    return row


@transaction.atomic
def resume_import(*, actor: Actor, row: TaskImport) -> TaskImport:
    """Go on with an import that failed or was cancelled, from the line it had reached. Errors: Conflict, Gone."""
    require_role(actor, *MANAGERS)
    row = TaskImport.objects.select_for_update(of=("self",)).select_related("job", "project", "actor").get(pk=row.pk)
    if row.job is not None and row.job.state not in (Job.State.FAILED, Job.State.CANCELLED):
        raise Conflict(_("This import is %(state)s.") % {"state": row.job.get_state_display()})
    if not path_of(row.public_id).exists():
        raise Gone(
            _("Its file was removed."), hint=_("Send the file again: tasks with a known external id are passed over.")
        )
    row.finished_at = None
    row.save(update_fields=["finished_at"])
    _queue(row)
    record_event(project=row.project, actor=actor, verb="tasks.import_resumed", object_id=row.public_id)
    return row


def run_import(job: Job) -> JSON:
    """The kind's `run`: read on from the last committed line."""
    row = TaskImport.objects.select_related("project", "actor__project", "schema", "batch").get(job=job)
    rules = Rules(row.schema.body, row.overlap, row.priority, row.batch_id)
    at_once = PROMPTS_AT_ONCE if rules.prompts else MOST_LINES
    with seldom_collected(), path_of(row.public_id).open("rb") as stream, Report(row) as report:
        stream.seek(row.offset)
        chunks = chunks_of(stream, row.line, rules, most_lines=at_once)
        for lanes in _commit_all(job, row, chunks, report, alone=rules.prompts):
            row.refresh_from_db(fields=["offset", "line", "made", "known", "wrong"])
            # After the commit: whoever claims in a ranked lane would else wait for this transaction.
            forget_marks(lanes)
            renew(job=job, progress={"step": row.offset, "steps": row.size, "lines": row.line})
    if row.batch is not None:
        with transaction.atomic():
            fill_budget(row.batch)
    return counts_of(row)


def counts_of(row: TaskImport) -> JSON:
    return {"lines": row.line, "made": row.made, "known": row.known, "wrong": row.wrong}


def finish_import(job: Job, result: JSON) -> JSON:
    """The kind's `finish`, in the transaction that closes the job."""
    row = TaskImport.objects.get(job=job)
    TaskImport.objects.filter(pk=row.pk).update(finished_at=clock.now())
    record_event(
        project=row.project, actor=row.actor, verb="tasks.imported", object_id=row.public_id, data=counts_of(row)
    )
    return result


def import_closed(job: Job) -> None:
    """After any final state: the file goes when it was read to its end; a stopped one can go on from it."""
    row = TaskImport.objects.filter(job=job).first()
    if row is None:
        return
    if job.state == Job.State.SUCCEEDED:
        path_of(row.public_id).unlink(missing_ok=True)
    else:
        TaskImport.objects.filter(pk=row.pk, finished_at=None).update(finished_at=clock.now())


def _heed_cancel(job: Job) -> None:
    if Job.objects.filter(pk=job.pk, cancel_requested_at__isnull=False).exists():
        raise JobError("cancelled", _("Stopped as asked."), hint=_("The tasks that came in stay; it can go on."))


def _commit_all(
    job: Job, row: TaskImport, chunks: Iterable[Chunk], report: Report, *, alone: bool
) -> Iterator[set[Lane]]:
    """Commit chunk after chunk, in their order; the lanes of each.

    On PostgreSQL the next one is written meanwhile, in a connection of its own: most of the database's time goes into checking
    keys, which one process does on one core. Lines with prompts may share them, so their chunks would wait for each other.
    """
    if alone or not is_postgresql() or connection.in_atomic_block:
        for chunk in chunks:
            _heed_cancel(job)
            yield _commit(row, chunk, report)
        return
    with database_threads(2) as writers:
        before: Future[set[Lane]] | None = None
        names: set[str] = set()
        for chunk in chunks:
            _heed_cancel(job)
            mine = {task.external_id for task in chunk.tasks if task.external_id}
            if before is not None and (names & mine):
                wait([before])
            now = writers.submit(_commit, row, chunk, report, before)
            if before is not None:
                yield before.result()
            else:
                wait([now])  # the first makes the lanes that the others only look up
            before, names = now, mine
        if before is not None:
            yield before.result()


class _GiveWay(Exception):
    """The chunk before this one may be waiting for a row that this one wrote."""


def _commit(row: TaskImport, chunk: Chunk, report: Report, before: "Future[set[Lane]] | None" = None) -> set[Lane]:
    """One chunk, its count and how far the file was read, in one transaction, after the chunk `before`.

    Another import may commit one of the external ids between our look and our insert, and two may wait for each other: then the
    chunk is tried again, and what was taken counts as known.
    """
    for attempt in range(1, TRIES + 1):
        try:
            with transaction.atomic():
                made, lanes, wrong = _write(row, chunk)
                _wait_for(before)
                report.put(wrong)
                _advance(row, chunk, made=made, wrong=len(wrong))
            break
        except (IntegrityError, OperationalError, _GiveWay):
            if attempt == TRIES:
                raise
            if before is not None:
                wait([before])
    report.settle()
    return lanes


def _wait_for(before: "Future[set[Lane]] | None") -> None:
    """Have the keys checked now, beside the other chunk, and not in the commit; then let that chunk be first."""
    if before is None:
        return
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    try:
        before.result(timeout=GIVE_WAY_SECONDS)
    except TimeoutError as error:
        raise _GiveWay from error


def _write(row: TaskImport, chunk: Chunk) -> tuple[int, set[Lane], list[Wrong]]:
    fresh = unknown_of(row.project, chunk.tasks)
    frame = frame_of(row.project, row.schema, row.batch)
    fresh, lanes, refused = write_new(row.actor, fresh, frame)
    return len(fresh), lanes, sorted([*chunk.wrong, *refused], key=lambda line: line.number)


def _advance(row: TaskImport, chunk: Chunk, *, made: int, wrong: int) -> None:
    """The file's new place. Whoever else read this chunk meanwhile moved it already: then this process has lost the job."""
    here = TaskImport.objects.filter(pk=row.pk, offset=chunk.start)
    passed = len(chunk.tasks) + len(chunk.wrong) - made - wrong
    moved = here.update(
        offset=chunk.offset,
        line=chunk.number,
        made=F("made") + made,
        known=F("known") + passed,
        wrong=F("wrong") + wrong,
    )
    if moved != 1:
        raise LeaseLost(row.public_id)
