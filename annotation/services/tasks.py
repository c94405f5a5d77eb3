"""Tasks made, changed, taken out and put back, each with its slots."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import transaction
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
    budgeted_batches,
    file_again,
    lock_tasks,
    more_slots,
    move_waiting,
    open_again,
    save_new_slots,
)
from annotation.questions import needs
from annotation.router import EVERYONE, Router, facts_of
from annotation.schemas import pairwise_schema
from annotation.services import routing
from ground.digests import digest_of
from ground.errors import Conflict, Invalid, NotFound
from models_registry.models import Completion, Evaluation
from models_registry.texts import shown

LONGEST_NAME = 200
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
    with transaction.atomic():
        return create_tasks_of(
            actor=actor,
            groups=pairs,
            schema=current_schema(actor.project, "pairwise", pairwise_schema(text=question)),
            overlap=overlap,
            evaluation=evaluation,
            external_ids=external_ids,
            priority=priority,
            batch=batch,
            metadata=metadata,
        )


@transaction.atomic
def create_tasks_of(
    *,
    actor: Actor,
    groups: Sequence[Sequence[Completion]],
    schema: Schema,
    overlap: int = 1,
    evaluation: Evaluation | None = None,
    external_ids: Sequence[str] | None = None,
    priority: int = 5,
    batch: Batch | None = None,
    metadata: dict[str, Any] | None = None,
) -> list[Task]:
    """A task per group of completions of one prompt, as many as the schema's questions need, with its slots.

    A group whose external id already has a task is passed over. Errors: Invalid for a group that does not fit.
    """
    require_role(actor, *MANAGERS)
    check_overlap(overlap)
    check_batch(actor, batch)
    _check_groups(actor, schema, groups)
    names = external_ids or [_name_of(schema, group) for group in groups]
    known = set(Task.objects.filter(project=actor.project, external_id__in=names).values_list("external_id", flat=True))
    fresh = {name: group for name, group in zip(names, groups, strict=True) if name not in known}
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
    made = [(Task(external_id=name, prompt_id=group[0].prompt_id, **alike), group) for name, group in fresh.items()]
    tasks = _save(router, made, batch, schema)
    data = {"tasks": len(tasks)}
    record_event(project=actor.project, actor=actor, verb="tasks.created", object_id=schema.public_id, data=data)
    return tasks


def _check_groups(actor: Actor, schema: Schema, groups: Sequence[Sequence[Completion]]) -> None:
    needed = needs(schema.body)
    if schema.project_id != actor.project_id:
        raise NotFound(_("There is no such schema here."))
    if any(field.get("required", True) for field in schema.body.get("fields", [])):
        raise Invalid(
            _("The schema %s shows fields, which completions alone do not bring.") % schema,
            hint=_("Send whole tasks, or import them from a file."),
        )
    for group in groups:
        names = [pick.public_id for pick in group]
        if not max(needed.least, 1) <= len(group) <= needed.most:
            told = {"least": needed.least, "most": needed.most, "schema": schema}
            raise Invalid(_("The schema %(schema)s needs %(least)d to %(most)d responses.") % told, index=names)
        if len({pick.prompt_id for pick in group}) != 1 or len({pick.pk for pick in group}) != len(group):
            if len(group) == 2:
                raise Invalid(_("A pair is two different completions of one prompt."), index=names)
            raise Invalid(_("The responses of a task are different completions of one prompt."), index=names)


def _name_of(schema: Schema, group: Sequence[Completion]) -> str:
    """A name that the same group under the same questions has again. Long ones are told by their digest."""
    name = ":".join(pick.public_id for pick in group)
    if schema.name != "pairwise":
        name = f"{schema.name}:{name}"
    return name if len(name) <= LONGEST_NAME else f"{schema.name}:{digest_of(name)}"


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
    router: Router, made: list[tuple[Task, Sequence[Completion]]], batch: Batch | None, schema: Schema
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
    with transaction.atomic():
        rows = _locked(actor, (task for task in tasks if not task.is_gold))
        places = _places_of(rows)
        surplus: list[int] = []
        wanted: dict[int, int] = {}
        for task in rows:
            closing, left = _fit(places[task.pk], overlap)
            surplus += closing
            wanted[task.pk] = max(overlap, left)
        Slot.objects.filter(pk__in=surplus).update(state=Slot.State.CLOSED)
        changed = sum(wanted[task.pk] != task.overlap for task in rows)
        kept = sum(wanted[task.pk] != overlap for task in rows)
        _resize(actor.project, rows, wanted)
    fill_budgets({task.batch_id for task in rows})
    return changed, kept


def _locked(actor: Actor, tasks: Iterable[Task]) -> list[Task]:
    """Tasks of the actor's project as they are now, locked with their slots. Call inside a transaction."""
    keys = lock_tasks([task.pk for task in tasks if task.project_id == actor.project_id])
    return list(Task.objects.filter(pk__in=keys).select_related("project", "batch", "schema").order_by("pk"))


