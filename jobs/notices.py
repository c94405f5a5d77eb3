"""What webhooks are told. Floors above register their events and where these come from; the outbox carries them.

An outbox row is written in the transaction in which something happened; `spread` turns it into a delivery for each webhook that
asked, in the transaction that takes the row away: nothing that committed is lost, nothing is told twice.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.utils.functional import Promise

from ground import clock
from jobs.models import Delivery, Outbox, Webhook

CONSUMER = "webhooks"
BATCH = 100
TEST = "webhook.test"


@dataclass(frozen=True, kw_only=True)
class Notice:
    """One thing to tell. `data` is JSON of a few small fields."""

    event: str
    project_id: int
    data: dict[str, Any] = field(default_factory=dict)


Source = Callable[[int], Sequence[Notice]]
_events: dict[str, str | Promise] = {}
_sources: dict[str, Source] = {}


def register_event(name: str, label: str | Promise) -> None:
    """From `AppConfig.ready()`: something a webhook may ask for."""
    _events[name] = label


def register_source(topic: str, source: Source) -> None:
    """From `AppConfig.ready()`: what an outbox row of `topic` means; the source gets the row's object."""
    _sources[topic] = source


def events() -> dict[str, str]:
    """Every event with what a person reads for it."""
    return {name: str(label) for name, label in _events.items()}


def tell(*, project_id: int | None, topic: str, object_id: int) -> None:
    """In the transaction in which it happened. Costs one look where nobody listens."""
    if project_id is not None and live(project_id).exists():
        Outbox.objects.create(consumer=CONSUMER, topic=topic, object_id=object_id)


def live(project_id: int) -> Any:
    return Webhook.objects.filter(project_id=project_id, retired_at=None)


def spread() -> int:
    """Outbox rows become deliveries; how many rows. A topic that no floor here knows is taken away: nobody asked for it."""
    with transaction.atomic():
        rows = list(Outbox.objects.filter(consumer=CONSUMER).select_for_update(skip_locked=True).order_by("pk")[:BATCH])
        found = [notice for row in rows if row.topic in _sources for notice in _sources[row.topic](row.object_id)]
        Delivery.objects.bulk_create([made for notice in found for made in _deliveries(notice)])
        Outbox.objects.filter(pk__in=[row.pk for row in rows]).delete()
    return len(rows)


def _deliveries(notice: Notice) -> list[Delivery]:
    hooks = [hook for hook in live(notice.project_id).filter(paused=False) if notice.event in hook.events]
    return [Delivery(webhook=hook, event=notice.event, body=body_of(notice)) for hook in hooks]


def body_of(notice: Notice) -> str:
    content = {"type": notice.event, "timestamp": clock.now().isoformat(), "data": notice.data}
    return json.dumps(content, separators=(",", ":"))
