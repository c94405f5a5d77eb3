"""Queues and groups: made, changed, paused, archived; tasks follow by a job that can be killed."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Event
from annotation.models import Group, GroupMember, Queue, Slot, Task
from annotation.router import main_queue
from annotation.services import refiling, slots
from annotation.services.groups import add_to_group, create_group, delete_group, remove_from_group, rename_group
from annotation.services.queues import archive_queue, create_queue, pause_queue, resume_queue, update_queue
from annotation.services.tasks import assign
from ground.errors import Conflict, Forbidden, Invalid, NotFound
from jobs.inprocess import run_in_process
from jobs.models import Job
from jobs.services import claim
from tests.annotation.test_queue import answer, claim_of

pytestmark = [pytest.mark.store, pytest.mark.django_db]


def only(**condition):
    return {"schema_version": 1, "all": [{"op": "eq", **condition}]}


GERMAN = only(field="metadata.language", value="de")


def refile(project):
    """Run the waiting job, as a worker would."""
    job = Job.objects.get(project=project, kind="refile", state=Job.State.QUEUED)
    run_in_process(claim(job=job))
    job.refresh_from_db()
    assert job.state == Job.State.SUCCEEDED, job.error
    return job.result


def test_a_new_queue_takes_the_waiting_tasks_that_pass_its_filter(cast, make_tasks):
    make_tasks(2, metadata={"language": "en"})
    german = make_tasks(3, overlap=2, metadata={"language": "de"})
    queue = create_queue(actor=cast.mona, name="german", position=5, filter=GERMAN)
    assert refile(cast.project) == {"moved": 6}
    assert list(queue.tasks.order_by("pk")) == german
    assert claim_of(cast.bob, queue=queue).task_id == german[0].pk


def test_filing_anew_goes_on_where_it_was_killed_and_touches_nothing_twice(cast, make_tasks, monkeypatch):
    """7 tasks, 2 at once; killed in the third piece; the second attempt moves the 3 that are left."""
    monkeypatch.setattr(refiling, "AT_ONCE", 2)
    make_tasks(7, metadata={"language": "de"})
    queue = create_queue(actor=cast.mona, name="german", position=5, filter=GERMAN)
    job = claim(job=Job.objects.get(kind="refile"))
    kept, pieces = refiling._file_chunk, []

    def dies(project, tasks):
        pieces.append(len(tasks))
        if len(pieces) == 3:
            raise OSError("killed")
        return kept(project, tasks)

    monkeypatch.setattr(refiling, "_file_chunk", dies)
    run_in_process(job)
    assert queue.tasks.count() == 4
    monkeypatch.setattr(refiling, "_file_chunk", kept)
    before = dict(Slot.objects.filter(task__queue=queue).values_list("pk", "seq"))
    Job.objects.update(not_before="2000-01-01T00:00Z")
    run_in_process(claim(job=Job.objects.get(kind="refile")))
    assert queue.tasks.count() == 7
    after = dict(Slot.objects.filter(pk__in=before).values_list("pk", "seq"))
    assert after == before


def test_filing_anew_asks_as_often_for_many_tasks_as_for_few(cast, make_tasks):
    """One piece of 4 tasks and one of 40 take the same number of statements, lanes being there already."""
    queue = create_queue(actor=cast.mona, name="german", position=5, filter=GERMAN)
    counts = []
    for count in (4, 4, 40):
        made = make_tasks(count, overlap=2, metadata={"language": "fr"})
        Task.objects.filter(pk__in=[task.pk for task in made]).update(metadata={"language": "de"})
        tasks = list(Task.objects.filter(pk__in=[task.pk for task in made]).select_related("batch", "schema"))
        with CaptureQueriesContext(connection) as asked:
            assert refiling._file_chunk(cast.project, tasks) == 2 * count
        counts.append(len(asked))
    assert counts[1] == counts[2]
    assert queue.tasks.count() == 48


def test_two_changes_before_the_job_starts_make_one_job(cast):
    queue = create_queue(actor=cast.mona, name="german", filter=GERMAN)
    update_queue(actor=cast.mona, queue=queue, position=3)
    assert Job.objects.filter(kind="refile").count() == 1


def test_a_running_job_does_not_stand_for_a_later_change(cast):
    queue = create_queue(actor=cast.mona, name="german", filter=GERMAN)
    claim(job=Job.objects.get(kind="refile"))
    update_queue(actor=cast.mona, queue=queue, position=3)
    assert Job.objects.filter(kind="refile").count() == 2


def test_a_changed_order_moves_what_waits_and_leaves_what_is_in_hand(cast, make_tasks):
    """Values 1, 2, 3; Bob holds the first. By value, greatest first, Carol gets 3, then 2."""
    made = [make_tasks(1, metadata={"rank": value})[0] for value in (1, 2, 3)]
    held = claim_of(cast.bob)
    update_queue(actor=cast.mona, queue=main_queue(cast.project), order="metadata", order_key="rank")
    assert refile(cast.project) == {"moved": 2}
    assert Slot.objects.get(pk=held.slot_id).state == Slot.State.LEASED
    claims = [claim_of(cast.carol)]
    claims.append(claim_of(cast.carol, holding=[claims[0].slot_id]))
    assert [claim.task_id for claim in claims] == [made[2].pk, made[1].pk]


def test_a_setting_that_moves_no_task_starts_no_job(cast):
    assert update_queue(actor=cast.mona, queue=main_queue(cast.project), gold_rate=0.1, warn_below=0.5) is False
    assert not Job.objects.exists()


def test_the_main_queue_is_not_archived_and_has_no_filter(cast):
    main = main_queue(cast.project)
    with pytest.raises(Conflict):
        archive_queue(actor=cast.mona, queue=main)
    for wrong in ({"filter": GERMAN}, {"qualifies_for": create_group(actor=cast.mona, name="in")}):
        with pytest.raises(Invalid):
            update_queue(actor=cast.mona, queue=main, **wrong)
    with pytest.raises(Conflict):
        update_queue(actor=cast.mona, queue=main, name="other")


def test_an_archived_queue_gives_its_tasks_back_and_takes_them_again(cast, make_tasks):
    queue = create_queue(actor=cast.mona, name="german", position=5, filter=GERMAN)
    [task] = make_tasks(1, metadata={"language": "de"})
    archive_queue(actor=cast.mona, queue=queue)
    assert slots.take_next(actor=cast.bob) is None
    refile(cast.project)
    claim = claim_of(cast.bob)
    assert claim.task_id == task.pk
    slots.release(actor=cast.bob, slot=row_of(claim), token=claim.token)
    resume_queue(actor=cast.mona, queue=queue)
    refile(cast.project)
    assert claim_of(cast.bob, queue=queue).task_id == task.pk


def row_of(claim):
    return Slot.objects.select_related("task__project").get(pk=claim.slot_id)


def test_a_slot_given_back_by_an_old_row_goes_where_the_task_is_now(cast, make_tasks):
    """Bob's request read the task before the queue was archived and all was filed anew, and before it was assigned to Carol."""
    queue = create_queue(actor=cast.mona, name="german", position=5, filter=GERMAN)
    [task] = make_tasks(1, metadata={"language": "de"})
    claim = claim_of(cast.bob)
    stale = row_of(claim)
    archive_queue(actor=cast.mona, queue=queue)
    refile(cast.project)
    assign(actor=cast.mona, tasks=[task], pool_id=-cast.carol.pk)
    slots.release(actor=cast.bob, slot=stale, token=claim.token)
    assert slots.take_next(actor=cast.mona) is None
    assert claim_of(cast.carol).task_id == claim.task_id


