"""Batches: tasks wanted together, by a date, for a number of judgements."""

from collections.abc import Iterable
from datetime import date
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import Actor, Project
from accounts.services import MANAGERS, record_event, require_role
from annotation.budget import fill_budget
from annotation.models import Batch, Queue, Slot, Task
from annotation.placing import IN_HAND
from annotation.services.refiling import start_refiling
from annotation.services.tasks import set_batch
from ground.errors import Conflict, Invalid
from models_registry.texts import check_text

MOST_BUDGET = 2**31 - 1
LONGEST_NAME = 120
LONGEST_NOTE = 10_000


def create_batch(
    *, actor: Actor, name: str, note: str = "", due_on: date | None = None, budget: int | None = None
) -> Batch:
    """An empty batch that runs. Errors: Conflict when the name is taken."""
    require_role(actor, *MANAGERS)
    fields = _checked({"name": name, "note": note, "due_on": due_on, "budget": budget})
    with transaction.atomic():
        _refuse_taken(actor, fields["name"])
        batch = Batch.objects.create(project=actor.project, **fields)
        record_event(
            project=actor.project, actor=actor, verb="batch.created", object_id=batch.public_id, data=_told(fields)
        )
    return batch


def edit_batch(*, actor: Actor, batch: Batch, **changes: Any) -> int:
    """Change the name, the note, the due date, the budget (None: no limit).

    A budget below what is in play takes open places back, the last first; it closes nothing that somebody has in hand or has
    answered. Returns by how many judgements those overshoot the new budget, 0 when they do not.
    """
    require_role(actor, *MANAGERS)
    fields = _checked(changes)
    with transaction.atomic():
        batch_now = Batch.objects.select_for_update(no_key=True).get(pk=batch.pk, project=actor.project)
        renamed = fields.get("name", batch_now.name) != batch_now.name
        if renamed:
            _refuse_taken(actor, fields["name"])
        budget_changed = fields.get("budget", batch_now.budget) != batch_now.budget
        Batch.objects.filter(pk=batch.pk).update(**fields)
        if budget_changed:
            fill_budget(batch_now)
        if renamed and _asked_by_name(batch_now):
            start_refiling(actor=actor)
        record_event(
            project=actor.project, actor=actor, verb="batch.edited", object_id=batch.public_id, data=_told(fields)
        )
    batch.refresh_from_db()
    return overshoot(batch)


def overshoot(batch: Batch) -> int:
    """Judgements given or in hand beyond the budget."""
    if batch.budget is None:
        return 0
    production = Slot.objects.filter(task__batch=batch, task__purpose=Task.Purpose.PRODUCTION)
    return max(production.filter(state__in=IN_HAND).count() - batch.budget, 0)


def _checked(fields: dict[str, Any]) -> dict[str, Any]:
    checked = dict(fields)
    unknown = sorted(set(checked) - {"name", "note", "due_on", "budget"})
    if unknown:
        raise Invalid(_("A batch has no %s.") % unknown[0])
    for name, longest in (("name", LONGEST_NAME), ("note", LONGEST_NOTE)):
        if name in checked:
            checked[name] = _text(checked[name].strip(), name, longest)
    if not checked.get("name", "named"):
        raise Invalid(_("Give the batch a name."))
    budget = checked.get("budget")
    if budget is not None and not 0 <= budget <= MOST_BUDGET:
        raise Invalid(_("A budget is a number of judgements, 0 or more; leave it out for no limit."))
    return checked


def _text(value: str, name: str, longest: int) -> str:
    try:
        value = check_text(value, name)
    except ValueError as error:
        raise Invalid(str(error)) from error
    if len(value) > longest:
        raise Invalid(_("%(name)s: at most %(n)d characters.") % {"name": name, "n": longest})
    return value


def _refuse_taken(actor: Actor, name: str) -> None:
    Project.objects.select_for_update(no_key=True).get(pk=actor.project_id)  # two requests with one name: one waits
    if Batch.objects.filter(project=actor.project, name=name).exists():
        raise Conflict(_("There is a batch named %s already.") % name, hint=_("Choose another name."))


def _asked_by_name(batch: Batch) -> bool:
    """Whether a queue's filter asks which batch a task is in."""
    filters = Queue.objects.filter(project_id=batch.project_id).values_list("filter", flat=True)
    return any(condition["field"] == "batch" for body in filters for condition in body["all"])


def _told(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, date) else value
        for name, value in fields.items()
        if name != "note"
    }


def pause_batch(*, actor: Actor, batch: Batch) -> None:
    """Hand nothing out of it any more; what is in hand can be finished."""
    _turn(actor, batch, Batch.State.PAUSED, "batch.paused", Batch.State.RUNNING)


def resume_batch(*, actor: Actor, batch: Batch) -> None:
    """Hand it out again, where it was; an archived one too."""
    _turn(actor, batch, Batch.State.RUNNING, "batch.resumed", Batch.State.PAUSED, Batch.State.ARCHIVED)


def archive_batch(*, actor: Actor, batch: Batch) -> None:
    """Put it away. Its tasks stay in it, unserved; nothing said is lost, and it can be resumed."""
    _turn(actor, batch, Batch.State.ARCHIVED, "batch.archived", Batch.State.RUNNING, Batch.State.PAUSED)


def _turn(actor: Actor, batch: Batch, state: int, verb: str, *before: int) -> None:
    """Twice is as good as once."""
    require_role(actor, *MANAGERS)
    with transaction.atomic():
        rows = Batch.objects.filter(pk=batch.pk, project=actor.project)
        if rows.filter(state__in=before).update(state=state):
            record_event(project=actor.project, actor=actor, verb=verb, object_id=batch.public_id)
        elif not rows.filter(state=state).exists():
            raise Conflict(_("The batch %(name)s is %(state)s.") % {"name": batch, "state": batch.get_state_display()})
    batch.refresh_from_db()
    if state == Batch.State.RUNNING:
        with transaction.atomic():
            fill_budget(batch)


def add_tasks(*, actor: Actor, batch: Batch, tasks: Iterable[Task]) -> int:
    """Put tasks into the batch. Returns how many were not in it before."""
    with transaction.atomic():
        moved = set_batch(actor=actor, tasks=tasks, batch=batch)
        _tell_tasks(actor, batch, "batch.filled", moved)
    return moved


def remove_tasks(*, actor: Actor, batch: Batch, tasks: Iterable[Task]) -> int:
    """Take tasks out of the batch; those of other batches stay where they are."""
    with transaction.atomic():
        moved = set_batch(actor=actor, tasks=[task for task in tasks if task.batch_id == batch.pk], batch=None)
        _tell_tasks(actor, batch, "batch.emptied", moved)
    return moved


def _tell_tasks(actor: Actor, batch: Batch, verb: str, count: int) -> None:
    if count:
        record_event(project=actor.project, actor=actor, verb=verb, object_id=batch.public_id, data={"tasks": count})
