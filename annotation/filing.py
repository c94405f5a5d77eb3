"""Slots go into the queue: those of new tasks, and those that come back."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings

from annotation import dialect
from annotation.budget import beyond_budget, fill_budget
from annotation.models import Batch, PastLease, Queue, Slot, Task
from annotation.placing import budgeted_batches, new_slots, save_new_slots
from annotation.router import EVERYONE, Router
from ground import clock


def open_slots(router: Router, tasks: Sequence[Task]) -> None:
    """Slots for new tasks."""
    save_new_slots(new_slots(router, tasks))
    for batch in Batch.objects.filter(pk__in=budgeted_batches(tasks)):
        fill_budget(batch)


def reopen(slot: Slot, ending: str) -> bool:
    """Put a slot back into the queue, under a fresh number in a lane of returned slots. False: another process was first.

    The lease that ended is remembered. A slot of gold stays that actor's, and one of an archived task is wanted no more: it is
    closed instead. One that a lowered budget does not pay for any more is held. Call inside a transaction.
    """
    list(Slot.objects.filter(pk=slot.pk).select_for_update().values_list("pk", flat=True))
    # Whoever files a task elsewhere locks its slots first, so from here on the task is as it will stay until we commit.
    task = Task.objects.select_related("project").get(pk=slot.task_id)
    unchanged = Slot.objects.filter(pk=slot.pk, state=slot.state, lease_token=slot.lease_token)
    freed: dict[str, Any] = {"lease_token": None, "lease_expires_at": None}
    if task.is_gold:
        done = unchanged.update(**{**freed, **_gold_back(slot, task, ending)})
    elif task.state == Task.State.ARCHIVED:
        done = unchanged.update(state=Slot.State.CLOSED, actor=None, **freed)
    else:
        done = unchanged.update(actor=None, leased_at=None, **freed, **_place_back(slot, task))
    if done and slot.actor_id is not None:
        PastLease.objects.create(
            slot=slot,
            actor_id=slot.actor_id,
            lane_id=slot.lane_id,
            seq=slot.seq,
            leased_at=slot.leased_at,
            ended_at=clock.now(),
            ending=ending,
        )
    return bool(done)


def _gold_back(slot: Slot, task: Task, ending: str) -> dict[str, Any]:
    """Any other task given back comes again at once; gold that did not would be known by that. So it is kept for its actor."""
    again = slot.state == Slot.State.LEASED and ending in (PastLease.Ending.RELEASED, PastLease.Ending.EXPIRED)
    if not again or task.state == Task.State.ARCHIVED:
        return {"state": Slot.State.CLOSED}
    until = clock.now() + timedelta(seconds=settings.SLOT_PARK_SECONDS)
    return {"state": Slot.State.PARKED, "lease_expires_at": until}


def _place_back(slot: Slot, task: Task) -> dict[str, Any]:
    router = Router(task.project)
    queue = router.queue(task.queue_id)
    lane = router.lane_of(task, queue, slot.ordinal, _pool_back(slot, task, queue), returned=True)
    [seq] = dialect.next_openings(1)
    state = Slot.State.HELD if task.batch_id is not None and beyond_budget(task.batch_id) else Slot.State.OPEN
    return {"state": state, "lane": lane, "seq": seq}


def _pool_back(slot: Slot, task: Task, queue: Queue) -> int:
    """The reserve takes a slot back only while it holds fewer of the task's places than it is to."""
    if task.pool_id != EVERYONE or queue.reserved_group_id is None:
        return task.pool_id
    others = Slot.objects.filter(task_id=task.pk).exclude(pk=slot.pk).exclude(state=Slot.State.CLOSED)
    kept = others.filter(lane__pool_id=queue.reserved_group_id).count()
    return queue.reserved_group_id if kept < queue.reserved_slots else EVERYONE
