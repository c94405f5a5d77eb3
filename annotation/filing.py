"""Where slots stand: which queue takes a task, which lane a slot waits in, and its number there."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from accounts.models import Project
from annotation import dialect
from annotation.filters import passes
from annotation.models import Batch, Lane, Mark, PastLease, Queue, Slot, Task
from annotation.ranking import place, shuffled
from ground import clock

EVERYONE = 0
RANKED = (Queue.Order.RANDOM, Queue.Order.METADATA, Queue.Order.SCORE)


def main_queue(project: Project) -> Queue:
    """The queue that takes what no other takes."""
    return Queue.objects.get_or_create(project=project, name=Queue.MAIN, defaults={"position": 1000})[0]


def facts_of(task: Task, *, batch: str = "", schema: str = "") -> dict[str, Any]:
    """What a queue's filter can ask of a task."""
    return {
        "batch": batch,
        "external_id": task.external_id,
        "metadata": task.metadata,
        "overlap": task.overlap,
        "priority": task.priority,
        "schema": schema,
        "score": task.score,
    }


class Router:
    """Files tasks of one project: the first queue, by position, whose filter a task passes, and the lanes of its slots.

    Looks queues and lanes up once; make a new one for each transaction.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self.main = main_queue(project)
        takers = Queue.objects.filter(project=project).exclude(state=Queue.State.ARCHIVED).exclude(pk=self.main.pk)
        self.queues = [*takers.order_by("position", "pk"), self.main]
        self._lanes: dict[tuple[Any, ...], Lane] = {}

    def queue_for(self, facts: Mapping[str, Any]) -> Queue:
        takers = (queue for queue in self.queues if queue.pk != self.main.pk and queue.filter["all"])
        return next((queue for queue in takers if passes(queue.filter, facts)), self.main)

    def queue(self, pk: int) -> Queue:
        known = {queue.pk: queue for queue in self.queues}
        return known[pk] if pk in known else Queue.objects.get(pk=pk)

    def place(self, task: Task, queue: Queue, ordinal: int, opening: int) -> tuple[Lane, int]:
        """The lane and the number there of a slot that opens for the first time."""
        lane = self.lane(
            queue=queue,
            batch_id=task.batch_id,
            pool_id=_pool(task, queue, ordinal),
            priority=task.priority,
            round=ordinal if queue.breadth_first else 0,
        )
        return lane, _seq(task, queue, opening)

    def returned(self, task: Task, queue: Queue, ordinal: int) -> Lane:
        """The lane of slots that came back: before those nobody has had."""
        pool_id = _pool(task, queue, ordinal)
        return self.lane(
            queue=queue, batch_id=task.batch_id, pool_id=pool_id, priority=task.priority, round=0, returned=True
        )

    def lane(
        self,
        *,
        queue: Queue,
        batch_id: int | None,
        pool_id: int,
        priority: int,
        round: int = 0,
        returned: bool = False,
    ) -> Lane:
        order = Queue.Order.FIFO if returned else queue.order
        sort = (9 - priority) * 1000 + (500 if pool_id == EVERYONE else 0) + (0 if returned else 1 + round)
        key = (queue.pk, batch_id, pool_id, str(order), sort)
        if key not in self._lanes:
            self._lanes[key], _made = Lane.objects.get_or_create(
                queue=queue,
                batch_id=batch_id,
                pool_id=pool_id,
                order=order,
                sort=sort,
                defaults={
                    "project_id": queue.project_id,
                    "priority": priority,
                    "round": round,
                    "returned": returned,
                },
            )
        return self._lanes[key]


def _pool(task: Task, queue: Queue, ordinal: int) -> int:
    """Whom a slot is kept for: its task's assignee, or, for the last ones, the group the queue reserves them for."""
    if task.pool_id != EVERYONE:
        return task.pool_id
    kept = queue.reserved_group_id is not None and ordinal >= task.overlap - queue.reserved_slots
    return queue.reserved_group_id or EVERYONE if kept else EVERYONE


def _seq(task: Task, queue: Queue, opening: int) -> int:
    if queue.order == Queue.Order.RANDOM:
        return shuffled(opening)
    if queue.order == Queue.Order.METADATA:
        return place(task.metadata.get(queue.order_key), descending=queue.descending, opening=opening)
    if queue.order == Queue.Order.SCORE:
        return place(task.score, descending=True, opening=opening)
    return opening


