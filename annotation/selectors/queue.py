"""Gated reads of the queue and of what was said."""

from collections.abc import Iterable
from typing import Any

from django.db.models import Count, Q
from django.utils.translation import gettext as _

from accounts.models import Actor, Project
from annotation.data import Candidate as ShownCandidate
from annotation.data import Claim, Content, ServedTask
from annotation.display import SIDES, display_order, to_candidate_order
from annotation.models import Annotation, Candidate, Draft, Guideline, Queue, Schema, Slot, Task
from ground.errors import NotFound
from ground.rows import Shape, first

SLOT = Shape(Slot, "s")
TASK = Shape(
    Task,
    "t",
    "id",
    "public_id",
    "project_id",
    "queue_id",
    "batch_id",
    "schema_id",
    "prompt_id",
    "purpose",
    "state",
    "priority",
)
SLOT_SQL = f"""
SELECT {SLOT.columns}, {TASK.columns}
FROM annotation_task t JOIN annotation_slot s ON s.task_id = t.id
WHERE t.public_id = %s AND t.project_id = %s
ORDER BY CASE WHEN s.actor_id = %s THEN 0 WHEN s.ordinal = %s THEN 1 ELSE 2 END, s.ordinal LIMIT 1"""


def get_slot_for(actor: Actor, public_id: str) -> Slot:
    """The actor's own slot of the task that the id names, else the one of its ordinal, else any. Errors: NotFound.

    Everybody sees their slot of a task as `_0`, and whatever number is asked for, the answer is the same for gold, which has a
    slot per actor, as for any other task: nobody can ask which is which.
    """
    task_id, ordinal = _parts(public_id)
    row = first(SLOT_SQL, [task_id, actor.project_id, actor.pk, ordinal])
    slot, task = (SLOT.read(row), TASK.read(row, len(SLOT.fields))) if row else (None, None)
    if slot is None or task is None:
        raise NotFound(_("There is no slot %(id)s here.") % {"id": public_id[:60]})
    slot.task, task.project = task, actor.project
    return slot


def _parts(public_id: str) -> tuple[str, int]:
    body, _underscore, ordinal = public_id.removeprefix("slt_").rpartition("_")
    return f"tsk_{body}", int(ordinal) if ordinal.isascii() and ordinal.isdigit() and len(ordinal) < 3 else -1


def get_queue_for(actor: Actor, name: str) -> Queue:
    """A queue of the actor's project, by name. Errors: NotFound."""
    queue = Queue.objects.filter(project_id=actor.project_id, name=name).first()
    if queue is None:
        raise NotFound(_("There is no queue %(name)s here.") % {"name": name[:80]})
    return queue


def get_annotation_for(actor: Actor, public_id: str) -> Annotation:
    annotations = Annotation.objects.select_related("task__schema", "slot__task", "project")
    annotation = annotations.filter(public_id=public_id, project_id=actor.project_id).first()
    if annotation is None:
        raise NotFound(_("There is no annotation %(id)s here.") % {"id": public_id[:60]})
    return annotation


def served(actor: Actor, claim: Claim) -> ServedTask:
    """Everything needed to judge the claimed slot, candidates in this actor's order."""
    content = claim.content or _content(actor, claim.task_id)
    order = display_order(task_id=claim.task_id, actor_id=actor.pk, count=len(content.texts))
    schema = Schema.body_of(content.schema_id)
    return ServedTask(
        id=f"slt_{content.task_id.removeprefix('tsk_')}_0",
        lease=str(claim.token),
        lease_expires_at=claim.expires_at,
        task_id=content.task_id,
        data={field["name"]: content.data.get(field["name"], "") for field in schema.get("fields", [])},
        fields=schema.get("fields", []),
        prompt=content.prompt,
        candidates=[ShownCandidate(side, content.texts[place]) for side, place in zip(SIDES, order, strict=False)],
        questions=schema["questions"],
        draft=content.draft,
    )


def _content(actor: Actor, task_id: int) -> Content:
    task = Task.objects.select_related("prompt").get(pk=task_id)
    draft = Draft.objects.filter(task=task, actor=actor).first()
    return Content(
        task_id=task.public_id,
        schema_id=task.schema_id,
        data=task.data,
        prompt=task.prompt.messages if task.prompt else [],
        texts=list(Candidate.objects.filter(task=task).order_by("ordinal").values_list("completion__text", flat=True)),
        draft=draft.answers if draft else None,
    )


def answer_as_shown(actor: Actor, annotation: Annotation) -> dict[str, Any]:
    """The stored answer in the order its author saw."""
    return to_candidate_order(annotation.answers, annotation.display_order)


def slot_ids_for(actor: Actor, public_ids: Iterable[str]) -> list[int]:
    """Inner ids of the actor's slots that a client says it is looking at; unknown ones are left out."""
    tasks = [_parts(str(public_id))[0] for public_id in list(public_ids)[:20]]
    mine = Slot.objects.filter(task__public_id__in=tasks, task__project_id=actor.project_id, actor=actor)
    return list(mine.values_list("pk", flat=True))


def current_guideline(project: Project) -> Guideline | None:
    return Guideline.objects.filter(project=project).order_by("-version").first()


def queue_counts(project: Project) -> dict[str, int]:
    """Slots by state, tasks by state: what a manager sees of the queue. Gold is no work that anybody waits for."""
    production = Task.Purpose.PRODUCTION
    slots = Slot.objects.filter(task__project=project, task__purpose=production).exclude(
        task__state=Task.State.ARCHIVED
    )
    counts = slots.aggregate(
        open=Count("pk", filter=Q(state=Slot.State.OPEN)),
        leased=Count("pk", filter=Q(state=Slot.State.LEASED)),
        done=Count("pk", filter=Q(state=Slot.State.DONE)),
    )
    tasks = (
        Task.objects.production()
        .filter(project=project)
        .aggregate(tasks=Count("pk"), complete=Count("pk", filter=Q(state=Task.State.COMPLETE)))
    )
    return {**counts, **tasks}


def done_by(actor: Actor, *, production: bool = False) -> int:
    """What an actor sees of its own work counts gold too: a number that stood still would give it away."""
    said = Annotation.objects.filter(actor=actor, counted=True, settlement=False)
    if production:
        said = said.exclude(task__purpose=Task.Purpose.GOLD)
    return said.count()


def judges(project: Project) -> list[dict[str, Any]]:
    """Who judged how much, simulated ones marked. Answers to gold check people; they are no judgements."""
    gold = Task.objects.filter(project=project, purpose=Task.Purpose.GOLD).values("pk")
    rows = (
        Annotation.objects.filter(project=project, counted=True, settlement=False)
        .exclude(task__in=gold)
        .values("actor__public_id", "actor__pseudonym", "actor__kind")
        .annotate(answers=Count("pk"))
        .order_by("-answers")
    )
    return [dict(row) for row in rows]
