"""Routing: from answers that are in to cases that wait for a reviewer, pulled from the outbox.

What counts is the state of the task when it is looked at, under its row lock, never the order or number of the outbox rows. A row
goes in the transaction that does its work, so a killed router loses nothing and a second one does nothing twice.
"""

from collections import defaultdict
from collections.abc import Sequence

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from annotation.models import Annotation, Case, Ruling, Task, Watched
from annotation.review_rules import ASKED, Look, Said, merged, reasons_for
from annotation.scoring import observed_agreement
from ground import clock
from jobs.models import Outbox

CONSUMER = "reviews"
TOPICS = ("task.answered", "task.changed")
BATCH = 100
MOST_BATCHES = 20
UNSETTLED = (Task.Resolution.NONE, Task.Resolution.AGREED, Task.Resolution.WAITING)


def waiting() -> QuerySet[Outbox]:
    return Outbox.objects.filter(consumer=CONSUMER, topic__in=TOPICS)


def route_answers(*, batches: int = MOST_BATCHES) -> int:
    """Route what waits, up to a bound; how many outbox rows were consumed. Rows and tasks somebody else holds are left."""
    done = 0
    for _ in range(batches if waiting().exists() else 0):
        routed = _route_batch()
        done += routed
        if routed < BATCH:
            break
    return done


def drain_answers() -> None:
    """Route everything that waits now: a freeze that asks for what review made of tasks must not look too early."""
    while route_answers():
        pass


@transaction.atomic
def _route_batch() -> int:
    held = list(waiting().select_for_update(skip_locked=True).order_by("pk")[:BATCH])
    known = {row.object_id for row in held}
    found = Task.objects.filter(pk__in=known).select_related("queue", "schema").order_by("pk")
    # A task somebody holds is looked at next time: the router never waits for a row, so nobody waits for it in a ring.
    tasks = list(found.select_for_update(skip_locked=True, of=("self",)))
    route(tasks)
    gone = known - set(Task.objects.filter(pk__in=known).values_list("pk", flat=True))
    finished = gone | {task.pk for task in tasks}
    return Outbox.objects.filter(pk__in=[row.pk for row in held if row.object_id in finished]).delete()[0]


def route(tasks: Sequence[Task]) -> None:
    """Write each task's agreement, open, change or dismiss its case. The caller has locked the tasks.

    Agreement uses the answers that count, of this task alone; settlements, surplus and withdrawn answers are no part of it. A task
    that was settled keeps its resolution: an answer that comes later does not reopen it.
    """
    production = [task for task in tasks if not task.is_gold]
    said, ruled = _said(production), _ruled(production)
    cases = {case.task_id: case for case in _open_cases(production)}
    for task in production:
        _route_one(task, said[task.pk], task.pk in ruled, cases.get(task.pk))
    Task.objects.bulk_update(production, ["agreement", "resolution"])


def _said(tasks: Sequence[Task]) -> dict[int, list[Said]]:
    found: dict[int, list[Said]] = defaultdict(list)
    answers = list(Annotation.objects.filter(task__in=tasks, counted=True, settlement=False).order_by("pk"))
    watched = {row.actor_id: row for row in Watched.objects.filter(project__in={task.project_id for task in tasks})}
    settled = Ruling.objects.filter(annotation__task__in=tasks, case__state=Case.State.SETTLED)
    ruled = set(settled.values_list("annotation_id", flat=True))
    for answer in answers:
        watch = watched.get(answer.actor_id)
        rate = watch.rate if watch is not None and answer.created_at >= watch.since else 0
        found[answer.task_id].append(Said(answer.pk, answer.answers, rate, answer.pk in ruled))
    return found


def _ruled(tasks: Sequence[Task]) -> set[int]:
    settled = Case.objects.filter(task__in=tasks, state=Case.State.SETTLED)
    return set(settled.values_list("task_id", flat=True))


def _open_cases(tasks: Sequence[Task]) -> QuerySet[Case]:
    waits = Case.objects.filter(task__in=tasks, state__in=(Case.State.OPEN, Case.State.LEASED))
    return waits.select_for_update(of=("self",)).order_by("pk")


def _route_one(task: Task, said: list[Said], reviewed: bool, case: Case | None) -> None:
    task.agreement = observed_agreement(task.schema.body["questions"], [one.answers for one in said])
    look = Look(
        task=task.pk,
        complete=task.done >= task.overlap,
        agreement=task.agreement,
        said=said,
        review_below=task.queue.review_below,
        review_flags=task.queue.review_flags,
        review_rate=task.queue.review_rate,
        reviewed=reviewed,
        secret=settings.SECRET_KEY,
    )
    if task.resolution in UNSETTLED:
        _keep_case(task, case, merged(case.reasons if case else (), reasons_for(look)), look)


def _keep_case(task: Task, case: Case | None, reasons: list[str], look: Look) -> None:
    if case is None and reasons:
        open_case(task, reasons)
    elif case is not None and (reasons or _is_in_hand(case)):
        case.reasons, case.agreement = reasons or case.reasons, task.agreement
        case.save(update_fields=["reasons", "agreement"])
        task.resolution = Task.Resolution.WAITING
    else:
        if case is not None:
            Case.objects.filter(pk=case.pk).update(state=Case.State.DISMISSED, lease_expires_at=None)
        task.resolution = _without_a_case(task, look)


def _without_a_case(task: Task, look: Look) -> int:
    """What holds of a task that needs no reviewer: its settlement if it has one, else whether people agreed."""
    settlement = Annotation.objects.filter(task=task, settlement=True, counted=True)
    if look.reviewed and settlement.exists():
        return Task.Resolution.SETTLED
    return Task.Resolution.AGREED if look.complete and look.said else Task.Resolution.NONE


def open_case(task: Task, reasons: Sequence[str]) -> Case:
    """The task waits for a reviewer from now on. The caller holds the task's lock and saves it."""
    task.resolution = Task.Resolution.WAITING
    return Case.objects.create(
        project_id=task.project_id, task=task, reasons=list(reasons), agreement=task.agreement, created_at=clock.now()
    )


def _is_in_hand(case: Case) -> bool:
    expires = case.lease_expires_at
    return case.state == Case.State.LEASED and expires is not None and expires > clock.now()


def ask(task: Task) -> Case:
    """A case because somebody asked, or the open one with that reason added. The caller has locked and later saves the task."""
    case = _open_cases([task]).first()
    if case is None:
        return open_case(task, [ASKED])
    case.reasons = merged([ASKED], case.reasons)
    case.save(update_fields=["reasons"])
    return case


def look_again(*task_ids: int) -> None:
    """Have the router look at tasks whose answers or case changed, after the caller's transaction."""
    Outbox.objects.bulk_create(Outbox(consumer=CONSUMER, topic="task.changed", object_id=pk) for pk in task_ids)
