"""A file of tasks comes in: every right line once, every wrong line named, whatever breaks on the way."""

import json
from io import BytesIO
from pathlib import Path

import pytest
from django.db import connection, connections

from accounts.models import Event
from annotation.lines import LONGEST_LINE, Rules, read_chunk
from annotation.models import Batch, Candidate, Lane, Mark, Queue, Slot, Task, TaskImport
from annotation.router import Router
from annotation.schemas import labels_schema, pairwise_schema
from annotation.services import importing, slots
from annotation.services.import_files import path_of, report_of
from annotation.services.importing import (
    cancel_import,
    resume_import,
    run_import,
    start_import,
)
from annotation.services.tasks import current_schema
from ground.errors import Conflict, Forbidden, Invalid
from jobs.errors import LeaseLost
from jobs.inprocess import run_in_process
from jobs.models import Job
from jobs.services import claim
from models_registry.models import Completion, Prompt

pytestmark = [pytest.mark.django_db, pytest.mark.store]
LABELS = labels_schema(text="What is it about?", options=["weather", "sport"])


@pytest.fixture(autouse=True)
def folder(settings, tmp_path):
    settings.IMPORTS = tmp_path / "imports"


@pytest.fixture
def start(cast):
    """`start([{…}, b"raw line"], overlap=3)`: an import waiting for its job."""

    def started(lines, body=LABELS, **options):
        schema = current_schema(cast.project, "pairwise" if body is not LABELS else "topic", body)
        data = b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines) + b"\n"
        return start_import(actor=cast.mona, blocks=[data[:7], data[7:]], schema=schema, filename="x.jsonl", **options)

    return started


def run(row):
    """Its job, as a worker does it."""
    run_in_process(claim(job=row.job))
    row.refresh_from_db()
    row.job.refresh_from_db()
    return row


def line(name, **more):
    return {"external_id": name, "data": {"text": f"Text of {name}"}, **more}


def report(row):
    return [json.loads(text) for text in report_of(row.public_id).read_text().splitlines()]


def read(lines, body=LABELS, **options):
    chunk = read_chunk(BytesIO(b"\n".join(lines)), 0, Rules(body), **options)
    return chunk.tasks, {wrong.number: wrong.error for wrong in chunk.wrong}


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b'{"data": {"text": "\xff"}}', "not UTF-8"),
        (b"{broken", "not JSON"),
        (b"[1]", "no JSON object"),
        (b'{"data": {"text": "a\\u0000b"}}', "data.text: holds a NUL character."),
        (b'{"data": {"text": "a\\ud800b"}}', "half a surrogate pair"),
        (b'{"data": {"text": "a"}, "metadata": {"\\u0000": 1}}', "NUL"),
        (b'{"data": {"text": "a"}, "colour": 1}', "colour: unknown field. Known: data, external_id"),
        (b'{"data": {"words": "a"}}', "data.text: needs a text"),
        (b'{"data": ["text"]}', "data: needs an object"),
        (b"{}", "data: needs an object"),
        (b'{"data": {"text": "a"}, "priority": 10}', "priority: needs a whole number from 0 to 9."),
        (b'{"data": {"text": "a"}, "priority": true}', "priority: needs a whole number"),
        (b'{"data": {"text": "a"}, "overlap": 0}', "overlap: needs a whole number from 1 to 64."),
        (b'{"data": {"text": "a"}, "overlap": 1e0}', "overlap: needs a whole number"),
        (b'{"data": {"text": "a"}, "external_id": 7}', "external_id: needs a text."),
        (b'{"data": {"text": "a"}, "external_id": "' + b"x" * 201 + b'"}', "longer than 200"),
        (b'{"data": {"text": "a"}, "metadata": []}', "metadata: needs an object."),
        (b'{"data": {"text": "a"}, "metadata": {"x": NaN}}', "NaN is no number"),
        (b'{"data": {"text": "a"}, "metadata": {"x": 1e999}}', "JSON compliant"),
        (b'{"data": {"text": "a"}, "metadata": {"x": ' + b"9" * 400 + b"}}", "too large"),
        (b'{"data": {"text": "a"}, "metadata": {"x": ' + b"[" * 30 + b"]" * 30 + b"}}", "nested too deeply"),
        (b'{"data": {"text": "a"}, "metadata": {"x": ' + b"[" * 90000 + b"]" * 90000 + b"}}", "not JSON"),
        (b'{"data": {"text": "' + b"x" * LONGEST_LINE + b'"}}', "longer than 1048576 bytes"),
    ],
)
def test_a_wrong_line_is_named_and_stops_no_other(raw, said):
    tasks, wrong = read([b'{"data": {"text": "before"}}', raw, b'{"data": {"text": "after"}}'])
    assert [task.number for task in tasks] == [1, 3]
    assert list(wrong) == [2]
    assert said in wrong[2]


