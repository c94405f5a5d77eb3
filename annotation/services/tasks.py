"""Tasks made, changed, taken out and put back, each with its slots."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import transaction
from django.db.models import Max
from django.utils.translation import gettext as _

from accounts.models import Actor, Project
from accounts.services import MANAGERS, record_event, require_role
from annotation.budget import fill_budgets
from annotation.filing import open_slots
from annotation.models import Batch, BulkEdit, Candidate, Group, Schema, Slot, Task
from annotation.models.task import MOST_OVERLAP
from annotation.placing import (
    IN_HAND,
    WAITING,
    file_again,
    lock_task,
    lock_tasks,
    more_slots,
    move_waiting,
    open_again,
    save_new_slots,
)
from annotation.router import EVERYONE, Router, facts_of
from annotation.schemas import pairwise_schema
from annotation.services import routing
from ground.errors import Conflict, Invalid, NotFound
from models_registry.models import Completion, Evaluation
from models_registry.texts import shown

DEFAULT_QUESTION = "Which answer helps this person more?"


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
    check_batch(actor, batch)
    _check_pairs(pairs)
    names = external_ids or [f"{first.public_id}:{second.public_id}" for first, second in pairs]
    with transaction.atomic():
        schema = current_schema(actor.project, "pairwise", pairwise_schema(text=question))
        known = set(
            Task.objects.filter(project=actor.project, external_id__in=names).values_list("external_id", flat=True)
        )
        fresh = [(name, pair) for name, pair in zip(names, pairs, strict=True) if name not in known]
        router = Router(actor.project)
        alike: dict[str, Any] = {
            "project": actor.project,
            "schema": schema,
            "evaluation": evaluation,
            "data": {"schema_version": 1},
            "metadata": metadata or {},
            "overlap": overlap,
            "priority": priority,
            "batch": batch,
        }
        made = [(Task(external_id=name, prompt_id=pair[0].prompt_id, **alike), pair) for name, pair in fresh]
        tasks = _save(router, made, batch, schema)
        record_event(
            project=actor.project,
            actor=actor,
            verb="tasks.created",
            object_id=schema.public_id,
            data={"tasks": len(tasks)},
        )
    return tasks


def _check_pairs(pairs: Sequence[tuple[Completion, Completion]]) -> None:
    for first, second in pairs:
        if first.prompt_id != second.prompt_id or first.pk == second.pk:
            raise Invalid(
                _("A pair is two different completions of one prompt."), index=[first.public_id, second.public_id]
            )


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
    """Ask for more or fewer answers per task, while people work. Returns how many changed, and how many could not go as low.

    Raising adds slots. Lowering closes open ones; answers that were given, or are being given, stay, so a task never has fewer
    places than it has answers.
    """
    require_role(actor, *MANAGERS)
    check_overlap(overlap)
    changed = kept = 0
    batches: set[int | None] = set()
    for pk in sorted(task.pk for task in tasks if not task.is_gold and task.project_id == actor.project_id):
        with transaction.atomic():
            task = lock_task(pk)
            wanted = max(overlap, _fit(task, overlap))
            changed += wanted != task.overlap
            kept += wanted != overlap
            _resize(task, wanted)
            batches.add(task.batch_id)
    fill_budgets(batches)
    return changed, kept


def _fit(task: Task, overlap: int) -> int:
    """Close waiting slots until `overlap` places are left, as far as there are any. Returns the places left."""
    slots = list(Slot.objects.filter(task=task).order_by("ordinal"))
    in_hand = sum(slot.state in IN_HAND for slot in slots)
    waiting = [slot for slot in slots if slot.state in WAITING]
    surplus = waiting[max(overlap - in_hand, 0) :]
    Slot.objects.filter(pk__in=[slot.pk for slot in surplus]).update(state=Slot.State.CLOSED)
    return in_hand + len(waiting) - len(surplus)


def _resize(task: Task, overlap: int) -> None:
    """Make it `overlap` places; the caller has closed what is too much."""
    was, task.overlap = task.state, overlap
    if task.state != Task.State.ARCHIVED:
        task.state = Task.State.COMPLETE if task.done >= overlap else Task.State.OPEN
    task.save(update_fields=["overlap", "state"])
    if task.state == Task.State.ARCHIVED:
        return
    if was != task.state and task.done:
        routing.look_again(task.pk)
    router = Router(task.project)
    places = Slot.objects.filter(task=task).exclude(state=Slot.State.CLOSED).count()
    _add_slots(router, task, overlap - places)
    move_waiting(router, [task])


def _add_slots(router: Router, task: Task, count: int) -> None:
    """Reuse places that were closed before making new ones."""
    if count <= 0:
        return
    held = task.batch is not None and task.batch.budget is not None
    state = Slot.State.HELD if held else Slot.State.OPEN
    closed = Slot.objects.filter(task=task, state=Slot.State.CLOSED, actor=None).order_by("ordinal")
    again = list(closed.select_related("task", "lane")[:count])
    open_again(router, again, state=state)
    if len(again) < count:
        last = Slot.objects.filter(task=task).aggregate(last=Max("ordinal"))["last"]
        first = 0 if last is None else last + 1
        save_new_slots(more_slots(router, task, range(first, first + count - len(again)), state))


def set_priority(*, actor: Actor, tasks: Iterable[Task], priority: int) -> int:
    """Move tasks forward or back: their waiting slots go to the lane of that priority. Returns how many were moved."""
    require_role(actor, *MANAGERS)
    if not 0 <= priority <= 9:
        raise Invalid(_("Priority is a number from 0 to 9; 9 comes first."))
    return _move(actor, (task for task in tasks if task.priority != priority), priority=priority)


def set_batch(*, actor: Actor, tasks: Iterable[Task], batch: Batch | None) -> int:
    """Put tasks into a batch, or (None) take them out of theirs. Returns how many were moved."""
    require_role(actor, *MANAGERS)
    check_batch(actor, batch)
    moving = [task for task in tasks if task.batch_id != (batch.pk if batch else None)]
    held = batch is not None and batch.budget is not None
    moved = _move(actor, moving, waiting=Slot.State.HELD if held else Slot.State.OPEN, batch=batch)
    fill_budgets({task.batch_id for task in moving} | {batch.pk if batch else None})
    return moved


def check_batch(actor: Actor, batch: Batch | None) -> None:
    if batch is not None and batch.project_id != actor.project_id:
        raise NotFound(_("There is no such batch here."))
    if batch is not None and batch.state == Batch.State.ARCHIVED:
        raise Conflict(_("The batch %s is archived.") % batch, hint=_("Resume it first, or choose another."))


def assign(*, actor: Actor, tasks: Iterable[Task], pool_id: int = EVERYONE) -> int:
    """Keep tasks for a group (its id), for one person (minus the actor's id), or (0) give them back to everybody.

    Slots already in somebody's hands stay there. Returns how many were moved.
    """
    require_role(actor, *MANAGERS)
    with transaction.atomic():
        _check_pool(actor, pool_id)
        return _move(actor, (task for task in tasks if task.pool_id != pool_id), pool_id=pool_id)


def _check_pool(actor: Actor, pool_id: int) -> None:
    """The group is locked, so that nobody deletes it meanwhile."""
    if pool_id > 0:
        known = bool(Group.objects.select_for_update(no_key=True).filter(pk=pool_id, project=actor.project))
    else:
        people = Actor.objects.filter(project=actor.project, membership__isnull=False)
        known = pool_id == EVERYONE or people.filter(pk=-pool_id).exists()
    if not known:
        raise NotFound(_("There is no such person or group here."))


def short_of_people(tasks: Iterable[Task], people: int) -> int:
    """How many tasks want more answers than there are people to give them: nobody answers a task twice."""
    return sum(task.overlap > people for task in tasks)


def set_scores(*, actor: Actor, scores: Mapping[str, float | None]) -> int:
    """Say how much an answer to each task (by public id) would teach. Queues ordered by score follow at once.

    Returns how many tasks were scored; unknown ids and scores that are no numbers are an error and nothing is written.
    """
    require_role(actor, *MANAGERS)
    wrong = [public_id for public_id, score in scores.items() if score is not None and not math.isfinite(score)]
    if wrong:
        raise Invalid(_("The score of %(id)s is not a finite number.") % {"id": wrong[0][:60]})
    with transaction.atomic():
        tasks = list(Task.objects.filter(project=actor.project, public_id__in=scores))
        unknown = sorted(set(scores) - {task.public_id for task in tasks})
        if unknown:
            raise Invalid(_("There is no task %(id)s in this project.") % {"id": shown(unknown[0][:60])})
        keys = lock_tasks([task.pk for task in tasks])
        for task in tasks:
            task.score = scores[task.public_id]
        Task.objects.bulk_update(tasks, ["score"], batch_size=1000)
        file_again(actor.project, keys)
    return len(tasks)


def _move(actor: Actor, tasks: Iterable[Task], *, waiting: int | None = None, **changes: Any) -> int:
    """Change what decides where tasks are filed, and file their waiting slots anew. Gold stays where it is."""
    keys = [task.pk for task in tasks if not task.is_gold and task.project_id == actor.project_id]
    with transaction.atomic():
        file_again(actor.project, keys, waiting=waiting, **changes)
    return len(keys)


def archive_tasks(*, actor: Actor, tasks: Iterable[Task], deletion: BulkEdit | None = None) -> int:
    """Take tasks out of the queue. What people said of them stays; whoever has one open is told when they submit."""
    require_role(actor, *MANAGERS)
    archived = 0
    batches: set[int | None] = set()
    for pk in sorted(task.pk for task in tasks if task.project_id == actor.project_id):
        with transaction.atomic():
            task = lock_task(pk)
            if task.state == Task.State.ARCHIVED:
                continue
            Slot.objects.filter(task=task, state__in=WAITING).update(state=Slot.State.CLOSED)
            task.state, task.deletion = Task.State.ARCHIVED, deletion
            task.save(update_fields=["state", "deletion"])
            archived += 1
            batches.add(task.batch_id)
    fill_budgets(batches)
    return archived


def restore_tasks(*, actor: Actor, tasks: Iterable[Task]) -> int:
    """Put archived tasks back as they were: as many places as before, those that were answered still answered."""
    require_role(actor, *MANAGERS)
    restored = 0
    batches: set[int | None] = set()
    for pk in sorted(task.pk for task in tasks if task.project_id == actor.project_id):
        with transaction.atomic():
            task = lock_task(pk)
            if task.state != Task.State.ARCHIVED:
                continue
            task.state, task.deletion = Task.State.OPEN, None
            task.queue = Router(task.project).home_of(task)
            task.save(update_fields=["state", "deletion", "queue"])
            if not task.is_gold:  # gold has a slot for each reader, made when it is handed out
                _resize(task, task.overlap)
            restored += 1
            batches.add(task.batch_id)
    fill_budgets(batches)
    return restored
