"""One change to many tasks: in pieces, resumable, and a deletion that can be undone while its window is open."""

from datetime import timedelta

import pytest

from accounts.models import Event
from annotation.models import Annotation, Batch, BulkEdit, Group, Lane, Slot, Task
from annotation.selectors.queue import get_slot_for, served
from annotation.services import bulk, slots
from annotation.services.bulk import purge_deletions, run_edit, start_edit, undo_deletion
from ground.errors import Conflict, Forbidden, Invalid, NotFound
from jobs.errors import LeaseLost
from jobs.inprocess import run_in_process
from jobs.models import Job
from jobs.services import claim, request_cancel

pytestmark = [pytest.mark.django_db, pytest.mark.store]
EVERYTHING = {"all": []}


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    monkeypatch.setattr(bulk, "PIECE", 2)
    monkeypatch.setattr(bulk, "PURGE_PIECE", 2)


@pytest.fixture
def edit(cast):
    def started(kind, value=None, query=EVERYTHING):
        return start_edit(actor=cast.mona, kind=kind, value=value, query=query)

    return started


def run(row):
    row.job.refresh_from_db()
    run_in_process(claim(job=row.job))
    row.refresh_from_db()
    row.job.refresh_from_db()
    if row.job.is_final:
        bulk.edit_closed(row.job)
    return row


def answer(actor, key):
    claimed = slots.take_next(actor=actor)
    slot = get_slot_for(actor, served(actor, claimed).id)
    slots.submit_answer(
        actor=actor, slot=slot, token=claimed.token, key=key, answers={"preference": {"choice": "first"}}, seconds=1
    )
    return Annotation.objects.get(key=key, actor=actor)


def test_priority_moves_every_task_the_query_finds_and_none_that_came_later(cast, make_tasks, edit):
    make_tasks(5)
    row = edit("priority", 9)
    [late] = make_tasks(1)
    run(row)
    assert (row.job.state, row.changed, row.kept) == ("succeeded", 5, 0)
    assert row.finished_at is not None
    assert Task.objects.filter(priority=9).count() == 5
    assert Slot.objects.filter(lane__priority=9).count() == 5
    late.refresh_from_db()
    assert late.priority == 5
    assert Event.objects.filter(verb="tasks.edited", data__changed=5).count() == 1


def test_a_query_that_the_edit_itself_changes_is_walked_once(cast, make_tasks, edit):
    """All 5 have priority 5 when asked; after the first piece only 3 still do."""
    make_tasks(5)
    row = run(edit("priority", 9, {"all": [{"field": "priority", "op": "eq", "value": 5}]}))
    assert row.changed == 5


def test_an_overlap_that_cannot_go_so_low_is_counted_as_kept(cast, make_tasks, edit):
    """Of 3 tasks at overlap 3 one has two answers: it keeps 2 places, the others get 1."""
    make_tasks(1, overlap=3)
    answer(cast.bob, "b")
    answer(cast.carol, "c")
    make_tasks(2, overlap=3)
    row = run(edit("overlap", 1))
    assert (row.changed, row.kept) == (3, 1)
    assert sorted(Task.objects.values_list("overlap", flat=True)) == [1, 1, 2]


def test_batch_and_assignment_are_changed(cast, make_tasks, edit):
    tasks = make_tasks(3)
    batch = Batch.objects.create(project=cast.project, name="spring")
    group = Group.objects.create(project=cast.project, name="german", kind="language")
    chosen = {"ids": [task.public_id for task in tasks[:2]]}
    assert run(edit("batch", batch.public_id, chosen)).changed == 2
    assert Task.objects.filter(batch=batch).count() == 2
    assert run(edit("assign", group.public_id, chosen)).changed == 2
    assert run(edit("assign", cast.bob.public_id, {"ids": [tasks[2].public_id]})).changed == 1
    assert sorted(Task.objects.values_list("pool_id", flat=True)) == sorted([group.pk, group.pk, -cast.bob.pk])
    assert set(Lane.objects.filter(pool_id=group.pk).values_list("batch", flat=True)) == {batch.pk}
    run(edit("batch", None))
    run(edit("assign", None))
    assert not Task.objects.exclude(pool_id=0, batch=None).exists()


def test_an_edit_that_died_goes_on_behind_the_last_task_it_committed(cast, make_tasks, edit, monkeypatch):
    make_tasks(5)
    row = edit("priority", 9)
    before, pieces = bulk._change, []

    def change(*args):
        pieces.append(args)
        if len(pieces) == 2:
            raise RuntimeError("power cut")
        return before(*args)

    with monkeypatch.context() as patched:
        patched.setattr(bulk, "_change", change)
        run(row)
    assert (row.job.state, row.changed) == ("queued", 2)
    Job.objects.update(not_before=row.created_at)
    run(row)
    assert (row.job.state, row.changed) == ("succeeded", 5)