def test_a_byte_order_mark_and_blank_lines_are_no_errors():
    tasks, wrong = read([b'\xef\xbb\xbf{"data": {"text": "a"}}', b"", b"   \r", b'{"data": {"text": "b"}}\r'])
    assert ([task.number for task in tasks], wrong) == ([1, 4], {})


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b'{"responses": ["a", "b"]}', "either prompt or messages"),
        (b'{"prompt": "p", "messages": [], "responses": ["a", "b"]}', "either prompt or messages"),
        (b'{"prompt": "p", "responses": ["a"]}', "responses: needs a list of 2 texts."),
        (b'{"prompt": "p", "responses": ["a", 1]}', "responses[1]: expected text."),
        (b'{"prompt": "p", "responses": ["a", "b"], "data": []}', "data: needs an object"),
        (b'{"prompt": "p", "responses": ["a", "b"], "sensitive": 7}', "sensitive: is true, or at most 80"),
    ],
)
def test_a_wrong_comparison_is_named(raw, said):
    tasks, wrong = read([raw], pairwise_schema(text="Which?"))
    assert tasks == []
    assert said in wrong[1]


def test_a_chunk_ends_at_its_lines_or_its_bytes():
    many = [b'{"data": {"text": "a"}}'] * 10
    assert len(read(many, most_lines=4)[0]) == 4
    assert len(read(many, most_bytes=25)[0]) == 2


@pytest.mark.django_db(transaction=True)
def test_every_right_line_becomes_a_task_with_its_slots(cast, start):
    """Lines 1 and 4 are tasks of overlap 3 and 2; 2 is wrong; 3 repeats line 1: 5 slots."""
    lines = [line("a", metadata={"language": 'de\\\t"ü'}, priority=9), b"{", line("a"), line("b\tc\\", overlap=2)]
    row = run(start(lines, overlap=3))
    assert (row.job.state, row.line, row.made, row.known, row.wrong) == ("succeeded", 4, 2, 1, 1)
    assert row.finished_at is not None
    first, second = Task.objects.order_by("pk")
    assert (first.external_id, first.priority, first.overlap) == ("a", 9, 3)
    assert first.data == {"schema_version": 1, "text": "Text of a"}
    assert first.metadata == {"language": 'de\\\t"ü'}
    assert (second.external_id, second.priority, second.overlap) == ("b\tc\\", 5, 2)
    assert [slot.ordinal for slot in first.slots.order_by("ordinal")] == [0, 1, 2]
    assert Slot.objects.count() == 5
    assert [entry["line"] for entry in report(row)] == [2]
    assert report(row)[0]["text"] == "{"
    assert Event.objects.filter(verb="tasks.imported", data__made=2).count() == 1
    assert not path_of(row.public_id).exists()


def test_an_imported_task_is_as_one_made_by_the_orm(cast, start):
    """Every column that COPY fills from a default has the value a saved row has."""
    run(start([line("a")]))
    imported = Task.objects.get()
    fresh = Task(project=cast.project, queue=imported.queue, schema=imported.schema, data=imported.data)
    names = {field.attname for field in Task._meta.concrete_fields} - {"id", "public_id", "created_at", "external_id"}
    assert {name: getattr(imported, name) for name in names} == {name: getattr(fresh, name) for name in names}
    assert imported.public_id.startswith("tsk_")
    assert len(imported.public_id) == 36


def test_imported_tasks_are_handed_out_by_priority_then_in_order(cast, start):
    run(start([line("low", priority=1), line("b"), line("c"), line("high", priority=9)]))
    names = []
    while claimed := slots.take_next(
        actor=cast.bob, holding=list(Slot.objects.filter(state=1).values_list("pk", flat=True))
    ):
        names.append(Task.objects.get(pk=claimed.task_id).external_id)
    assert names == ["high", "b", "c", "low"]


