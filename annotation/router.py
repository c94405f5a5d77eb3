"""Which queue takes a task, and which lane its slots wait in."""

from collections.abc import Mapping, Sequence
from typing import Any

from accounts.models import Project
from annotation.filters import passes
from annotation.models import Lane, Queue, Task
from annotation.ranking import place, shuffled
from annotation.sensitive import is_sensitive

EVERYONE = 0


def main_queue(project: Project) -> Queue:
    """The queue that takes what no other takes."""
    return Queue.objects.get_or_create(project=project, name=Queue.MAIN, defaults={"position": 1000})[0]


def facts_of(task: Task, *, batch: str = "", schema: str = "") -> dict[str, Any]:
    """What a queue's filter can ask of a task."""
    return {
        "batch": batch,
        "external_id": task.external_id,
        "metadata": task.metadata if isinstance(task.metadata, dict) else {},
        "overlap": task.overlap,
        "priority": task.priority,
        "schema": schema,
        "score": task.score,
    }


def pools_for(task: Task, queue: Queue, waiting: Sequence[int], taken: int = 0) -> dict[int, int]:
    """Whom each waiting ordinal is kept for: the task's assignee, or, for the last ones, the group the queue reserves them for.

    `taken`: places that came out of the reserve already; they count as kept.
    """
    if task.pool_id != EVERYONE or queue.reserved_group_id is None:
        return dict.fromkeys(waiting, task.pool_id)
    first = len(waiting) - max(queue.reserved_slots - taken, 0)
    ordered = sorted(waiting)
    return {ordinal: queue.reserved_group_id if at >= first else EVERYONE for at, ordinal in enumerate(ordered)}


def seq_in(task: Task, queue: Queue, opening: int) -> int:
    if queue.order == Queue.Order.RANDOM:
        return shuffled(opening)
    if queue.order == Queue.Order.METADATA:
        return place(facts_of(task)["metadata"].get(queue.order_key), descending=queue.descending, opening=opening)
    if queue.order == Queue.Order.SCORE:
        return place(task.score, descending=True, opening=opening)
    return opening


class Router:
    """Files tasks of one project: the first queue, by position, whose filter a task passes, and the lanes of its slots.

    A queue that is a test takes gold alone. Looks queues and lanes up once; make a new one for each transaction.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self.main = main_queue(project)
        self._all = {queue.pk: queue for queue in Queue.objects.filter(project=project).order_by("position", "pk")}
        self.queues = [*(queue for queue in self._all.values() if self._takes(queue)), self.main]
        self._lanes: dict[tuple[Any, ...], Lane] = {}

    def _takes(self, queue: Queue) -> bool:
        stands = queue.state != Queue.State.ARCHIVED and not queue.is_test
        return stands and queue.pk != self.main.pk and bool(queue.filter["all"])

    def queue_for(self, facts: Mapping[str, Any]) -> Queue:
        return next((queue for queue in self.queues[:-1] if passes(queue.filter, facts)), self.main)

    def home_of(self, task: Task) -> Queue:
        """Where a task (with its batch and schema loaded) belongs now. Gold stays in the queue it checks."""
        if task.is_gold:
            return self._all[task.queue_id]
        batch = task.batch.name if task.batch else ""
        return self.queue_for(facts_of(task, batch=batch, schema=task.schema.name))

    def queue(self, pk: int) -> Queue:
        return self._all[pk]

    def place(self, task: Task, queue: Queue, ordinal: int, opening: int) -> tuple[Lane, int]:
        """The lane of a new task's slot, and its number there."""
        pool_id = pools_for(task, queue, range(task.overlap))[ordinal]
        return self.lane_of(task, queue, ordinal, pool_id), seq_in(task, queue, opening)

    def lane_of(self, task: Task, queue: Queue, ordinal: int, pool_id: int, returned: bool = False) -> Lane:
        """Slots that came back wait before those nobody has had."""
        breadth = queue.breadth_first and not returned
        return self.lane(
            queue=queue,
            batch_id=task.batch_id,
            pool_id=pool_id,
            priority=task.priority,
            round=ordinal if breadth else 0,
            returned=returned,
            sensitive=is_sensitive(task),
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
        sensitive: bool = False,
    ) -> Lane:
        order = Queue.Order.FIFO if returned else queue.order
        sort = (9 - priority) * 1000 + (500 if pool_id == EVERYONE else 0) + (0 if returned else 1 + round)
        key = (queue.pk, batch_id, pool_id, str(order), sort, sensitive)
        if key not in self._lanes:
            place: dict[str, Any] = {
                "batch_id": batch_id,
                "pool_id": pool_id,
                "order": order,
                "sort": sort,
                "sensitive": sensitive,
            }
            told = {"project_id": queue.project_id, "priority": priority, "round": round, "returned": returned}
            self._lanes[key], _made = Lane.objects.get_or_create(queue=queue, **place, defaults=told)
            self._lanes[key].queue = queue
        return self._lanes[key]
