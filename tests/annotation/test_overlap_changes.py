"""Exactly as many places as asked for, whatever is changed while people work."""

import random
import uuid
from collections import Counter

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from annotation.models import Annotation, Batch, Draft, Group, GroupMember, Queue, Slot, Task
from annotation.router import main_queue
from annotation.services import slots
from annotation.services.batches import edit_batch
from annotation.services.tasks import (
    archive_tasks,
    assign,
    restore_tasks,
    set_batch,
    set_overlap,
    set_priority,
    set_scores,
)
from jobs.models import Outbox
from tests.annotation.test_queue import ANSWER, answer, claim_of, slot_of
from tests.annotation.test_queue_order import just_looked
from tests.factories import make_annotators

pytestmark = [pytest.mark.store, pytest.mark.django_db]
STATES = Slot.State


def states(task):
    return Counter(Slot.objects.filter(task=task).exclude(state=STATES.CLOSED).values_list("state", flat=True))


def test_raising_a_complete_task_opens_it_for_others(cast, make_tasks):
    [task] = make_tasks(1)
    answer(cast.bob, claim_of(cast.bob))
    assert set_overlap(actor=cast.mona, tasks=[task], overlap=2) == (1, 0)
    task.refresh_from_db()
    assert (task.state, task.overlap) == (Task.State.OPEN, 2)
    assert slots.take_next(actor=cast.bob) is None
    answer(cast.carol, claim_of(cast.carol))
    task.refresh_from_db()
    assert (task.state, task.done) == (Task.State.COMPLETE, 2)


def test_lowering_keeps_what_is_in_hand_or_answered(cast, make_tasks):
    """Overlap 5: one answered, one in hand, one parked, two open. Asked for 1 it can go down to 3."""
    [task] = make_tasks(1, overlap=5)
    one, two, three = make_annotators(cast.project, 3)
    answer(one, claim_of(one))
    claim_of(two)
    parked = claim_of(three)
    Draft.objects.create(task=task, actor=three, answers={})
    Slot.objects.filter(pk=parked.slot_id).update(lease_expires_at="2000-01-01T00:00Z")
    slots.expire_leases()
    assert set_overlap(actor=cast.mona, tasks=[task], overlap=1) == (1, 1)
    task.refresh_from_db()
    assert task.overlap == 3
    assert states(task) == {STATES.DONE: 1, STATES.LEASED: 1, STATES.PARKED: 1}
    assert set_overlap(actor=cast.mona, tasks=[task], overlap=1) == (0, 1)


def test_a_task_completed_by_lowering_is_announced_to_review(cast, make_tasks):
    [task] = make_tasks(1, overlap=2)
    answer(cast.bob, claim_of(cast.bob))
    Outbox.objects.all().delete()
    set_overlap(actor=cast.mona, tasks=[task], overlap=1)
    assert list(Outbox.objects.values_list("consumer", "object_id")) == [("reviews", task.pk)]


def test_a_raise_is_seen_in_a_ranked_queue_behind_everybodys_mark(cast, make_tasks):
    queue = main_queue(cast.project)
    Queue.objects.filter(pk=queue.pk).update(order=Queue.Order.SCORE, breadth_first=False)
    first, second = make_tasks(2)
    set_scores(actor=cast.mona, scores={first.public_id: 2.0, second.public_id: 1.0})
    for actor in (cast.bob, cast.carol):
        just_looked(actor)
        answer(actor, claim_of(actor))
    set_overlap(actor=cast.mona, tasks=[first, second], overlap=2)
    assert claim_of(cast.bob).task_id == second.pk
    assert claim_of(cast.carol).task_id == first.pk


def test_the_reserve_stays_one_when_overlap_changes(cast, make_tasks):
    """Kept for the group: one of 3, still one of 5 after the raise, one of 2 after lowering."""
    law = Group.objects.create(project=cast.project, name="law")
    queue = main_queue(cast.project)
    Queue.objects.filter(pk=queue.pk).update(reserved_group=law, reserved_slots=1)
    [task] = make_tasks(1, overlap=3)
    for overlap in (5, 2, 3):
        task.refresh_from_db()
        set_overlap(actor=cast.mona, tasks=[task], overlap=overlap)
        pools = Slot.objects.filter(task=task, state=STATES.OPEN).values_list("lane__pool_id", flat=True)
        assert Counter(pools) == {law.pk: 1, 0: overlap - 1}


