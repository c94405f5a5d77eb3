"""Rows of new tasks and their slots, many at once: COPY on PostgreSQL, bulk inserts on SQLite.

COPY spares a model instance and a bound value for each column, which cost more than the rows themselves.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from django.db import connection, models

from annotation import dialect
from annotation.lines import NewTask
from annotation.models import Lane, Queue, Schema, Slot, Task
from annotation.router import Router, facts_of, seq_in
from ground.dialect import is_postgresql
from ground.ids import new_public_ids

WRITTEN = (
    "id", "created_at", "public_id", "project_id", "batch_id", "schema_id", "prompt_id", "queue_id", "external_id", "data",
    "metadata", "overlap", "priority",
)  # fmt: skip
SLOT_COLUMNS = ("task_id", "lane_id", "ordinal", "seq", "state")
SlotRow = tuple[int, int, int, int]
Lanes = dict[tuple[int, int, int, bool], list[Lane]]


@dataclass(frozen=True)
class Frame:
    """What all tasks of one import share. `held`: a budget decides later which of their slots open."""

    router: Router
    schema: Schema
    at: datetime
    batch_id: int | None = None
    batch_name: str = ""
    held: bool = False


def write_tasks(tasks: Sequence[NewTask], frame: Frame) -> set[Lane]:
    """Insert tasks, with the keys they are given here, and their slots; the lanes they wait in. Call inside a transaction.

    Errors: IntegrityError when another transaction took one of their external ids first.
    """
    if not tasks:
        return set()
    _file(tasks, frame)
    write = _copy_tasks if is_postgresql() else _insert_tasks
    write(tasks, frame)
    lanes: Lanes = {}
    rows = _slot_rows(tasks, frame.router, lanes)
    state = Slot.State.HELD if frame.held else Slot.State.OPEN
    if is_postgresql():
        lines = (f"{task}\t{lane}\t{ordinal}\t{seq}\t{int(state)}\n" for task, lane, ordinal, seq in rows)
        _copy(Slot, SLOT_COLUMNS, lines)
    else:
        slots = [
            Slot(task_id=task, lane_id=lane, ordinal=place, seq=seq, state=state) for task, lane, place, seq in rows
        ]
        Slot.objects.bulk_create(slots, batch_size=1000)
    return {lane for found in lanes.values() for lane in found}


def _file(tasks: Sequence[NewTask], frame: Frame) -> None:
    """The queue of each task. Without filters there is nothing to ask."""
    router = frame.router
    filters = any(queue.filter["all"] for queue in router.queues if queue.pk != router.main.pk)
    for task in tasks:
        if filters:
            facts = facts_of(task, batch=frame.batch_name, schema=frame.schema.name)  # type: ignore[arg-type]
            task.queue_id = router.queue_for(facts).pk
        else:
            task.queue_id = router.main.pk


def _slot_rows(tasks: Sequence[NewTask], router: Router, lanes: Lanes) -> list[SlotRow]:
    """A row for every slot. Lanes of tasks alike are looked up once; in lanes of arrival the number is the opening itself."""
    openings = iter(next_openings(sum(task.overlap for task in tasks)))
    rows: list[SlotRow] = []
    for task in tasks:
        key = (task.queue_id, task.priority, task.overlap, task.sensitive)
        found = lanes.get(key)
        queue = router.queue(task.queue_id) if found is None or found[0].order != Queue.Order.FIFO else None
        if found is None and queue is not None:
            found = lanes[key] = [router.place(task, queue, place, 0)[0] for place in range(task.overlap)]  # type: ignore[arg-type]
        assert found is not None
        for ordinal, lane in enumerate(found):
            seq = next(openings)
            if lane.order != Queue.Order.FIFO and queue is not None:
                seq = seq_in(task, queue, seq)  # type: ignore[arg-type]
            rows.append((task.pk, lane.pk, ordinal, seq))
    return rows


def _copy_tasks(tasks: Sequence[NewTask], frame: Frame) -> None:
    names, values = _constants()
    at = frame.at.astimezone(UTC).isoformat()
    project = frame.router.project.pk
    batch, schema = _or_null(frame.batch_id), frame.schema.pk
    keys = next_keys(len(tasks))
    public_ids = new_public_ids("tsk", len(tasks))
    for task, key in zip(tasks, keys, strict=True):
        task.pk = key
    lines = (
        f"{task.pk}\t{at}\t{public_id}\t{project}\t{batch}\t{schema}\t{_or_null(task.prompt_id)}\t{task.queue_id}\t"
        f"{_escaped(task.external_id)}\t{_json(task.data)}\t{_json(task.labels)}\t{task.overlap}\t{task.priority}{values}\n"
        for task, public_id in zip(tasks, public_ids, strict=True)
    )
    _copy(Task, (*WRITTEN, *names), lines)


def _constants() -> tuple[list[str], str]:
    """Every other column that must have a value: its name, and the field's default as COPY reads it."""
    rest = [field for field in Task._meta.concrete_fields if field.column not in WRITTEN and not field.null]
    return [str(field.column) for field in rest], "".join(f"\t{_default(field)}" for field in rest)


