"""Tasks made, changed, taken out and put back, each with its slots."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import Actor, Project
from accounts.services import MANAGERS, record_event, require_role
from annotation.filing import EVERYONE, Router, facts_of, fill_budget, new_slots, open_slots, refile
from annotation.models import Batch, BulkEdit, Candidate, Schema, Slot, Task
from annotation.models.task import MOST_OVERLAP
from annotation.schemas import pairwise_schema
from ground.errors import Invalid
from models_registry.models import Completion, Evaluation

DEFAULT_QUESTION = "Which answer helps this person more?"
IN_HAND = (Slot.State.LEASED, Slot.State.PARKED, Slot.State.DONE)


def create_pairwise_tasks(
    *,
    actor: Actor,
    pairs: Sequence[tuple[Completion, Completion]],
    overlap: int = 1,
    question: str = DEFAULT_QUESTION,
    evaluation: Evaluation | None = None,
    external_ids: Sequence[str] | None = None,
    priority: int = 5,
    batch: Batch | None = None,
    metadata: dict[str, Any] | None = None,
) -> list[Task]:
    """A task per pair of completions of one prompt, with its slots, in one transaction.

    A pair whose external id already has a task is passed over, so a repeated call makes nothing twice.
    """
    require_role(actor, *MANAGERS)
    check_overlap(overlap)
    for first, second in pairs:
        if first.prompt_id != second.prompt_id or first.pk == second.pk:
            raise Invalid(
                _("A pair is two different completions of one prompt."), index=[first.public_id, second.public_id]
            )
    names = external_ids or [f"{first.public_id}:{second.public_id}" for first, second in pairs]
    with transaction.atomic():
        schema = current_schema(actor.project, "pairwise", pairwise_schema(text=question))
        known = set(
            Task.objects.filter(project=actor.project, external_id__in=names).values_list("external_id", flat=True)
        )
        fresh = [(name, pair) for name, pair in zip(names, pairs, strict=True) if name not in known]
        router = Router(actor.project)
        made = [
            (
                Task(
                    project=actor.project,
                    schema=schema,
                    prompt_id=first.prompt_id,
                    evaluation=evaluation,
                    external_id=name,
                    data={"schema_version": 1},
                    metadata=metadata or {},
                    overlap=overlap,
                    priority=priority,
                    batch=batch,
                ),
                (first, second),
            )
            for name, (first, second) in fresh
        ]
        tasks = _save(router, made, batch, schema)
        record_event(
            project=actor.project,
            actor=actor,
            verb="tasks.created",
            object_id=schema.public_id,
            data={"tasks": len(tasks)},
        )
    return tasks


def check_overlap(overlap: int) -> None:
    if not 1 <= overlap <= MOST_OVERLAP:
        raise Invalid(_("Overlap is a number from 1 to 64."))


def current_schema(project: Project, name: str, body: dict[str, Any]) -> Schema:
    """The project's schema of this name with this body: the latest version if it reads so, else a new one."""
    last = Schema.objects.filter(project=project, name=name).order_by("-version").first()
    if last is not None and last.body == body:
        return last
    return Schema.objects.create(project=project, name=name, version=last.version + 1 if last else 1, body=body)


def _save(
    router: Router, made: list[tuple[Task, tuple[Completion, Completion]]], batch: Batch | None, schema: Schema
) -> list[Task]:
    tasks = [task for task, _pair in made]
    for task in tasks:
        task.queue = router.queue_for(facts_of(task, batch=batch.name if batch else "", schema=schema.name))
    Task.objects.bulk_create(tasks, batch_size=1000)
    candidates = [
        Candidate(task=task, completion=pick, ordinal=place) for task, pair in made for place, pick in enumerate(pair)
    ]
    Candidate.objects.bulk_create(candidates, batch_size=1000)
    open_slots(router, tasks)
    return tasks