def test_a_reserve_that_was_used_is_not_kept_twice(cast, make_tasks):
    """A member took the one place kept of 2; raised to 4, the three others are everybody's."""
    law = Group.objects.create(project=cast.project, name="law")
    queue = main_queue(cast.project)
    Queue.objects.filter(pk=queue.pk).update(reserved_group=law, reserved_slots=1)
    [task] = make_tasks(1, overlap=2)
    GroupMember.objects.create(group=law, actor=cast.bob)
    answer(cast.bob, claim_of(cast.bob))
    set_overlap(actor=cast.mona, tasks=[task], overlap=4)
    pools = Slot.objects.filter(task=task, state=STATES.OPEN).values_list("lane__pool_id", flat=True)
    assert Counter(pools) == {0: 3}


def test_archived_and_restored_a_task_has_its_places_again(cast, make_tasks):
    [task] = make_tasks(1, overlap=3)
    answer(cast.bob, claim_of(cast.bob))
    claim_of(cast.carol)
    archive_tasks(actor=cast.mona, tasks=[task])
    assert states(task) == {STATES.DONE: 1, STATES.LEASED: 1}
    restore_tasks(actor=cast.mona, tasks=[task])
    assert states(task) == {STATES.DONE: 1, STATES.LEASED: 1, STATES.OPEN: 1}


def test_restored_gold_is_not_offered_as_a_task(cast, make_tasks):
    """Gold has a slot for each reader only; two readers left it, so its overlap is 2 and both places are closed."""
    [task] = make_tasks(1)
    Slot.objects.filter(task=task).delete()
    Task.objects.filter(pk=task.pk).update(purpose=Task.Purpose.GOLD, overlap=2)
    task.refresh_from_db()
    archive_tasks(actor=cast.mona, tasks=[task])
    restore_tasks(actor=cast.mona, tasks=[task])
    task.refresh_from_db()
    assert task.state == Task.State.OPEN
    assert not Slot.objects.filter(task=task).exists()


