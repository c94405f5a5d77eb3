"""A slot's place: its lane and its number there, when it is made, when it moves, when it opens."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from accounts.models import Project
from annotation import dialect
from annotation.models import Batch, Lane, Mark, Queue, Slot, Task
from annotation.ranking import opening_of
from annotation.router import Router, pools_for, seq_in

RANKED = (Queue.Order.RANDOM, Queue.Order.METADATA, Queue.Order.SCORE)
WAITING = (Slot.State.OPEN, Slot.State.HELD)
IN_HAND = (Slot.State.LEASED, Slot.State.DONE, Slot.State.PARKED)

Move = tuple[Slot, Lane, int | None, int]
"""A waiting slot, its lane, its number there (None: a fresh one), its state."""


def new_slots(router: Router, tasks: Sequence[Task]) -> list[Slot]:
    """Unsaved slots for tasks that have a key and a queue. In a batch with a budget they are held until `fill_budget`."""
    budgeted = budgeted_batches(tasks)
    return more_slots(router, [(task, range(task.overlap)) for task in tasks], budgeted)


def more_slots(router: Router, wanted: Sequence[tuple[Task, range]], budgeted: Collection[int]) -> list[Slot]:
    """Unsaved slots: the ordinals wanted of each task."""
    openings = iter(dialect.next_openings(sum(len(ordinals) for _task, ordinals in wanted)))
    slots = []
    for task, ordinals in wanted:
        queue = router.queue(task.queue_id)
        pools = pools_for(task, queue, ordinals)
        state = Slot.State.HELD if task.batch_id in budgeted else Slot.State.OPEN
        for ordinal in ordinals:
            lane, seq = router.lane_of(task, queue, ordinal, pools[ordinal]), seq_in(task, queue, next(openings))
            slots.append(Slot(task=task, lane=lane, ordinal=ordinal, seq=seq, state=state))
    return slots


def budgeted_batches(tasks: Iterable[Task]) -> set[int]:
    batches = {task.batch_id for task in tasks if task.batch_id is not None}
    budgeted = Batch.objects.filter(pk__in=batches, budget__isnull=False)
    return set(budgeted.values_list("pk", flat=True)) if batches else set()


def save_new_slots(slots: Sequence[Slot]) -> None:
    Slot.objects.bulk_create(slots, batch_size=1000)
    forget_marks({slot.lane for slot in slots})


def forget_marks(lanes: Iterable[Lane]) -> None:
    """In a ranked lane a slot can land behind somebody's mark; whoever has marks there looks from the start again."""
    ranked = sorted({lane.pk for lane in lanes if lane.order in RANKED})
    if ranked:
        Mark.objects.filter(lane_id__in=ranked).delete()


def lock_tasks(keys: Collection[int]) -> Collection[int]:
    """Lock tasks with their slots: slots first, as the hot statement takes them. Call inside a transaction."""
    _lock_slots(keys)
    list(Task.objects.filter(pk__in=keys).select_for_update(no_key=True).order_by("pk").values_list("pk", flat=True))
    return keys


def lock_task(pk: int) -> Task:
    """One task with its slots, in the same order, and with what it hangs on. Call inside a transaction."""
    _lock_slots([pk])
    return Task.objects.select_for_update(of=("self",)).select_related("project", "batch", "schema").get(pk=pk)


def _lock_slots(keys: Collection[int]) -> None:
    list(Slot.objects.filter(task_id__in=keys).select_for_update().order_by("pk").values_list("pk", flat=True))


def file_again(project: Project, keys: Collection[int], *, waiting: int | None = None, **changes: Any) -> int:
    """Change what decides where tasks are filed (`changes`), and put their waiting slots where they now belong.

    What stands right already is not touched. `waiting` is a state for the slots that wait. Locks the slots, then the tasks. Call
    inside a transaction. Returns how many slots were moved.
    """
    if not keys:
        return 0
    lock_tasks(keys)
    if waiting is not None:
        Slot.objects.filter(task_id__in=keys, state__in=WAITING).update(state=waiting)
    if changes:
        Task.objects.filter(pk__in=keys, project=project).update(**changes)
    router = Router(project)
    tasks = list(Task.objects.filter(pk__in=keys, project=project).select_related("batch", "schema").order_by("pk"))
    moving = []
    for task in tasks:
        home = router.home_of(task)
        if home.pk != task.queue_id:
            task.queue = home
            moving.append(task)
    Task.objects.bulk_update(moving, ["queue"], batch_size=1000)
    return move_waiting(router, tasks)