def test_lines_are_filed_by_the_filters_of_queues(cast, start):
    condition = {"field": "metadata.language", "op": "eq", "value": "de"}
    german = Queue.objects.create(
        project=cast.project, name="german", filter={"schema_version": 1, "all": [condition]}, order="random"
    )
    run(start([line("a", metadata={"language": "de"}), line("b", metadata={"language": "fr"})]))
    assert dict(Task.objects.values_list("external_id", "queue__name")) == {"a": "german", "b": "main"}
    assert Lane.objects.get(queue=german).order == "random"


def test_marks_in_a_ranked_lane_are_forgotten_after_the_commit(cast, start):
    """A mark past the new slots would hide them."""
    condition = {"field": "priority", "op": "gte", "value": 0}
    Queue.objects.create(
        project=cast.project, name="shuffled", filter={"schema_version": 1, "all": [condition]}, order="random"
    )
    run(start([line("a")]))
    Mark.objects.create(actor=cast.bob, lane=Lane.objects.get(), seq=2**62)
    run(start([line("b")]))
    assert not Mark.objects.exists()


def test_slots_of_a_batch_are_held_to_its_budget(cast, start):
    batch = Batch.objects.create(project=cast.project, name="spring", budget=3)
    row = run(start([line(f"t{n}") for n in range(5)], batch=batch))
    assert row.job.state == "succeeded"
    states = list(Slot.objects.order_by("task_id").values_list("state", flat=True))
    assert states == [Slot.State.OPEN] * 3 + [Slot.State.HELD] * 2


def test_comparisons_bring_their_prompts_and_responses(cast, start):
    lines = [
        {"external_id": "one", "prompt": "Why?", "responses": ["Because.", "No."]},
        {"messages": [{"role": "user", "content": "Why?"}], "responses": ["x", "y"]},
        {"prompt": "  ", "responses": ["x", "y"]},
        {"external_id": "one", "prompt": "Why?", "responses": ["Because.", "No."]},
    ]
    row = run(start(lines, pairwise_schema(text="Which?"), overlap=2))
    assert (row.job.state, row.made, row.known, row.wrong) == ("succeeded", 2, 1, 1)
    assert [entry["line"] for entry in report(row)] == [3]
    assert Prompt.objects.count() == 1
    task = Task.objects.get(external_id="one")
    texts = Candidate.objects.filter(task=task).order_by("ordinal").values_list("completion__text", flat=True)
    assert list(texts) == ["Because.", "No."]
    assert Completion.objects.filter(source="imported").count() == 4
    assert slots.take_next(actor=cast.bob) is not None


def broken_after(monkeypatch, chunks):
    """The process dies in the next chunk, its rows written and not committed."""
    before, left = importing._advance, [chunks]

    def advance(*args, **options):
        if left[0] == 0:
            raise RuntimeError("power cut")
        left[0] -= 1
        return before(*args, **options)

    monkeypatch.setattr(importing, "_advance", advance)


def test_an_import_that_died_goes_on_with_nothing_twice_and_nothing_lost(cast, start, monkeypatch):
    """10 lines in chunks of 3, every 4th wrong; the third chunk breaks, so 6 lines are in and 1 is reported."""
    monkeypatch.setattr(importing, "MOST_LINES", 3)
    lines = [b"{" if n % 4 == 3 else line("" if n % 2 else f"t{n}", overlap=2) for n in range(10)]
    row = start(lines)
    with monkeypatch.context() as patched:
        broken_after(patched, 2)
        run(row)
    assert (row.job.state, row.line, row.made, row.wrong) == ("queued", 6, 5, 1)
    assert Task.objects.count() == 5
    Job.objects.update(not_before=row.created_at)
    run(row)
    assert (row.job.state, row.line, row.made, row.known, row.wrong) == ("succeeded", 10, 8, 0, 2)
    assert Task.objects.count() == 8
    assert Slot.objects.count() == 16
    assert [entry["line"] for entry in report(row)] == [4, 8]


def test_what_a_dead_process_wrote_into_the_report_is_cut_off(cast, start, monkeypatch):
    monkeypatch.setattr(importing, "MOST_LINES", 1)
    row = start([b"{", b"[", line("a")])
    with monkeypatch.context() as patched:
        broken_after(patched, 1)
        run(row)
    assert len(report(row)) == 2
    Job.objects.update(not_before=row.created_at)
    run(row)
    assert [entry["line"] for entry in report(row)] == [1, 2]