class Play:
    """Random work and random changes on a few tasks, by one seed."""

    def __init__(self, cast, tasks, seed):
        self.cast, self.tasks = cast, tasks
        self.draw = random.Random(seed)
        self.people = make_annotators(cast.project, 6)
        self.law = Group.objects.create(project=cast.project, name="law")
        for actor in self.people[:3]:
            GroupMember.objects.create(group=self.law, actor=actor)
        self.batch = Batch.objects.create(project=cast.project, name="lot")
        self.held = []

    def step(self):
        task = self.draw.choice(self.tasks)
        task.refresh_from_db()
        mona, one = self.cast.mona, [task]
        doing = self.draw.choice(
            ("work", "work", "work", "lapse", "raise", "archive", "restore", "assign", "batch", "budget", "priority")
        )
        if doing == "work":
            self.work()
        elif doing == "lapse":
            self.lapse()
        elif doing == "raise":
            set_overlap(actor=mona, tasks=one, overlap=self.draw.randint(1, 6))
        elif doing == "archive":
            archive_tasks(actor=mona, tasks=one)
        elif doing == "restore":
            restore_tasks(actor=mona, tasks=self.tasks)
        elif doing == "assign":
            pool = self.draw.choice((0, 0, self.law.pk, -self.people[0].pk))
            assign(actor=mona, tasks=one, pool_id=pool)
        elif doing == "batch":
            set_batch(actor=mona, tasks=one, batch=self.draw.choice((None, self.batch)))
        elif doing == "budget":
            edit_batch(actor=mona, batch=self.batch, budget=self.draw.choice((None, 2, 5, 9)))
        else:
            set_priority(actor=mona, tasks=one, priority=self.draw.randint(0, 9))

    def work(self):
        actor = self.draw.choice(self.people)
        claim = slots.take_next(actor=actor)
        if claim is None:
            return
        doing = self.draw.random()
        slot = slot_of(claim)
        slot.task.project = self.cast.project
        if doing < 0.6:
            slots.submit_answer(actor=actor, slot=slot, token=claim.token, key=uuid.uuid4().hex, answers=ANSWER)
        elif doing < 0.7:
            slots.release(actor=actor, slot=slot, token=claim.token)
        elif doing < 0.8:
            slots.save_draft(actor=actor, task=slot.task, answers={})

    def lapse(self):
        Slot.objects.filter(state__in=(STATES.LEASED, STATES.PARKED)).update(lease_expires_at="2000-01-01T00:00Z")
        slots.expire_leases()

    def check(self):
        for task in Task.objects.filter(pk__in=[task.pk for task in self.tasks]):
            found = states(task)
            answered = Annotation.objects.filter(task=task, counted=True).count()
            assert found[STATES.DONE] == answered == task.done
            if task.state != Task.State.ARCHIVED:
                assert sum(found.values()) == task.overlap
                assert task.state == (Task.State.COMPLETE if task.done >= task.overlap else Task.State.OPEN)
            else:
                assert not found[STATES.OPEN] + found[STATES.HELD]
        for slot in Slot.objects.filter(state__in=(STATES.OPEN, STATES.HELD)).select_related("lane", "task"):
            assert (slot.lane.batch_id, slot.lane.priority) == (slot.task.batch_id, slot.task.priority)
            assert slot.lane.pool_id == slot.task.pool_id
        self.batch.refresh_from_db()
        if self.batch.budget is not None:
            mine = Counter(Slot.objects.filter(task__batch=self.batch).values_list("state", flat=True))
            hand = mine[STATES.LEASED] + mine[STATES.PARKED] + mine[STATES.DONE]
            assert mine[STATES.OPEN] + hand <= max(self.batch.budget, hand)


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_every_task_has_exactly_its_places_after_any_changes(cast, make_tasks, seed):
    """150 random steps: answers, lapses, raises, cuts, archives, assignments, batches, budgets; checked after each."""
    play = Play(cast, make_tasks(4, overlap=2), seed)
    for _ in range(150):
        play.step()
        play.check()


def test_an_archived_task_in_hand_is_not_offered_again(cast, make_tasks):
    first, second = make_tasks(2)
    claim_of(cast.bob)
    archive_tasks(actor=cast.mona, tasks=[first])
    assert claim_of(cast.bob).task_id == second.pk


def test_a_late_answer_does_not_fill_the_reserve_of_a_group(cast, make_tasks):
    """Bob is late, and what is left of the task is kept for a group he is not in: his answer stays as surplus."""
    law = Group.objects.create(project=cast.project, name="law")
    queue = main_queue(cast.project)
    Queue.objects.filter(pk=queue.pk).update(reserved_group=law, reserved_slots=1)
    make_tasks(1, overlap=2)
    late = claim_of(cast.bob)
    Slot.objects.filter(pk=late.slot_id).update(lease_expires_at="2000-01-01T00:00Z")
    slots.expire_leases()
    answer(cast.carol, claim_of(cast.carol))
    annotation, _next = answer(cast.bob, late)
    assert annotation.surplus


@pytest.mark.parametrize("change", ["raise", "lower", "archive", "restore"])
def test_ten_tasks_take_no_more_statements_than_two(cast, make_tasks, change):
    def statements(tasks):
        if change == "restore":
            archive_tasks(actor=cast.mona, tasks=tasks)
        with CaptureQueriesContext(connection) as made:
            if change == "archive":
                done = archive_tasks(actor=cast.mona, tasks=tasks)
            elif change == "restore":
                done = restore_tasks(actor=cast.mona, tasks=tasks)
            else:
                done, _kept = set_overlap(actor=cast.mona, tasks=tasks, overlap=3 if change == "raise" else 1)
        assert done == len(tasks)
        return len(made)

    make_tasks(1, overlap=3)  # the lanes of three rounds, looked up and not made from here on
    few, many = make_tasks(2, overlap=2), make_tasks(10, overlap=2)
    assert statements(many) <= statements(few)
