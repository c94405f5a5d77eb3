"""Importing tasks from a file: received as a stream, read by a job in pieces, each of which is there whole or not at all."""

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from django.conf import settings
from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.models import F
from django.utils.translation import gettext as _

from accounts.models import Actor, Project
from accounts.services import MANAGERS, record_event, require_role
from annotation.budget import fill_budget
from annotation.copying import Frame, known_names, write_tasks
from annotation.errors import NoRoom
from annotation.lines import MOST_LINES, Chunk, NewTask, Rules, Wrong, chunks_of
from annotation.models import Batch, Candidate, Lane, Schema, TaskImport
from annotation.placing import forget_marks
from annotation.router import Router
from annotation.schemas import check_schema, labels_schema, pairwise_schema
from annotation.services.tasks import DEFAULT_QUESTION, check_overlap, current_schema
from ground import clock
from ground.dialect import is_postgresql
from ground.errors import Conflict, Forbidden, Gone, Invalid, NotFound
from ground.ids import new_public_id
from jobs.errors import JobError, LeaseLost
from jobs.models import Job
from jobs.services import renew, request_cancel, submit
from models_registry.models import Completion, Prompt
from models_registry.services.completions import import_completions
from models_registry.services.prompts import import_prompts
from models_registry.texts import check_json

KIND = "import_tasks"
PAIRS_AT_ONCE = 500
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
    size = _keep(path_of(public_id), blocks)
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


def schema_for(
    *,
    actor: Actor,
    schema: str = "",
    template: str = "",
    question: str = "",
    options: Sequence[str] = (),
    multiple: bool = False,
) -> Schema:
    """The project's schema of a name, or one made by a template; the same question again is the same schema. Managers only.

    Errors: NotFound, Invalid.
    """
    require_role(actor, *MANAGERS)
    if schema:
        found = (
            Schema.objects.filter(project=actor.project, name=schema.replace("\x00", "")).order_by("-version").first()
        )
        if found is None:
            raise NotFound(_("There is no schema %(name)s here.") % {"name": schema[:80]})
        return found
    if template == "labels":
        body = labels_schema(text=question or _("Which label fits?"), options=list(options), multiple=multiple)
    else:
        body = pairwise_schema(text=question or DEFAULT_QUESTION)
    try:
        check_schema(check_json(body, "schema"))
    except ValueError as error:
        raise Invalid(str(error)) from error
    with transaction.atomic():
        return current_schema(actor.project, template, body)


def batch_named(actor: Actor, public_id: str) -> Batch | None:
    """The batch of an id; none for none. Errors: NotFound."""
    if not public_id:
        return None
    found = Batch.objects.filter(project=actor.project, public_id=public_id.replace("\x00", "")).first()
    if found is None:
        raise NotFound(_("There is no batch %(id)s here.") % {"id": public_id[:60]})
    return found


def _queue(row: TaskImport) -> None:
    spec = {"schema_version": 1, "import": row.public_id}
    row.job = submit(actor=row.actor, project=row.project, kind=KIND, spec=spec)
    row.save(update_fields=["job"])


def path_of(public_id: str) -> Path:
    """Where an import's file lies while it is needed."""
    return Path(settings.IMPORTS) / f"{public_id}.jsonl"


def report_of(public_id: str) -> Path:
    """Where its errors are listed, one JSON line each."""
    return Path(settings.IMPORTS) / f"{public_id}.errors.jsonl"


def _keep(path: Path, blocks: Iterable[bytes]) -> int:
    """Write the file beside, then rename it; its size. What a client that went away left half-sent is removed."""
    part = path.with_suffix(".part")
    size = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as stream:
            for block in blocks:
                size += len(block)
                if size > settings.IMPORT_MOST_BYTES:
                    raise Invalid(_("The file is larger than this server takes."), hint=_("Split it."))
                _write_block(stream, block)
            stream.flush()
            os.fsync(stream.fileno())
        if size == 0:
            raise Invalid(_("The file is empty."), hint=_("Send one JSON object a line, with a Content-Length."))
        part.rename(path)
    finally:
        part.unlink(missing_ok=True)
    return size


def _write_block(stream: BinaryIO, block: bytes) -> None:
    try:
        stream.write(block)
    except OSError as error:
        raise NoRoom(_("There is no room for this file."), hint=_("Free space where var/imports lies.")) from error


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
    at_once = PAIRS_AT_ONCE if rules.compares else MOST_LINES
    with path_of(row.public_id).open("rb") as stream, Report(row) as report:
        stream.seek(row.offset)
        chunks = chunks_of(stream, row.line, rules, most_lines=at_once)
        for lanes in _commit_all(job, row, chunks, report, alone=rules.compares):
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