def _default(field: "models.Field[Any, Any]") -> str:
    value = field.get_default()
    return (
        ("t" if value else "f")
        if isinstance(value, bool)
        else str(value if not hasattr(value, "value") else value.value)
    )


def known_names(project_id: int, names: Sequence[str]) -> set[str]:
    """Those external ids that have a task. PostgreSQL must be told that none is empty, or it does not use their index."""
    if not is_postgresql():
        known = Task.objects.filter(project=project_id, external_id__in=names)
        return set(known.values_list("external_id", flat=True))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT external_id FROM annotation_task "
            "WHERE project_id = %s AND external_id = ANY(%s) AND NOT (external_id = '')",
            [project_id, list(names)],
        )
        return {row[0] for row in cursor.fetchall()}


def next_keys(count: int) -> list[int]:
    """Fresh primary keys of tasks, in one round trip."""
    return _next("pg_get_serial_sequence('annotation_task', 'id')", count)


def next_openings(count: int) -> list[int]:
    """What `dialect.next_openings` gives, as one value instead of a row for each."""
    return _next("'annotation_opening'", count) if is_postgresql() else dialect.next_openings(count)


def _next(sequence: str, count: int) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT array_agg(nextval({sequence})) FROM generate_series(1, %s::int)", [count])
        found: list[int] = cursor.fetchone()[0]
    return found


def _copy(model: type[models.Model], columns: Iterable[str], lines: Iterable[str]) -> None:
    """Send lines as they are made: the database works on the first while the others are still being written."""
    with connection.cursor() as cursor:
        statement = f"COPY {model._meta.db_table} ({', '.join(columns)}) FROM STDIN"
        with connection.wrap_database_errors, cursor.copy(statement) as copy:
            for piece in _pieces(lines):
                copy.write("".join(piece).encode())


def _pieces(lines: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(lines)
    while piece := list(islice(rest, 200)):
        yield piece


_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def _escaped(text: str) -> str:
    return text if text.isalnum() else text.translate(_ESCAPES)


def _json(text: str) -> str:
    """JSON text has no raw control characters; only its backslashes mean something to COPY."""
    return text.replace("\\", "\\\\") if "\\" in text else text


def _or_null(value: int | None) -> str:
    return "\\N" if value is None else str(value)


def _insert_tasks(tasks: Sequence[NewTask], frame: Frame) -> None:
    rows = [
        Task(
            created_at=frame.at,
            project=frame.router.project,
            queue_id=task.queue_id,
            batch_id=frame.batch_id,
            schema=frame.schema,
            prompt_id=task.prompt_id,
            external_id=task.external_id,
            data=json.loads(task.data),
            metadata=task.metadata,
            overlap=task.overlap,
            priority=task.priority,
        )
        for task in tasks
    ]
    Task.objects.bulk_create(rows, batch_size=500)
    for task, row in zip(tasks, rows, strict=True):
        task.pk = row.pk