def stand_wrong(router: Router, tasks: Iterable[Task]) -> list[int]:
    """Keys of those tasks (batch and schema loaded) that the queues' settings of now would file elsewhere."""
    tasks = list(tasks)
    homes = {task.pk: router.home_of(task) for task in tasks}
    elsewhere = {task.pk for task in tasks if homes[task.pk].pk != task.queue_id}
    rest = [task for task in tasks if task.pk not in elsewhere]
    moves = _moves(router, rest)
    return sorted(elsewhere | {slot.task_id for slot, _lane, _seq, _state in moves})


def move_waiting(router: Router, tasks: Sequence[Task]) -> int:
    """Put the waiting slots of locked tasks where they belong. In a batch with a budget an open slot stays open."""
    moves = list(_moves(router, tasks))
    _write(moves)
    return len(moves)


def _moves(router: Router, tasks: Sequence[Task]) -> Iterator[Move]:
    """One for each waiting slot that stands wrong."""
    slots: dict[int, list[Slot]] = {task.pk: [] for task in tasks if not task.is_gold}
    standing = Slot.objects.filter(task_id__in=slots).exclude(state=Slot.State.CLOSED).select_related("lane")
    for slot in standing.order_by("ordinal"):
        slots[slot.task_id].append(slot)
    for task in tasks:
        if not task.is_gold:
            yield from _moves_of(router, task, slots[task.pk])


def _moves_of(router: Router, task: Task, slots: Sequence[Slot]) -> Iterator[Move]:
    queue = router.queue(task.queue_id)
    for slot in slots:
        slot.task = task
    waiting = [slot for slot in slots if slot.state in WAITING]
    taken = sum(slot.lane.pool_id == queue.reserved_group_id for slot in slots if slot.state not in WAITING)
    pools = pools_for(task, queue, [slot.ordinal for slot in waiting], taken)
    for slot in waiting:
        lane = router.lane_of(task, queue, slot.ordinal, pools[slot.ordinal], slot.lane.returned)
        seq = _kept(task, queue, slot) if lane.pk == slot.lane_id else None
        if seq != slot.seq:
            yield slot, lane, seq, slot.state


def _kept(task: Task, queue: Queue, slot: Slot) -> int:
    """The number of a slot that stays in its lane: only a value it is ranked by can change it."""
    if slot.lane.order in (Queue.Order.METADATA, Queue.Order.SCORE):
        return seq_in(task, queue, opening_of(slot.seq))
    return slot.seq


def _write(moves: Sequence[Move]) -> None:
    fresh = iter(dialect.next_openings(sum(seq is None for _slot, _lane, seq, _state in moves)))
    places = []
    for slot, lane, seq, state in moves:
        if seq is None:
            opening = next(fresh)
            seq = opening if lane.returned else seq_in(slot.task, lane.queue, opening)
        places.append((slot.pk, lane.pk, seq, int(state)))
    dialect.move_slots(places)
    forget_marks({lane for _slot, lane, _seq, _state in moves})


def open_again(router: Router, slots: Sequence[Slot], *, state: int) -> None:
    """Let slots (locked, task and lane loaded) wait under fresh numbers at the end of what waits there already."""
    moves: list[Move] = []
    for slot in slots:
        queue = router.queue(slot.task.queue_id)
        pool = slot.lane.pool_id if slot.lane.queue_id == queue.pk else slot.task.pool_id
        lane = router.lane_of(slot.task, queue, slot.ordinal, pool, slot.lane.returned)
        moves.append((slot, lane, None, state))
    _write(moves)