def test_two_processes_at_one_edit_do_nothing_twice(cast, make_tasks, edit):
    make_tasks(2)
    row = edit("priority", 9)
    stale = BulkEdit.objects.select_related("actor__project", "actor__membership").get(pk=row.pk)
    piece = list(Task.objects.order_by("pk"))
    run_edit(claim(job=row.job))
    with pytest.raises(LeaseLost):
        bulk._do_piece(stale, piece)


def test_a_deletion_is_undone_as_a_whole(cast, make_tasks, edit):
    """5 tasks, one answered, one taken out before: that one is no part of the deletion and stays out."""
    tasks = make_tasks(5)
    said = answer(cast.bob, "b")
    from annotation.services.tasks import archive_tasks

    out = next(task for task in tasks if task.pk != said.task_id)
    archive_tasks(actor=cast.mona, tasks=[out])
    row = run(edit("delete"))
    assert (row.job.state, row.changed) == ("succeeded", 4)
    assert slots.take_next(actor=cast.carol) is None
    assert Task.objects.filter(deletion=row, state=Task.State.ARCHIVED).count() == 4
    row = run(undo_deletion(actor=cast.mona, edit=row))
    assert row.job.result == {"restored": 4}
    assert not Task.objects.filter(deletion=row).exists()
    assert Slot.objects.filter(state=Slot.State.OPEN).count() == 3
    assert Task.objects.get(pk=said.task_id).state == Task.State.COMPLETE
    out.refresh_from_db()
    assert out.state == Task.State.ARCHIVED
    with pytest.raises(Conflict):
        undo_deletion(actor=cast.mona, edit=row)


def test_a_deletion_at_work_is_cancelled_before_it_is_undone(cast, make_tasks, edit):
    make_tasks(3)
    row = edit("delete")
    with pytest.raises(Conflict, match="still at work"):
        undo_deletion(actor=cast.mona, edit=row)
    request_cancel(actor=cast.mona, job=row.job)
    assert run(undo_deletion(actor=cast.mona, edit=row)).job.result == {"restored": 0}
    with pytest.raises(Conflict):
        undo_deletion(actor=cast.mona, edit=run(edit("priority", 1)))


def test_after_its_window_a_deletion_is_purged_but_for_what_was_answered(
    cast, make_tasks, edit, stopped_clock, settings
):
    """5 tasks of which one was answered: 4 are removed with their slots, 1 stays archived with its answer."""
    make_tasks(5)
    said = answer(cast.bob, "b")
    row = run(edit("delete"))
    assert purge_deletions() == 0
    stopped_clock.advance(days=30, seconds=1)
    with pytest.raises(Conflict, match="no longer"):
        undo_deletion(actor=cast.mona, edit=row)
    assert purge_deletions() == 4
    row.refresh_from_db()
    assert row.purged_at is not None
    kept = Task.objects.get()
    assert (kept.pk, kept.state, kept.deletion_id) == (said.task_id, Task.State.ARCHIVED, row.pk)
    assert Slot.objects.count() == 1
    assert Annotation.objects.get() == said
    assert purge_deletions() == 0


def test_an_undone_deletion_is_never_purged(cast, make_tasks, edit, stopped_clock, settings):
    settings.UNDO_WINDOW = timedelta(days=1)
    make_tasks(2)
    row = run(edit("delete"))
    run(undo_deletion(actor=cast.mona, edit=row))
    stopped_clock.advance(days=2)
    assert purge_deletions() == 0
    assert Task.objects.count() == 2


@pytest.mark.parametrize(
    ("kind", "value", "error"),
    [
        ("colour", 1, Invalid), ("priority", 10, Invalid), ("priority", "5", Invalid), ("priority", True, Invalid),
        ("overlap", 0, Invalid), ("overlap", 65, Invalid), ("batch", 5, Invalid), ("batch", "bat_0\x00", NotFound),
        ("assign", "grp_0", NotFound), ("delete", "x", Invalid),
    ],
)  # fmt: skip
def test_a_change_to_nonsense_is_refused(cast, edit, kind, value, error):
    with pytest.raises(error):
        edit(kind, value)
    assert not BulkEdit.objects.exists()


def test_only_managers_change_many_tasks(cast, make_tasks, edit):
    for actor in (cast.bob, cast.carol):
        with pytest.raises(Forbidden):
            start_edit(actor=actor, kind="priority", value=1, query=EVERYTHING)
    row = edit("delete")
    with pytest.raises(Forbidden):
        undo_deletion(actor=cast.carol, edit=row)


def test_an_edit_touches_no_other_project(cast, make_tasks, edit):
    make_tasks(1)
    row = start_edit(actor=cast.mallory, kind="delete", value=None, query=EVERYTHING)
    assert run(row).changed == 0