def test_two_processes_at_one_import_make_nothing_twice(cast, start):
    """Whoever finds the file's place moved has lost the job."""
    row = start([line(""), line("")])
    claimed = claim(job=row.job)
    stale = TaskImport.objects.select_related("project", "actor", "schema", "batch").get(pk=row.pk)
    run_import(claimed)
    chunk = read_chunk(path_of(row.public_id).open("rb"), 0, Rules(LABELS))
    with pytest.raises(LeaseLost):
        importing._commit(stale, chunk, importing.Report(stale))
    assert Task.objects.count() == 2


def test_a_second_import_of_the_same_file_makes_nothing(cast, start):
    lines = [line("a"), line("b")]
    run(start(lines))
    row = run(start(lines))
    assert (row.made, row.known, row.wrong) == (0, 2, 0)


@pytest.mark.django_db(transaction=True)
def test_an_external_id_that_another_import_commits_meanwhile_counts_as_known(cast, start, monkeypatch):
    """The other import commits "b" between this one's look and its insert: the chunk is tried again."""
    before, done = importing.unknown_of, []

    def looked(project, tasks):
        fresh = before(project, tasks)
        if not done:
            done.append(True)
            theirs = Task(
                project=cast.project, queue=Queue.objects.get(name="main"), schema=row.schema, external_id="b"
            )
            theirs.data = {"schema_version": 1, "text": "theirs"}
            if connection.vendor == "sqlite":
                raise importing.IntegrityError("as PostgreSQL says it")
            other = connections.create_connection("default")
            with other.cursor() as cursor:
                names = [f.column for f in Task._meta.concrete_fields if f.column != "id"]
                values = [
                    f.get_db_prep_save(getattr(theirs, f.attname), other)
                    for f in Task._meta.concrete_fields
                    if f.column != "id"
                ]
                marks = ", ".join(["%s"] * len(names))
                cursor.execute(f"INSERT INTO annotation_task ({', '.join(names)}) VALUES ({marks})", values)
            other.close()
        return fresh

    Router(cast.project)
    row = start([line("a"), line("b"), line("c")])
    monkeypatch.setattr(importing, "unknown_of", looked)
    run(row)
    expected = (3, 0) if connection.vendor == "sqlite" else (2, 1)
    assert (row.job.state, row.made, row.known) == ("succeeded", *expected)
    assert Task.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_a_cancelled_import_keeps_what_came_in_and_can_go_on(cast, start, monkeypatch):
    monkeypatch.setattr(importing, "MOST_LINES", 2)
    row = start([line(f"t{n}") for n in range(5)])
    heed = importing._heed_cancel
    asked = []

    def after_the_first(job):
        if row.__class__.objects.get(pk=row.pk).made and not asked:
            asked.append(True)
            cancel_import(actor=cast.mona, row=TaskImport.objects.get(pk=row.pk))
        heed(job)

    monkeypatch.setattr(importing, "_heed_cancel", after_the_first)
    run(row)
    assert (row.job.state, row.made) == ("cancelled", 2)
    assert row.finished_at is not None
    row = resume_import(actor=cast.mona, row=row)
    run(row)
    assert (row.job.state, row.made, row.known) == ("succeeded", 5, 0)
    with pytest.raises(Conflict):
        resume_import(actor=cast.mona, row=row)


def test_an_empty_file_and_a_stranger_are_refused(cast, start, settings):
    schema = current_schema(cast.project, "topic", LABELS)
    with pytest.raises(Invalid, match="empty"):
        start_import(actor=cast.mona, blocks=[b""], schema=schema)
    settings.IMPORT_MOST_BYTES = 10
    with pytest.raises(Invalid, match="larger"):
        start_import(actor=cast.mona, blocks=[b"x" * 11], schema=schema)
    for actor in (cast.bob, cast.carol, cast.mallory):
        with pytest.raises(Forbidden):
            start_import(actor=actor, blocks=[b"{}"], schema=schema)
    assert list(Path(settings.IMPORTS).glob("*")) == []
    assert TaskImport.objects.count() == 0


def test_ids_made_together_rise_and_differ():
    from ground.ids import new_public_ids

    ids = new_public_ids("tsk", 5000)
    assert len(set(ids)) == 5000
    assert ids[:4096] == sorted(ids[:4096])
    assert all(len(name) == 36 and name[16] == "7" and name[20] in "89ab" for name in ids)