def set_overlap(*, actor: Actor, tasks: Iterable[Task], overlap: int) -> tuple[int, int]:
    """Ask for more or fewer answers per task, while people work.

    Raising adds slots. Lowering closes open ones; answers that were given, or are being given, stay, so a task never has fewer
    places than it has answers: the second number returned counts the tasks that could not go as low as asked.
    """
    require_role(actor, *MANAGERS)
    check_overlap(overlap)
    changed = kept = 0
    batches: set[int] = set()
    for pk in sorted(task.pk for task in tasks if not task.is_gold):
        with transaction.atomic():
            task = _locked(pk)
            wanted = max(overlap, _fit(task, overlap))
            changed += wanted != task.overlap or wanted == overlap
            kept += wanted != overlap
            _resize(task, wanted)
            if task.batch_id is not None:
                batches.add(task.batch_id)
    _refill(batches)
    return changed, kept


def _locked(pk: int) -> Task:
    """The task with its slots locked: slots first, as the hot statement takes them."""
    list(Slot.objects.filter(task_id=pk).select_for_update().order_by("pk").values_list("pk", flat=True))
    return Task.objects.select_for_update(of=("self",)).select_related("project", "queue").get(pk=pk)


def _fit(task: Task, overlap: int) -> int:
    """Close open slots until `overlap` places are left, as far as they are free. Returns the places left."""
    slots = list(Slot.objects.filter(task=task).order_by("ordinal"))
    in_hand = sum(slot.state in IN_HAND for slot in slots)
    free = [slot for slot in slots if slot.state in (Slot.State.OPEN, Slot.State.HELD)]
    surplus = free[max(overlap - in_hand, 0) :]
    Slot.objects.filter(pk__in=[slot.pk for slot in surplus]).update(state=Slot.State.CLOSED)
    return in_hand + len(free) - len(surplus)


def _resize(task: Task, overlap: int) -> None:
    places = Slot.objects.filter(task=task).exclude(state=Slot.State.CLOSED).count()
    task.overlap = overlap
    if task.state != Task.State.ARCHIVED:
        task.state = Task.State.COMPLETE if task.done >= overlap else Task.State.OPEN
    task.save(update_fields=["overlap", "state"])
    if places < overlap and task.state != Task.State.ARCHIVED:
        _add_slots(task, overlap - places)


def _add_slots(task: Task, count: int) -> None:
    """Reuse places that were closed before making new ones."""
    router = Router(task.project)
    closed = list(Slot.objects.filter(task=task, state=Slot.State.CLOSED, actor=None).order_by("ordinal")[:count])
    waiting = Slot.State.HELD if task.batch is not None and task.batch.budget is not None else Slot.State.OPEN
    Slot.objects.filter(pk__in=[slot.pk for slot in closed]).update(state=waiting)
    refile(router, closed)
    if len(closed) < count:
        last = Slot.objects.filter(task=task).order_by("-ordinal").values_list("ordinal", flat=True).first()
        first = 0 if last is None else last + 1
        Slot.objects.bulk_create(new_slots(router, [task], range(first, first + count - len(closed))))


def _refill(batches: Iterable[int]) -> None:
    for batch in Batch.objects.filter(pk__in=set(batches), budget__isnull=False):
        with transaction.atomic():
            fill_budget(batch)


def set_priority(*, actor: Actor, tasks: Iterable[Task], priority: int) -> int:
    """Move tasks forward or back: their waiting slots go to the lane of that priority."""
    require_role(actor, *MANAGERS)
    if not 0 <= priority <= 9:
        raise Invalid(_("Priority is a number from 0 to 9; 9 comes first."))
    return _move(actor.project, tasks, priority=priority)


def set_batch(*, actor: Actor, tasks: Iterable[Task], batch: Batch | None) -> int:
    """Put tasks into a batch, or (None) take them out of theirs."""
    require_role(actor, *MANAGERS)
    tasks = list(tasks)
    before = {task.batch_id for task in tasks if task.batch_id is not None}
    moved = _move(actor.project, tasks, batch=batch)
    _refill(before | ({batch.pk} if batch else set()))
    return moved


