"""A batch's budget as a fact: no more slots are in play than it pays for; the others are held."""

from collections.abc import Iterable

from django.db import transaction
from django.db.models import Exists, OuterRef

from annotation.models import Batch, Slot, Task
from annotation.placing import IN_HAND, open_again
from annotation.router import Router

IN_PLAY = (Slot.State.OPEN, *IN_HAND)
"""What a batch's budget pays for."""

MOST_AT_ONCE = 5000
"""Slots opened in one transaction; the tick opens the rest."""
ORDER = ("lane__queue__position", "lane__queue_id", "lane__sort", "seq", "pk")


def in_play(batch_id: int) -> int:
    """Slots of a batch that were answered or can be: what its budget is spent on."""
    production = Slot.objects.filter(task__batch_id=batch_id, task__purpose=Task.Purpose.PRODUCTION)
    return production.filter(state__in=IN_PLAY).count()


def beyond_budget(batch_id: int) -> bool:
    """Whether more is in play than the batch pays for: its budget was lowered."""
    budget = Batch.objects.filter(pk=batch_id).values_list("budget", flat=True).first()
    return budget is not None and in_play(batch_id) > budget


def fill_budget(batch: Batch) -> int:
    """Open held slots as far as the budget pays for them, or hold open ones back. What is in hand stays there.

    Returns how many were opened (below zero: held back). Call inside a transaction.
    """
    batch = Batch.objects.select_for_update(no_key=True, of=("self",)).select_related("project").get(pk=batch.pk)
    if batch.budget is None:
        return _open(batch, MOST_AT_ONCE)
    room = batch.budget - in_play(batch.pk)
    return _open(batch, min(room, MOST_AT_ONCE)) if room >= 0 else -_hold_back(batch, -room)


def _open(batch: Batch, count: int) -> int:
    """The held slots that come first in the order of their queues."""
    chosen = _waiting(batch, Slot.State.HELD, ORDER, count)
    if chosen:
        open_again(Router(batch.project), chosen, state=Slot.State.OPEN)
    return len(chosen)


def _hold_back(batch: Batch, count: int) -> int:
    """The open slots that would come last. One that somebody takes this moment is passed over."""
    last_first = tuple(f"-{name}" for name in ORDER)
    chosen = _waiting(batch, Slot.State.OPEN, last_first, count)
    Slot.objects.filter(pk__in=[slot.pk for slot in chosen]).update(state=Slot.State.HELD)
    return len(chosen)


def _waiting(batch: Batch, state: int, order: tuple[str, ...], count: int) -> list[Slot]:
    """Locked, in the order asked for, with task, lane and queue."""
    slots = Slot.objects.filter(task__batch=batch, task__purpose=Task.Purpose.PRODUCTION, state=state)
    chosen = slots.order_by(*order).values_list("pk", flat=True)[:count]
    places = {pk: place for place, pk in enumerate(chosen)}
    locked = Slot.objects.filter(pk__in=places, state=state).select_for_update(of=("self",)).order_by("pk")
    return sorted(locked.select_related("task", "lane__queue"), key=lambda slot: places[slot.pk])


def fill_budgets(batches: Iterable[int | None]) -> None:
    """Each in a transaction of its own."""
    for batch in Batch.objects.filter(pk__in={pk for pk in batches if pk is not None}, budget__isnull=False):
        with transaction.atomic():
            fill_budget(batch)


def sweep_budgets() -> int:
    """Open what became affordable since somebody looked last (a lapsed place, a removed budget). Returns how many slots."""
    held = Slot.objects.filter(state=Slot.State.HELD, lane__batch=OuterRef("pk"))
    moved = 0
    for batch in Batch.objects.filter(Exists(held)).exclude(state=Batch.State.ARCHIVED):
        with transaction.atomic():
            moved += fill_budget(batch)
    return moved
