"""The exact texts of a task, for whoever may see the task: what was written, before any of it was laid out."""

from collections.abc import Sequence

from django.utils.translation import gettext as _

from accounts.models import Actor
from annotation.display import order_for
from annotation.models import Candidate, PastLease, Schema, Slot, Task
from annotation.questions import POSITIONS
from annotation.showing import sources
from ground.errors import NotFound
from models_registry.texts import shown


def of_slot(actor: Actor, slot: Slot, public_id: str) -> dict[str, str]:
    """As the actor saw them, who has or had the task in hand. Errors: NotFound for anybody else."""
    had = Slot.objects.filter(task_id=slot.task_id, actor=actor).exists()
    if not had and not PastLease.objects.filter(slot__task_id=slot.task_id, actor=actor).exists():
        raise NotFound(_("There is no slot %(id)s here.") % {"id": shown(public_id[:60])})
    task = Task.objects.select_related("prompt").get(pk=slot.task_id)
    return of_task(task, order_for(actor, task))


def of_task(task: Task, order: Sequence[int] | None = None) -> dict[str, str]:
    """In this order of candidates, or in their own."""
    texts = list(Candidate.objects.filter(task=task).order_by("ordinal").values_list("completion__text", flat=True))
    places = order if order is not None else range(len(texts))
    candidates = {side: texts[place] for side, place in zip(POSITIONS, places, strict=False)}
    fields = Schema.body_of(task.schema_id).get("fields", [])
    return sources(fields, task.data, task.prompt.messages if task.prompt else [], candidates)