def _places_of(tasks: Sequence[Task]) -> dict[int, list[Slot]]:
    places: dict[int, list[Slot]] = {task.pk: [] for task in tasks}
    for slot in Slot.objects.filter(task_id__in=places).select_related("lane").order_by("ordinal"):
        places[slot.task_id].append(slot)
    return places


def _fit(slots: Sequence[Slot], overlap: int) -> tuple[list[int], int]:
    """The waiting slots of a task to close so that `overlap` places are left, as far as there are any; the places left."""
    in_hand = sum(slot.state in IN_HAND for slot in slots)
    waiting = [slot.pk for slot in slots if slot.state in WAITING]
    surplus = waiting[max(overlap - in_hand, 0) :]
    return surplus, in_hand + len(waiting) - len(surplus)


def _resize(project: Project, tasks: Sequence[Task], wanted: Mapping[int, int]) -> None:
    """Make it as many places as `wanted` says for each of these locked tasks; the caller has closed what is too much."""
    turned = []
    for task in tasks:
        was, task.overlap = task.state, wanted[task.pk]
        if task.state != Task.State.ARCHIVED:
            task.state = Task.State.COMPLETE if task.done >= task.overlap else Task.State.OPEN
        if was != task.state and task.done:
            turned.append(task.pk)
    Task.objects.bulk_update(tasks, ["overlap", "state"], batch_size=1000)
    routing.look_again(*turned)
    living = [task for task in tasks if task.state != Task.State.ARCHIVED]
    router = Router(project)
    _add_slots(router, living)
    move_waiting(router, living)


def _add_slots(router: Router, tasks: Sequence[Task]) -> None:
    """Up to the overlap of each task: places that were closed are used again before new ones are made."""
    budgeted = budgeted_batches(tasks)
    again: dict[int, list[Slot]] = {Slot.State.OPEN: [], Slot.State.HELD: []}
    making = []
    places = _places_of(tasks)
    for task in tasks:
        free = [slot for slot in places[task.pk] if slot.state == Slot.State.CLOSED and slot.actor_id is None]
        missing = task.overlap - sum(slot.state != Slot.State.CLOSED for slot in places[task.pk])
        for slot in free[: max(missing, 0)]:
            slot.task = task
            again[Slot.State.HELD if task.batch_id in budgeted else Slot.State.OPEN].append(slot)
        if missing > len(free):
            first = places[task.pk][-1].ordinal + 1 if places[task.pk] else 0
            making.append((task, range(first, first + missing - len(free))))
    for state, slots in again.items():
        open_again(router, slots, state=state)
    save_new_slots(more_slots(router, making, budgeted))


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
    with transaction.atomic():
        rows = [task for task in _locked(actor, tasks) if task.state != Task.State.ARCHIVED]
        keys = [task.pk for task in rows]
        Slot.objects.filter(task_id__in=keys, state__in=WAITING).update(state=Slot.State.CLOSED)
        Task.objects.filter(pk__in=keys).update(state=Task.State.ARCHIVED, deletion=deletion)
    fill_budgets({task.batch_id for task in rows})
    return len(rows)


def restore_tasks(*, actor: Actor, tasks: Iterable[Task]) -> int:
    """Put archived tasks back as they were: as many places as before, those that were answered still answered."""
    require_role(actor, *MANAGERS)
    with transaction.atomic():
        rows = [task for task in _locked(actor, tasks) if task.state == Task.State.ARCHIVED]
        router = Router(actor.project)
        for task in rows:
            task.state, task.deletion, task.queue = Task.State.OPEN, None, router.home_of(task)
        Task.objects.bulk_update(rows, ["state", "deletion", "queue"], batch_size=1000)
        # Gold has a slot for each reader, made when it is handed out.
        counted = [task for task in rows if not task.is_gold]
        _resize(actor.project, counted, {task.pk: task.overlap for task in counted})
    fill_budgets({task.batch_id for task in rows})
    return len(rows)
