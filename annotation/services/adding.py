"""New tasks with their prompts and responses: what an import does with every chunk, and the API with a few at once."""

from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import Actor, Project
from accounts.services import MANAGERS, record_event, require_role
from annotation.budget import fill_budget
from annotation.copying import Frame, known_names, write_tasks
from annotation.data import Added
from annotation.lines import NewTask, Rules, Wrong, task_of
from annotation.models import Batch, Candidate, Lane, Schema, Task
from annotation.placing import forget_marks
from annotation.router import Router
from annotation.schemas import check_schema, labels_schema, pairwise_schema
from annotation.selectors.uploads import kinds_of, problem_with
from annotation.services.tasks import DEFAULT_QUESTION, check_batch, check_overlap, current_schema
from ground import clock
from ground.errors import Invalid, NotFound
from models_registry.models import Prompt
from models_registry.services.completions import import_completions
from models_registry.services.prompts import import_prompts
from models_registry.texts import check_json

MOST_AT_ONCE = 500


def add_tasks(
    *,
    actor: Actor,
    schema: Schema,
    rows: Sequence[Any],
    overlap: int = 1,
    priority: int = 5,
    batch: Batch | None = None,
) -> list[Added]:
    """Make tasks at once, each from what a line of an import holds; one result for each. Managers only.

    Right ones are made, wrong ones told, those with a known external id passed over. Errors: Invalid for more than 500.
    """
    require_role(actor, *MANAGERS)
    check_overlap(overlap)
    check_batch(actor, batch)
    if len(rows) > MOST_AT_ONCE:
        raise Invalid(
            _("At most %d tasks at once.") % MOST_AT_ONCE, hint=_("Send the rest in further requests, or a file.")
        )
    rules = Rules(schema.body, overlap, priority, batch.pk if batch else None)
    results: list[Added] = [Added("known")] * len(rows)
    tasks = []
    for place, row in enumerate(rows):
        try:
            tasks.append(_task_of(place, row, rules))
        except ValueError as error:
            results[place] = Added("invalid", error=str(error))
    with transaction.atomic():
        fresh, lanes, refused = write_new(
            actor, unknown_of(actor.project, tasks), frame_of(actor.project, schema, batch)
        )
        ids = dict(Task.objects.filter(pk__in=[task.pk for task in fresh]).values_list("pk", "public_id"))
        data = {"tasks": len(fresh)}
        record_event(project=actor.project, actor=actor, verb="tasks.created", object_id=schema.public_id, data=data)
        transaction.on_commit(lambda: forget_marks(lanes))
        if batch is not None:
            fill_budget(batch)
    for line in refused:
        results[line.number] = Added("invalid", error=line.error)
    for task in fresh:
        results[task.number] = Added("created", id=ids[task.pk])
    return results


def _task_of(place: int, row: Any, rules: Rules) -> NewTask:
    if not isinstance(row, dict):
        raise ValueError(_("A task is an object."))
    try:
        return task_of(place, b"", check_json(row, "task"), rules, rules.known)
    except RecursionError as error:
        raise ValueError(_("The task is nested too deeply.")) from error


def schema_for(
    *,
    actor: Actor,
    schema: str = "",
    template: str = "",
    question: str = "",
    options: Sequence[str] = (),
    multiple: bool = False,
) -> Schema:
    """The project's schema of a name, or one made by a template; the same question again is the same schema. Managers only.

    Errors: NotFound, Invalid.
    """
    require_role(actor, *MANAGERS)
    if schema:
        found = (
            Schema.objects.filter(project=actor.project, name=schema.replace("\x00", "")).order_by("-version").first()
        )
        if found is None:
            raise NotFound(_("There is no schema %(name)s here.") % {"name": schema[:80]})
        return found
    if template == "labels":
        body = labels_schema(text=question or _("Which label fits?"), options=list(options), multiple=multiple)
    else:
        body = pairwise_schema(text=question or DEFAULT_QUESTION)
    try:
        check_schema(check_json(body, "schema"))
    except ValueError as error:
        raise Invalid(str(error)) from error
    with transaction.atomic():
        return current_schema(actor.project, template, body)


def batch_named(actor: Actor, public_id: str) -> Batch | None:
    """The batch of an id; none for none. Errors: NotFound."""
    if not public_id:
        return None
    found = Batch.objects.filter(project=actor.project, public_id=public_id.replace("\x00", "")).first()
    if found is None:
        raise NotFound(_("There is no batch %(id)s here.") % {"id": public_id[:60]})
    return found


def write_new(actor: Actor, fresh: list[NewTask], frame: Frame) -> tuple[list[NewTask], set[Lane], list[Wrong]]:
    """Tasks with their prompts and responses: those written, the lanes they wait in, and those whose prompt is refused."""
    fresh, refused = _with_uploads(actor.project, fresh)
    if any(task.prompt is not None for task in fresh):
        fresh, unfit = _with_prompts(actor, fresh)
        refused += unfit
    rows = [(task.prompt_id, text) for task in fresh for text in task.responses]
    prompts = Prompt.objects.in_bulk({prompt for prompt, _text in rows if prompt is not None})
    made = iter(import_completions(actor=actor, rows=[(prompts[prompt], text) for prompt, text in rows if prompt]))
    lanes = write_tasks(fresh, frame)
    Candidate.objects.bulk_create(
        Candidate(task_id=task.pk, completion=next(made), ordinal=place)
        for task in fresh
        for place in range(len(task.responses))
    )
    return fresh, lanes, refused


def frame_of(project: Project, schema: Schema, batch: Batch | None) -> Frame:
    return Frame(
        router=Router(project),
        schema=schema,
        at=clock.now(),
        batch_id=batch.pk if batch else None,
        batch_name=batch.name if batch else "",
        held=batch is not None and batch.budget is not None,
    )


def unknown_of(project: Project, tasks: Sequence[NewTask]) -> list[NewTask]:
    """Those whose external id no task has, in the file up to here or in the project."""
    seen = known_names(project.pk, [task.external_id for task in tasks if task.external_id])
    fresh = []
    for task in tasks:
        if task.external_id not in seen:
            fresh.append(task)
            if task.external_id:
                seen.add(task.external_id)
    return fresh


def _with_uploads(project: Project, tasks: list[NewTask]) -> tuple[list[NewTask], list[Wrong]]:
    """The tasks whose pictures, sounds and films are all here, and the lines that name others."""
    kinds = kinds_of(project, (public_id for task in tasks for _path, public_id, _kind in task.uploads))
    problems = [problem_with(task.uploads, kinds) for task in tasks]
    wrong = [Wrong(task.number, problem, task.raw) for task, problem in zip(tasks, problems, strict=True) if problem]
    return [task for task, problem in zip(tasks, problems, strict=True) if not problem], wrong


def _with_prompts(actor: Actor, tasks: list[NewTask]) -> tuple[list[NewTask], list[Wrong]]:
    """Keep the prompts of tasks that bring one: the tasks that can be made, and the lines that cannot."""
    asking = [task for task in tasks if task.prompt is not None]
    results = import_prompts(
        actor=actor, project=actor.project, rows=[task.prompt for task in asking if task.prompt is not None]
    )
    wrong = []
    keys = dict(
        Prompt.objects.filter(public_id__in={one.id for one in results if one.id}).values_list("public_id", "pk")
    )
    for task, result in zip(asking, results, strict=True):
        if result.status == "invalid":
            wrong.append(Wrong(task.number, result.error, task.raw))
        else:
            task.prompt_id = keys[result.id]
    refused = {line.number for line in wrong}
    return [task for task in tasks if task.number not in refused], wrong