def new_slots(router: Router, tasks: Sequence[Task], ordinals: Iterable[int] | None = None) -> list[Slot]:
    """Unsaved slots for tasks that have a key and a queue. In a batch with a budget they are held until `fill_budget`."""
    slots = []
    budgeted = _budgeted(tasks)
    for task in tasks:
        queue = router.queue(task.queue_id)
        wanted = list(ordinals) if ordinals is not None else range(task.overlap)
        for ordinal, opening in zip(wanted, dialect.next_openings(len(wanted)), strict=True):
            lane, seq = router.place(task, queue, ordinal, opening)
            state = Slot.State.HELD if task.batch_id in budgeted else Slot.State.OPEN
            slots.append(Slot(task=task, lane=lane, ordinal=ordinal, seq=seq, state=state))
    return slots


def _budgeted(tasks: Sequence[Task]) -> set[int | None]:
    batches = {task.batch_id for task in tasks if task.batch_id is not None}
    return set(Batch.objects.filter(pk__in=batches, budget__isnull=False).values_list("pk", flat=True))


def open_slots(router: Router, tasks: Sequence[Task]) -> None:
    """Slots for new tasks."""
    slots = new_slots(router, tasks)
    Slot.objects.bulk_create(slots, batch_size=1000)
    forget_marks({slot.lane for slot in slots})
    for batch in Batch.objects.filter(pk__in=_budgeted(tasks)):
        fill_budget(batch)


def forget_marks(lanes: Iterable[Lane]) -> None:
    """In a ranked lane a slot can land behind somebody's mark; whoever has marks there looks from the start again."""
    ranked = [lane.pk for lane in lanes if lane.order in RANKED]
    if ranked:
        Mark.objects.filter(lane_id__in=ranked).delete()


def refile(router: Router, slots: Sequence[Slot], *, state: int | None = None) -> int:
    """Put waiting slots (with their tasks loaded) where they now belong, under fresh numbers. Returns how many were moved.

    Slots that somebody is claiming this moment are passed over. Call inside a transaction.
    """
    waiting = (Slot.State.OPEN, Slot.State.HELD)
    keys = [slot.pk for slot in slots]
    locked = Slot.objects.filter(pk__in=keys, state__in=waiting).select_for_update(skip_locked=True, of=("self",))
    held = list(locked.select_related("task", "lane").order_by("pk"))
    moved, lanes = [], set()
    for slot, opening in zip(held, dialect.next_openings(len(held)), strict=True):
        queue = router.queue(slot.task.queue_id)
        if slot.lane.returned:
            lane, seq = router.returned(slot.task, queue, slot.ordinal), opening
        else:
            lane, seq = router.place(slot.task, queue, slot.ordinal, opening)
        lanes.add(lane)
        moved.append((slot.pk, lane.pk, seq, slot.state if state is None else state))
    dialect.move_slots(moved)
    forget_marks(lanes)
    return len(moved)


def reopen(slot: Slot, ending: str) -> bool:
    """Put a slot back into the queue, under a fresh number in a lane of returned slots. False: another process was first.

    The lease that ended is remembered. A slot of gold is that actor's alone, and one of an archived task is wanted no more:
    both are closed instead.
    """
    task = slot.task
    unchanged = Slot.objects.filter(pk=slot.pk, state=slot.state, lease_token=slot.lease_token)
    freed: dict[str, Any] = {"lease_token": None, "lease_expires_at": None}
    if task.is_gold:
        done = unchanged.update(state=Slot.State.CLOSED, **freed)
    elif task.state == Task.State.ARCHIVED:
        done = unchanged.update(state=Slot.State.CLOSED, actor=None, **freed)
    else:
        router = Router(task.project)
        lane = router.returned(task, router.queue(task.queue_id), slot.ordinal)
        [seq] = dialect.next_openings(1)
        done = unchanged.update(state=Slot.State.OPEN, actor=None, lane=lane, seq=seq, **freed)
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


def fill_budget(batch: Batch) -> int:
    """Open as many held slots as the budget still pays for; without a budget, all. Returns how many. Call inside a transaction."""
    batch = Batch.objects.select_for_update().select_related("project").get(pk=batch.pk)
    slots = Slot.objects.filter(task__batch=batch)
    held = slots.filter(state=Slot.State.HELD).order_by("lane__sort", "seq")
    if batch.budget is not None:
        in_play = slots.filter(
            state__in=(Slot.State.OPEN, Slot.State.LEASED, Slot.State.DONE, Slot.State.PARKED)
        ).count()
        held = held[: max(batch.budget - in_play, 0)]
    chosen = list(held)
    return refile(Router(batch.project), chosen, state=Slot.State.OPEN) if chosen else 0
