"""The life of a slot as a model: whatever people do in whatever order, the invariants of the queue hold.

The model is a plain dictionary of who holds what and whose answer counts; after every step it is compared with the database.
"""

import uuid
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from annotation.errors import LeaseLost, NothingToUndo
from annotation.models import Annotation, Draft, Mark, QueueReset, Skip, Slot, Task
from annotation.services import slots, tasks
from annotation.services.editing import Fixed, replace_answer
from ground import clock
from tests.factories import make_annotators, make_cast, make_completion, make_prompt

pytestmark = [pytest.mark.store, pytest.mark.django_db(transaction=True)]

ANSWER = {"preference": {"choice": "first"}}
PEOPLE = st.integers(min_value=0, max_value=3)


class SlotLife(RuleBasedStateMachine):
    """Four people, three tasks, overlaps from 1 to 4, a clock that jumps."""

    moved: Any

    def __init__(self) -> None:
        super().__init__()
        self.cast = make_cast()
        self.people = make_annotators(self.cast.project, 4)
        pairs = [
            (make_completion(prompt), make_completion(prompt)) for prompt in map(make_prompt, [self.cast.project] * 3)
        ]
        self.tasks = tasks.create_pairwise_tasks(actor=self.cast.mona, pairs=pairs, overlap=2)
        self.leases: list[tuple[int, Any]] = []
        self.said: list[tuple[int, Annotation]] = []
        self.keys: set[tuple[int, str]] = set()

    def _slot(self, pk: int) -> Slot:
        return Slot.objects.select_related("task__schema", "task__project").get(pk=pk)

    @rule(who=PEOPLE)
    def take(self, who: int) -> None:
        QueueReset.objects.all().delete()
        claim = slots.take_next(actor=self.people[who])
        if claim is not None:
            assert self._slot(claim.slot_id).actor_id == self.people[who].pk
            self.leases.append((who, claim))

    @precondition(lambda self: self.leases)
    @rule(which=st.integers(min_value=0), retried=st.booleans())
    def answer(self, which: int, retried: bool) -> None:
        """With any lease ever given out, valid or not: nothing said is refused, nothing is said twice."""
        who, claim = self.leases[which % len(self.leases)]
        key = uuid.uuid4().hex
        for _ in range(2 if retried else 1):
            annotation, _next = slots.submit_answer(
                actor=self.people[who], slot=self._slot(claim.slot_id), token=claim.token, key=key, answers=ANSWER
            )
        assert annotation.counted is not annotation.surplus
        self.keys.add((self.people[who].pk, key))
        self.said.append((who, annotation))

    @precondition(lambda self: self.said)
    @rule(which=st.integers(min_value=0))
    def take_back(self, which: int) -> None:
        who, annotation = self.said[which % len(self.said)]
        annotation = Annotation.objects.select_related("task", "slot").get(pk=annotation.pk)
        try:
            self.leases.append((who, slots.undo(actor=self.people[who], annotation=annotation)))
        except NothingToUndo:
            assert not Annotation.objects.get(pk=annotation.pk).counted

    @precondition(lambda self: self.leases)
    @rule(which=st.integers(min_value=0), skips=st.booleans())
    def give_up(self, which: int, skips: bool) -> None:
        who, claim = self.leases[which % len(self.leases)]
        leave = slots.skip if skips else slots.release
        try:
            leave(actor=self.people[who], slot=self._slot(claim.slot_id), token=claim.token)
        except LeaseLost:
            assert self._slot(claim.slot_id).lease_token != claim.token

    @precondition(lambda self: self.leases)
    @rule(which=st.integers(min_value=0))
    def take_a_skip_back(self, which: int) -> None:
        """Of any task that was ever held, skipped or not, by now somebody else's or not."""
        who, claim = self.leases[which % len(self.leases)]
        slot = self._slot(claim.slot_id)
        try:
            self.leases.append((who, slots.unskip(actor=self.people[who], slot=slot)))
        except NothingToUndo:
            return
        assert not Skip.objects.filter(task=slot.task, actor=self.people[who]).exists()

    @precondition(lambda self: self.said)
    @rule(which=st.integers(min_value=0), choice=st.sampled_from(["first", "second", "tie"]))
    def say_it_otherwise(self, which: int, choice: str) -> None:
        who, old = self.said[which % len(self.said)]
        key = uuid.uuid4().hex
        counted = Annotation.objects.get(pk=old.pk).counted
        try:
            new = replace_answer(
                actor=self.people[who], annotation=old, key=key, answers={"preference": {"choice": choice}}
            )
        except Fixed:
            return
        assert (new.counted, new.surplus, new.slot_id) == (counted, old.surplus, old.slot_id)
        self.keys.add((self.people[who].pk, key))
        self.said.append((who, new))

    @precondition(lambda self: self.leases)
    @rule(which=st.integers(min_value=0))
    def write_draft(self, which: int) -> None:
        who, claim = self.leases[which % len(self.leases)]
        slots.save_draft(actor=self.people[who], task=self._slot(claim.slot_id).task, answers={"begun": True})

    @rule(seconds=st.sampled_from([1, 600, 1000, 90_000]))
    def wait(self, seconds: int) -> None:
        self.moved.advance(seconds=seconds)
        slots.expire_leases()

    @rule(which=st.integers(min_value=0, max_value=2), overlap=st.integers(min_value=1, max_value=4))
    def ask_for_more_or_fewer(self, which: int, overlap: int) -> None:
        tasks.set_overlap(actor=self.cast.mona, tasks=[self.tasks[which]], overlap=overlap)

    @rule(which=st.integers(min_value=0, max_value=2), priority=st.integers(min_value=0, max_value=9))
    def move(self, which: int, priority: int) -> None:
        tasks.set_priority(actor=self.cast.mona, tasks=[self.tasks[which]], priority=priority)

    @invariant()
    def a_task_has_as_many_places_as_its_overlap(self) -> None:
        for task in Task.objects.filter(pk__in=[task.pk for task in self.tasks]):
            places = Slot.objects.filter(task=task).exclude(state=Slot.State.CLOSED)
            assert places.count() == task.overlap
            assert task.done == places.filter(state=Slot.State.DONE).count()
            assert (task.state == Task.State.COMPLETE) == (task.done == task.overlap)

    @invariant()
    def every_done_slot_has_one_counted_answer_of_its_actor(self) -> None:
        for slot in Slot.objects.filter(task__in=self.tasks, state=Slot.State.DONE):
            assert [row.actor_id for row in Annotation.objects.filter(slot=slot, counted=True)] == [slot.actor_id]
        counted = Annotation.objects.filter(task__in=self.tasks, counted=True)
        assert counted.count() == Slot.objects.filter(task__in=self.tasks, state=Slot.State.DONE).count()
        assert counted.values("task", "actor").distinct().count() == counted.count()

    @invariant()
    def a_parked_slot_has_a_draft_and_no_answer(self) -> None:
        for slot in Slot.objects.filter(task__in=self.tasks, state=Slot.State.PARKED):
            assert Draft.objects.filter(task_id=slot.task_id, actor_id=slot.actor_id).exists()
            assert not Annotation.objects.filter(slot=slot, counted=True).exists()

    @invariant()
    def nothing_said_is_lost(self) -> None:
        assert self.keys <= set(Annotation.objects.filter(task__in=self.tasks).values_list("actor_id", "key"))

    def teardown(self) -> None:
        """Whatever happened, the work can be finished by people who have not seen it."""
        for _ in ("leases end, some slots are parked", "parked slots go back"):
            self.moved.advance(seconds=100_000)
            slots.expire_leases()
        Mark.objects.all().delete()
        for actor in make_annotators(self.cast.project, 4):
            claim = slots.take_next(actor=actor)
            while claim is not None:
                _annotation, claim = slots.submit_answer(
                    actor=actor,
                    slot=self._slot(claim.slot_id),
                    token=claim.token,
                    key=uuid.uuid4().hex,
                    answers=ANSWER,
                    then_next=True,
                )
        assert {task.state for task in Task.objects.filter(pk__in=[task.pk for task in self.tasks])} == {
            Task.State.COMPLETE
        }


def test_whatever_people_do_the_queue_keeps_its_word():
    """25 stories of up to 25 steps on PostgreSQL, 8 on SQLite."""
    stories = 25 if connection.vendor == "postgresql" else 8
    with clock.stopped() as moved:
        machine = type("Life", (SlotLife,), {"moved": moved})
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=stories,
                stateful_step_count=25,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                derandomize=True,
                database=None,
            ),
        )