def assign(*, actor: Actor, tasks: Iterable[Task], pool_id: int = EVERYONE) -> int:
    """Keep tasks for a group (its id), for one person (minus the actor's id), or (0) give them back to everybody.

    Slots already in somebody's hands stay there.
    """
    require_role(actor, *MANAGERS)
    return _move(actor.project, tasks, pool_id=pool_id)


def set_scores(*, actor: Actor, scores: dict[str, float | None]) -> int:
    """Say how much an answer to each task (by public id) would teach. Queues ordered by score follow at once.

    Returns how many tasks were scored; unknown ids are an error and nothing is written.
    """
    require_role(actor, *MANAGERS)
    with transaction.atomic():
        tasks = list(Task.objects.filter(project=actor.project, public_id__in=scores))
        unknown = sorted(set(scores) - {task.public_id for task in tasks})
        if unknown:
            raise Invalid(_("There is no task %(id)s in this project.") % {"id": unknown[0][:60]})
        for task in tasks:
            task.score = scores[task.public_id]
        Task.objects.bulk_update(tasks, ["score"], batch_size=1000)
        _refile(actor.project, tasks)
    return len(tasks)


def _move(project: Project, tasks: Iterable[Task], **changes: Any) -> int:
    """Change what decides where tasks are filed, and file their waiting slots anew."""
    chosen = [task for task in tasks if not task.is_gold]
    with transaction.atomic():
        keys = [task.pk for task in chosen]
        Task.objects.filter(pk__in=keys, project=project).update(**changes)
        fresh = list(Task.objects.filter(pk__in=keys).select_related("batch", "schema"))
        router = Router(project)
        for task in fresh:
            batch = task.batch.name if task.batch else ""
            task.queue = router.queue_for(facts_of(task, batch=batch, schema=task.schema.name))
        Task.objects.bulk_update(fresh, ["queue"], batch_size=1000)
        if "batch" in changes:
            budgeted = changes["batch"] is not None and changes["batch"].budget is not None
            waiting = Slot.objects.filter(task_id__in=keys, state__in=(Slot.State.OPEN, Slot.State.HELD))
            waiting.update(state=Slot.State.HELD if budgeted else Slot.State.OPEN)
        _refile(project, fresh)
    return len(fresh)


def _refile(project: Project, tasks: Sequence[Task]) -> None:
    waiting = (Slot.State.OPEN, Slot.State.HELD)
    slots = Slot.objects.filter(task__in=tasks, state__in=waiting).order_by("ordinal", "task_id")
    refile(Router(project), list(slots))


def archive_tasks(*, actor: Actor, tasks: Iterable[Task], deletion: BulkEdit | None = None) -> int:
    """Take tasks out of the queue. What people said of them stays; whoever has one open is told when they submit."""
    require_role(actor, *MANAGERS)
    archived = 0
    batches: set[int] = set()
    for pk in sorted(task.pk for task in tasks):
        with transaction.atomic():
            task = _locked(pk)
            if task.state == Task.State.ARCHIVED:
                continue
            Slot.objects.filter(task=task, state__in=(Slot.State.OPEN, Slot.State.HELD)).update(state=Slot.State.CLOSED)
            task.state, task.deletion = Task.State.ARCHIVED, deletion
            task.save(update_fields=["state", "deletion"])
            archived += 1
            if task.batch_id is not None:
                batches.add(task.batch_id)
    _refill(batches)
    return archived


def restore_tasks(*, actor: Actor, tasks: Iterable[Task]) -> int:
    """Put archived tasks back as they were: as many places as before, those that were answered still answered."""
    require_role(actor, *MANAGERS)
    restored = 0
    for pk in sorted(task.pk for task in tasks):
        with transaction.atomic():
            task = _locked(pk)
            if task.state != Task.State.ARCHIVED:
                continue
            task.state, task.deletion = Task.State.OPEN, None
            task.save(update_fields=["state", "deletion"])
            _resize(task, task.overlap)
            restored += 1
    return restored
