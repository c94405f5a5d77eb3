"""Reads of gold: its tasks and how people do on them, where people stand, what could become gold."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from django.db.models import Avg, Count, Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext as _

from accounts.models import Actor, Project
from annotation.data import Feedback
from annotation.display import questions_of, restore
from annotation.models import Annotation, GoldKey, GoldScore, PastLease, Queue, Schema, Skip, Slot, Standing, Task
from annotation.scoring import observed_agreement
from ground.errors import NotFound

LEAST_ANSWERS = 3
"""Answers below which nothing is a consensus."""
AGREE_AT_LEAST = 0.8
"""Share of agreeing pairs of answers from which a task may become gold."""
LOOKED_AT = 200
"""Latest complete tasks among which pages look for a consensus."""
TELLING = 5
"""Answers from which a gold task's own share of right answers says something."""
MISSED_BY_MOST = 0.5
LEFT = (Task.Resolution.WAITING, Task.Resolution.REJECTED)


def get_gold_for(actor: Actor, public_id: str) -> Task:
    """A gold task of the actor's project, with its key. Errors: NotFound, also for a task that is no gold."""
    task = gold_of(actor.project).filter(public_id=public_id).first()
    if task is None:
        raise NotFound(_("There is no gold task %(id)s here.") % {"id": public_id[:60]})
    return task


def gold_of(project: Project) -> QuerySet[Task]:
    """Gold tasks, newest first, with `tried` (answers that count) and `right` (their mean score)."""
    counts = Q(annotations__counted=True)
    rows = Task.objects.filter(project=project, purpose=Task.Purpose.GOLD, gold__isnull=False)
    rows = rows.select_related("schema", "prompt", "queue", "gold__actor", "gold__promoted_from")
    return rows.annotate(
        tried=Count("annotations__gold_score", filter=counts),
        right=Avg("annotations__gold_score__score", filter=counts),
    ).order_by("-pk")


def is_doubtful(task: Any) -> bool:
    """A gold task that most people miss is probably wrong itself. `task` comes from `gold_of`."""
    return bool(task.tried >= TELLING and task.right < MISSED_BY_MOST)


def in_play(queue: Queue) -> QuerySet[Task]:
    return Task.objects.filter(queue=queue, purpose=Task.Purpose.GOLD, state=Task.State.OPEN, gold__isnull=False)


def unseen(actor: Actor, queue: Queue) -> QuerySet[Task]:
    """Gold of a queue whose content the actor has not met, neither as gold nor as the task it was promoted from."""
    gold = in_play(queue).exclude(Exists(Slot.objects.filter(actor=actor, task=OuterRef("pk"))))
    for met in (Annotation, Slot, Skip):
        before = met._default_manager.filter(actor=actor, task=OuterRef("gold__promoted_from"))
        gold = gold.exclude(Exists(before))
    held = PastLease.objects.filter(actor=actor, slot__task=OuterRef("gold__promoted_from"))
    return gold.exclude(Exists(held))


def counting_scores(actor: Actor, queue: Queue, *, after: int = 0) -> QuerySet[GoldScore]:
    """Scores that are looked at: of answers that still count, to gold in play, not forgiven."""
    scores = GoldScore.objects.filter(actor=actor, queue=queue, annotation__counted=True, pk__gt=after)
    return scores.exclude(annotation__task__state=Task.State.ARCHIVED)


def feedback_on(annotation: Annotation) -> Feedback | None:
    """What its author is told at once; None for all but gold in a queue that gives feedback."""
    task = annotation.task
    if not (task.is_gold and annotation.counted and task.queue.gold_feedback):
        return None
    score = GoldScore.objects.filter(annotation_id=annotation.pk).first()
    key = GoldKey.objects.get(task_id=task.pk)
    if score is None:
        return None
    return Feedback(score.score, restore(questions_of(task), key.answers, annotation.display_order), key.explanation)


def standings_of(project: Project) -> QuerySet[Standing]:
    """Everybody who met gold somewhere, those who need a look first."""
    rows = Standing.objects.filter(queue__project=project).select_related("actor", "queue__qualifies_for")
    return rows.order_by("-changed_at", "-pk")


def standings_for(actor: Actor) -> QuerySet[Standing]:
    """The actor's own standings that ask something of it; a live count of gold would tell which tasks are gold."""
    told = Q(state__gte=Standing.State.WARNED)
    return Standing.objects.filter(told, actor=actor).exclude(queue__state=Queue.State.ARCHIVED).select_related("queue")


def get_queue_of(actor: Actor, public_id: str) -> Queue:
    """Errors: NotFound."""
    queue = Queue.objects.select_related("qualifies_for").filter(project=actor.project, public_id=public_id).first()
    if queue is None:
        raise NotFound(_("There is no queue %(id)s here.") % {"id": public_id[:60]})
    return queue


def get_schema_for(actor: Actor, public_id: str) -> Schema:
    """Errors: NotFound."""
    schema = Schema.objects.filter(project=actor.project, public_id=public_id).first()
    if schema is None:
        raise NotFound(_("There is no schema %(id)s here.") % {"id": public_id[:60]})
    return schema


def get_task_for(actor: Actor, public_id: str) -> Task:
    """A production task of the actor's project. Errors: NotFound."""
    tasks = Task.objects.production().select_related("schema", "prompt", "queue", "project")
    task = tasks.filter(project=actor.project, public_id=public_id).first()
    if task is None:
        raise NotFound(_("There is no task %(id)s here.") % {"id": public_id[:60]})
    return task


def tells_at_once(project: Project) -> bool:
    """Whether some queue says at once how a gold answer did: then the page waits for the word before it goes on."""
    return Queue.objects.filter(project=project, gold_feedback=True, state=Queue.State.RUNNING).exists()


def get_person_for(actor: Actor, public_id: str) -> Actor:
    """A member of the actor's project. Errors: NotFound."""
    people = Actor.objects.select_related("project", "membership").filter(project=actor.project)
    person = people.filter(membership__isnull=False, public_id=public_id).first()
    if person is None:
        raise NotFound(_("There is nobody %(id)s in this project.") % {"id": public_id[:60]})
    return person


def promotable(project: Project, *, most: int = LOOKED_AT) -> list[Task]:
    """Complete production tasks, newest first, whose answers agree and that are not gold yet; `agreement` is filled in."""
    done = Task.objects.production().filter(project=project, state=Task.State.COMPLETE, done__gte=LEAST_ANSWERS)
    done = done.exclude(resolution__in=LEFT).filter(Q(agreement=None) | Q(agreement__gte=AGREE_AT_LEAST))
    done = done.exclude(Exists(GoldKey.objects.filter(promoted_from=OuterRef("pk"), task__state=Task.State.OPEN)))
    tasks = list(done.select_related("schema", "prompt", "queue").order_by("-pk")[:most])
    said = said_of(tasks)
    found = []
    for task in tasks:
        agreement = observed_agreement(task.schema.body["questions"], said[task.pk])
        if len(said[task.pk]) >= LEAST_ANSWERS and agreement is not None and agreement >= AGREE_AT_LEAST:
            task.agreement = agreement
            found.append(task)
    return found


def said_of(tasks: Iterable[Task]) -> dict[int, Sequence[dict[str, Any]]]:
    """The answers that count, by task; a reviewer's settlement is not among them."""
    said: dict[int, list[dict[str, Any]]] = defaultdict(list)
    rows = Annotation.objects.counted().filter(task__in=[task.pk for task in tasks], settlement=False)
    for task_id, answers in rows.order_by("pk").values_list("task_id", "answers"):
        said[task_id].append(answers)
    return {task.pk: said[task.pk] for task in tasks}