def test_what_an_import_under_way_filed_in_an_archived_queue_is_found(cast, make_tasks):
    queue = create_queue(actor=cast.mona, name="german", position=5, filter=GERMAN)
    [task] = make_tasks(1, metadata={"language": "de"})
    archive_queue(actor=cast.mona, queue=queue)
    assert slots.take_next(actor=cast.carol) is None
    assert refiling.sweep_stranded() == 1
    assert refiling.sweep_stranded() == 0
    assert claim_of(cast.carol).task_id == task.pk


def test_a_paused_queue_hands_out_nothing_lets_finish_and_resumes(cast, make_tasks):
    make_tasks(2)
    claim = claim_of(cast.bob)
    main = main_queue(cast.project)
    pause_queue(actor=cast.mona, queue=main)
    assert slots.take_next(actor=cast.carol) is None
    assert answer(cast.bob, claim)[0].counted
    pause_queue(actor=cast.mona, queue=main)
    resume_queue(actor=cast.mona, queue=main)
    assert slots.take_next(actor=cast.carol) is not None
    assert list(Event.objects.filter(object_id=main.public_id).values_list("verb", flat=True)) == [
        "queue.paused",
        "queue.resumed",
    ]


def test_only_members_of_a_queues_group_work_there(cast, make_tasks):
    law = create_group(actor=cast.mona, name="law", kind="skill")
    make_tasks(1)
    update_queue(actor=cast.mona, queue=main_queue(cast.project), group=law)
    assert slots.take_next(actor=cast.bob) is None
    assert add_to_group(actor=cast.mona, group=law, member=cast.bob)
    assert not add_to_group(actor=cast.mona, group=law, member=cast.bob)
    assert slots.take_next(actor=cast.bob) is not None


def test_a_test_queue_takes_no_production_task_though_its_filter_fits(cast, make_tasks):
    law = create_group(actor=cast.mona, name="law")
    create_queue(actor=cast.mona, name="exam", position=1, filter=GERMAN, qualifies_for=law)
    assert make_tasks(1, metadata={"language": "de"})[0].queue.name == "main"


