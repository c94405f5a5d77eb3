"""Gated reads of the queue and of what was said."""

from collections.abc import Iterable
from typing import Any

from django.db.models import Count, Q
from django.utils.translation import gettext as _

from accounts.models import Actor, Project
from annotation.data import Candidate as ShownCandidate
from annotation.data import Claim, Content, ServedTask
from annotation.display import SIDES, display_order, questions_of, restore
from annotation.models import Annotation, Candidate, Draft, Guideline, Queue, Schema, Slot, Task
from annotation.questions.chat import as_asked
from ground.costly import counted
from ground.errors import NotFound
from ground.rows import Shape, first

MOST_WAITING = 1000
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
    schema_id, schema = Schema.known(content.schema_id)
    return ServedTask(
        id=f"slt_{content.task_id.removeprefix('tsk_')}_0",
        lease=str(claim.token),
        lease_expires_at=claim.expires_at,
        task_id=content.task_id,
        data={field["name"]: content.data.get(field["name"], "") for field in schema.get("fields", [])},
        fields=schema.get("fields", []),
        prompt=content.prompt,
        candidates=[ShownCandidate(side, content.texts[place]) for side, place in zip(SIDES, order, strict=False)],
        questions=_as_asked(schema["questions"]),
        draft=content.draft,
        schema=schema_id,
        layout=schema.get("layout", "side_by_side"),
        sensitive=content.data.get("sensitive") or schema.get("sensitive", False),
    )


def _as_asked(questions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Nobody who answers learns which models they talk with."""
    return [as_asked(question) if question["kind"] == "chat" else question for question in questions]


def _content(actor: Actor, task_id: int) -> Content:
    task = Task.objects.select_related("prompt").get(pk=task_id)
    draft = Draft.objects.filter(task=task, actor=actor).first()
    return Content(
        task_id=task.public_id,
        schema_id=task.schema_id,
        prompt_id=task.prompt_id,
        data=task.data,
        prompt=task.prompt.messages if task.prompt else [],
        texts=list(Candidate.objects.filter(task=task).order_by("ordinal").values_list("completion__text", flat=True)),
        draft=draft.answers if draft else None,
    )


def answer_as_shown(actor: Actor, annotation: Annotation) -> dict[str, Any]:
    """The stored answer in the order its author saw."""
    return restore(questions_of(annotation.task), annotation.answers, annotation.display_order)


def slot_ids_for(actor: Actor, public_ids: Iterable[str]) -> list[int]:
    """Inner ids of the actor's slots that a client says it is looking at; unknown ones are left out."""
    tasks = [_parts(str(public_id))[0] for public_id in list(public_ids)[:20]]
    mine = Slot.objects.filter(task__public_id__in=tasks, task__project_id=actor.project_id, actor=actor)
    return list(mine.values_list("pk", flat=True))


def current_guideline(project: Project) -> Guideline | None:
    return Guideline.objects.filter(project=project).order_by("-version").first()


def queue_counts(project: Project) -> dict[str, int]:
    """Slots by state, tasks by how far they are: what a manager sees of the queue. Gold is no work that anybody waits for."""
    return counted(f"queue:{project.pk}", lambda: _count_queue(project))[1]


def _count_queue(project: Project) -> dict[str, int]:
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
        .aggregate(
            tasks=Count("pk"),
            untouched=Count("pk", filter=Q(state=Task.State.OPEN, done=0)),
            begun=Count("pk", filter=Q(state=Task.State.OPEN, done__gt=0)),
            complete=Count("pk", filter=Q(state=Task.State.COMPLETE)),
            archived=Count("pk", filter=Q(state=Task.State.ARCHIVED)),
        )
    )
    return {**counts, **tasks}


def done_by(actor: Actor) -> int:
    """What an actor sees of its own work counts gold too: a number that stood still would give it away."""
    return Annotation.objects.filter(actor=actor, counted=True, settlement=False).count()


def goal_of(actor: Actor, done: int) -> tuple[int, bool]:
    """How many answers an actor will have given once nothing waits, and whether it is more than that: nobody counts a million.

    `done` is what the actor sees of its own work. Gold moves neither number nor what it stands beside apart: it would give
    itself away.
    """
    production = {"task__purpose": Task.Purpose.PRODUCTION, "task__state": Task.State.OPEN}
    waiting = Slot.objects.filter(lane__project=actor.project_id, state=Slot.State.OPEN, **production)[
        : MOST_WAITING + 1
    ].count()
    waiting += Slot.objects.filter(actor=actor, state=Slot.State.LEASED, **production).count()
    gold = Annotation.objects.filter(
        actor=actor, counted=True, settlement=False, task__project=actor.project_id, task__purpose=Task.Purpose.GOLD
    ).count()
    goal = max(done, done - gold + waiting)
    return (goal // 100 * 100, True) if waiting > MOST_WAITING else (goal, False)


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