class Report:
    """The list of wrong lines. A line in it counts once the chunk it belongs to is committed; a later one is cut off."""

    def __init__(self, row: TaskImport) -> None:
        self.path = report_of(row.public_id)
        self.stream = self.path.open("r+b" if self.path.exists() else "w+b")
        for _line in range(row.wrong):
            self.stream.readline()
        self.end = self.stream.tell()

    def __enter__(self) -> "Report":
        return self

    def __exit__(self, *error: object) -> None:
        self.stream.close()

    def put(self, wrong: Sequence[Wrong]) -> None:
        """On disk before the commit that counts them."""
        self.stream.seek(self.end)
        self.stream.truncate()
        if wrong:
            self.stream.writelines(line.as_line().encode() for line in wrong)
            self.stream.flush()
            os.fsync(self.stream.fileno())

    def settle(self) -> None:
        self.end = self.stream.tell()


def _commit_all(
    job: Job, row: TaskImport, chunks: Iterable[Chunk], report: Report, *, alone: bool
) -> Iterator[set[Lane]]:
    """Commit chunk after chunk, in their order; the lanes of each.

    On PostgreSQL the next one is written meanwhile, in a connection of its own: most of the database's time goes into checking
    keys, which one process does on one core. Lines that compare share prompts, so their chunks would wait for each other.
    """
    if alone or not is_postgresql() or connection.in_atomic_block:
        for chunk in chunks:
            _heed_cancel(job)
            yield _commit(row, chunk, report)
        return
    with ThreadPoolExecutor(max_workers=2) as writers:
        before: Future[set[Lane]] | None = None
        names: set[str] = set()
        for chunk in chunks:
            _heed_cancel(job)
            mine = {task.external_id for task in chunk.tasks if task.external_id}
            if before is not None and (names & mine):
                wait([before])
            now = writers.submit(_commit_beside, row, chunk, report, before)
            if before is not None:
                yield before.result()
            else:
                wait([now])  # the first makes the lanes that the others only look up
            before, names = now, mine
        if before is not None:
            yield before.result()


def _commit_beside(row: TaskImport, chunk: Chunk, report: Report, before: "Future[set[Lane]] | None") -> set[Lane]:
    try:
        return _commit(row, chunk, report, before)
    finally:
        connection.close()


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
    fresh = _unknown(row.project, chunk.tasks)
    frame = Frame(
        router=Router(row.project),
        schema=row.schema,
        at=clock.now(),
        batch_id=row.batch_id,
        batch_name=row.batch.name if row.batch else "",
        held=row.batch is not None and row.batch.budget is not None,
    )
    refused: list[Wrong] = []
    responses: list[list[Completion]] = []
    if fresh and fresh[0].pair is not None:
        fresh, responses, refused = _candidates(row.actor, fresh)
    lanes = write_tasks(fresh, frame)
    Candidate.objects.bulk_create(
        Candidate(task_id=task.pk, completion=pick, ordinal=place)
        for task, pair in zip(fresh, responses, strict=False)
        for place, pick in enumerate(pair)
    )
    return len(fresh), lanes, sorted([*chunk.wrong, *refused], key=lambda line: line.number)


def _unknown(project: Project, tasks: Sequence[NewTask]) -> list[NewTask]:
    """Those whose external id no task has, in the file up to here or in the project."""
    seen = known_names(project.pk, [task.external_id for task in tasks if task.external_id])
    fresh = []
    for task in tasks:
        if task.external_id not in seen:
            fresh.append(task)
            if task.external_id:
                seen.add(task.external_id)
    return fresh


def _candidates(actor: Actor, tasks: list[NewTask]) -> tuple[list[NewTask], list[list[Completion]], list[Wrong]]:
    """Prompts and responses of lines that compare: the tasks that can be made, with them, and the lines that cannot."""
    pairs = [task.pair for task in tasks if task.pair is not None]
    results = import_prompts(actor=actor, project=actor.project, rows=[prompt for prompt, _texts in pairs])
    prompts = Prompt.objects.in_bulk([result.id for result in results if result.id], field_name="public_id")
    taken, rows, wrong = [], [], []
    for task, (_prompt, texts), result in zip(tasks, pairs, results, strict=True):
        if result.status == "invalid":
            wrong.append(Wrong(task.number, result.error, task.raw))
            continue
        task.prompt_id = prompts[result.id].pk
        taken.append(task)
        rows += [(prompts[result.id], text) for text in texts]
    made = import_completions(actor=actor, rows=rows)
    return taken, [made[place : place + 2] for place in range(0, len(made), 2)], wrong


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


def sweep_files() -> int:
    """Remove files of imports that stopped long ago: nobody went on with them."""
    old = TaskImport.objects.filter(finished_at__lt=clock.now() - settings.UNDO_WINDOW)
    removed = 0
    with suppress(FileNotFoundError):
        names = {path.stem for path in Path(settings.IMPORTS).glob("imp_*.jsonl") if not path.stem.endswith(".errors")}
        for public_id in old.filter(public_id__in=list(names)[:500]).values_list("public_id", flat=True):
            path_of(public_id).unlink(missing_ok=True)
            removed += 1
    return removed