@pytest.mark.parametrize(
    "wrong",
    [
        {"gold_rate": 1.5}, {"gold_rate": float("nan")}, {"gold_rate": None}, {"gold_rate": True}, {"pass_share": -0.1},
        {"block_below": 0.9, "warn_below": 0.5}, {"pause_below": 0.2, "block_below": 0.3}, {"warn_below": 2},
        {"order": "metadata"}, {"order": "metadata", "order_key": "\x00"}, {"order": "sideways"}, {"order": ["fifo"]},
        {"position": -1}, {"position": 10**9}, {"position": 1.5}, {"judged_over": 0}, {"reserved_slots": 2}, {"descending": 1},
        {"filter": None}, {"filter": {"all": []}}, {"filter": {"schema_version": 1, "all": [{"field": "x"}]}},
        {"filter": only(field="metadata.a", value="\x00")}, {"filter": only(field="metadata.a", value=float("inf"))},
        {"filter": only(field="metadata.\ud800", value=1)}, {"filter": only(field="score", value=1) | {"surprise": 1}},
        {"filter": {"schema_version": 1, "all": [{"field": "score", "op": {}, "value": 1}]}},
        {"name": "two words"}, {"name": ""}, {"surprise": 1},
    ],
)  # fmt: skip
def test_a_setting_that_makes_no_sense_is_refused_and_changes_nothing(cast, wrong):
    queue = create_queue(actor=cast.mona, name="side")
    before = Queue.objects.filter(pk=queue.pk).values().get()
    with pytest.raises(Invalid):
        update_queue(actor=cast.mona, queue=queue, **wrong)
    assert Queue.objects.filter(pk=queue.pk).values().get() == before


def test_a_reserve_needs_a_group_of_this_project(cast):
    theirs = Group.objects.create(project=cast.mallory.project, name="theirs")
    with pytest.raises(NotFound):
        create_queue(actor=cast.mona, name="side", reserved_group=theirs, reserved_slots=1)
    with pytest.raises(Invalid):
        create_queue(actor=cast.mona, name="side", reserved_group=create_group(actor=cast.mona, name="ours"))
    with pytest.raises(Conflict):
        create_queue(actor=cast.mona, name="main")


def test_names_are_taken_once(cast):
    create_queue(actor=cast.mona, name="side")
    create_group(actor=cast.mona, name="law")
    with pytest.raises(Conflict):
        create_queue(actor=cast.mona, name="side")
    with pytest.raises(Conflict):
        create_group(actor=cast.mona, name=" law ")
    create_group(actor=cast.mona, name="law", kind="skill")


def test_a_group_in_use_is_not_deleted(cast, make_tasks):
    law, art = (create_group(actor=cast.mona, name=name) for name in ("law", "art"))
    queue = create_queue(actor=cast.mona, name="side", reserved_group=law, reserved_slots=1)
    [task] = make_tasks(1)
    assign(actor=cast.mona, tasks=[task], pool_id=art.pk)
    for group in (law, art):
        with pytest.raises(Conflict):
            delete_group(actor=cast.mona, group=group)
    update_queue(actor=cast.mona, queue=queue, reserved_group=None, reserved_slots=0)
    task.refresh_from_db()
    assign(actor=cast.mona, tasks=[task])
    GroupMember.objects.create(group=law, actor=cast.bob)
    for group in (law, art):
        delete_group(actor=cast.mona, group=group)
    assert not Group.objects.filter(project=cast.project).exists()


def test_people_leave_a_group_and_it_can_be_renamed(cast):
    law = create_group(actor=cast.mona, name="law")
    add_to_group(actor=cast.mona, group=law, member=cast.bob)
    rename_group(actor=cast.mona, group=law, name="lawyers")
    assert law.name == "lawyers"
    assert remove_from_group(actor=cast.mona, group=law, member=cast.bob)
    assert not remove_from_group(actor=cast.mona, group=law, member=cast.bob)
    with pytest.raises(NotFound):
        add_to_group(actor=cast.mona, group=law, member=cast.mallory)


def test_annotators_change_no_queue_and_no_group(cast):
    main, law = main_queue(cast.project), create_group(actor=cast.mona, name="law")
    for act in (
        lambda: create_queue(actor=cast.bob, name="x"),
        lambda: update_queue(actor=cast.bob, queue=main, gold_rate=0),
        lambda: pause_queue(actor=cast.bob, queue=main),
        lambda: create_group(actor=cast.bob, name="x"),
        lambda: add_to_group(actor=cast.bob, group=law, member=cast.bob),
        lambda: delete_group(actor=cast.bob, group=law),
    ):
        with pytest.raises(Forbidden):
            act()


def test_a_new_queue_leaves_complete_tasks_findable_for_a_retraction(cast, make_tasks):
    """The job files complete tasks too: a retracted answer reopens its slot in the queue of now."""
    [task] = make_tasks(1, metadata={"language": "de"})
    annotation, _next = answer(cast.bob, claim_of(cast.bob))
    queue = create_queue(actor=cast.mona, name="german", position=5, filter=GERMAN)
    refile(cast.project)
    slots.retract(actor=cast.mona, annotation=annotation, reason="wrong language")
    assert Task.objects.get(pk=task.pk).queue == queue
    assert claim_of(cast.carol, queue=queue).task_id == task.pk
