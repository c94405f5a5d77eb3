"""Gated reads of queues, groups and people, for pages and the API."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, QuerySet
from django.utils.translation import gettext as _

from accounts.models import Actor, Project
from accounts.services import MANAGERS, role_of
from annotation.models import Group, GroupMember, Queue, Slot, Task
from annotation.selectors.queue import get_slot_for
from annotation.services.refiling import KIND
from ground.costly import counted
from ground.errors import Invalid, NotFound
from jobs.models import Job


@dataclass(frozen=True)
class Load:
    """Slots that wait in a queue, by whether the budget lets them be handed out."""

    open: int = 0
    held: int = 0


def queues_of(project: Project) -> QuerySet[Queue]:
    """In the order in which they are served."""
    rows = Queue.objects.filter(project=project).select_related("group", "reserved_group", "qualifies_for")
    return rows.order_by("position", "pk")


def get_queue_by_id_for(actor: Actor, public_id: str) -> Queue:
    """Errors: NotFound."""
    queue = queues_of(actor.project).filter(public_id=public_id.replace("\x00", "")).first()
    if queue is None:
        raise NotFound(_("There is no queue %(id)s here.") % {"id": public_id[:60]})
    return queue


def load_of(project: Project) -> dict[int, Load]:
    """By queue."""
    return counted(f"load:{project.pk}", lambda: _count_load(project))[1]


def _count_load(project: Project) -> dict[int, Load]:
    waiting = Slot.objects.filter(lane__project=project, state__in=(Slot.State.OPEN, Slot.State.HELD))
    counts: Counter[tuple[int, int]] = Counter()
    for queue, state, count in waiting.values_list("lane__queue", "state").annotate(n=Count("pk")):
        counts[queue, state] = count
    queues = {queue for queue, _state in counts}
    return {queue: Load(counts[queue, Slot.State.OPEN], counts[queue, Slot.State.HELD]) for queue in queues}


def warnings_of(queue: Queue) -> list[str]:
    """What in its settings will keep tasks or people waiting."""
    found = []
    if queue.name != Queue.MAIN and not queue.is_test and not queue.filter["all"]:
        found.append(_("It has no condition, so no task is filed in it."))
    if queue.group is not None and not queue.group.members.exists():
        found.append(_("Only the group %s may work here, and nobody is in it.") % queue.group)
    if queue.reserved_group is not None and queue.reserved_group.members.count() < queue.reserved_slots:
        found.append(
            _(
                "%(slots)d slots of each task are kept for %(group)s, which has %(people)d members; the rest of them will wait."
            )
            % {
                "slots": queue.reserved_slots,
                "group": queue.reserved_group,
                "people": queue.reserved_group.members.count(),
            }
        )
    return found


def refiling_of(project: Project) -> Job | None:
    """The job that files tasks anew, while it waits or runs."""
    going = Job.objects.filter(project=project, kind=KIND, state__in=(Job.State.QUEUED, Job.State.RUNNING))
    return going.order_by("-pk").first()


def groups_of(project: Project) -> QuerySet[Group]:
    return Group.objects.filter(project=project).annotate(people=Count("members")).order_by("kind", "name")


def get_group_for(actor: Actor, public_id: str) -> Group:
    """Errors: NotFound."""
    group = groups_of(actor.project).filter(public_id=public_id.replace("\x00", "")).first()
    if group is None:
        raise NotFound(_("There is no group %(id)s here.") % {"id": public_id[:60]})
    return group


def people_of(project: Project) -> QuerySet[Actor]:
    """Everybody who works in the project, simulated annotators too."""
    rows = Actor.objects.filter(project=project, membership__isnull=False)
    return rows.select_related("membership", "user").order_by("pseudonym", "pk")


def get_person_for(actor: Actor, public_id: str) -> Actor:
    """Errors: NotFound."""
    person = people_of(actor.project).filter(public_id=public_id.replace("\x00", "")).first()
    if person is None:
        raise NotFound(_("There is no such person here."))
    return person


def groups_by_person(project: Project) -> dict[int, list[Group]]:
    rows = GroupMember.objects.filter(group__project=project).select_related("group")
    found: dict[int, list[Group]] = {}
    for row in rows.order_by("group__kind", "group__name"):
        found.setdefault(row.actor_id, []).append(row.group)
    return found


def get_tasks_for(actor: Actor, public_ids: Sequence[str]) -> list[Task]:
    """Tasks of the actor's project. Errors: Invalid that names an unknown one."""
    tasks = list(Task.objects.filter(project_id=actor.project_id, public_id__in=set(public_ids)).order_by("pk"))
    unknown = sorted(set(public_ids) - {task.public_id for task in tasks})
    if unknown:
        raise Invalid(_("There is no task %(id)s in this project.") % {"id": unknown[0][:60]})
    return tasks


def get_claimed_slot_for(actor: Actor, public_id: str) -> Slot:
    """As `get_slot_for`; a manager may name a slot of gold by its own number too. Errors: NotFound."""
    try:
        return get_slot_for(actor, public_id)
    except NotFound:
        if role_of(actor) not in MANAGERS:
            raise
    task_id, _underscore, ordinal = public_id.removeprefix("slt_").rpartition("_")
    slots = Slot.objects.filter(task__project_id=actor.project_id, task__public_id=f"tsk_{task_id}")
    slot = slots.filter(ordinal=int(ordinal)).select_related("task").first() if ordinal.isdigit() else None
    if slot is None:
        raise NotFound(_("There is no slot %(id)s here.") % {"id": public_id[:60]})
    return slot


def shown_queue(queue: Queue) -> dict[str, Any]:
    """A queue as the API shows it."""
    plain = (
        "name", "position", "filter", "order", "order_key", "descending", "breadth_first", "reserved_slots", "gold_rate",
        "gold_feedback", "judged_over", "warn_below", "pause_below", "block_below", "pass_after", "pass_share", "review_below",
        "review_flags", "review_rate",
    )  # fmt: skip
    groups = {name: getattr(queue, name) for name in ("group", "reserved_group", "qualifies_for")}
    return {
        "id": queue.public_id,
        "state": Queue.State(queue.state).name.lower(),
        **{name: getattr(queue, name) for name in plain},
        **{name: group.public_id if group else None for name, group in groups.items()},
        "warnings": warnings_of(queue),
    }
