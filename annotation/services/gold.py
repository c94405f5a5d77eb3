"""Gold tasks, mixed in silently: drawn, handed out, scored."""

import random
import time
import uuid
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F, Max, Q

from accounts.models import Actor
from annotation import dialect
from annotation.data import Claim
from annotation.models import Annotation, GoldScore, GroupMember, Queue, Schema, Slot, Standing, Task
from annotation.router import Router
from annotation.scoring import score_against
from annotation.selectors.gold import unseen
from annotation.services import sensitive
from annotation.services.standings import judge
from ground import clock

SWEPT = 500

_chance = random.SystemRandom()
_mixing: dict[int, tuple[float, list[Queue]]] = {}


def draw(actor: Actor, queue: Queue | None = None) -> Queue | None:
    """The queue whose gold the actor's next task is to come from, or None: a test not passed yet, else by the gold rate.

    The rate is that of the queue the next task would come from, so gold comes only where there is work, and in the share asked
    for. What queues ask for is looked up at most every `QUEUE_CACHE_SECONDS`, so that a claim does not pay for it.
    """
    mixing = [row for row in _mixing_queues(actor.project_id) if queue is None or row.pk == queue.pk]
    if not mixing:
        return None
    tests = (row for row in mixing if row.is_test and _may_take(actor, row))
    open_test = next((row for row in tests if unseen(actor, row).exists()), None)
    if open_test is not None:
        return open_test
    drawn = _chance.random()
    rated = {row.pk: row for row in mixing if not row.is_test and drawn < row.gold_rate}
    return _of_next(actor, queue, rated) if rated else None


def mixes(actor: Actor) -> bool:
    """Whether gold may come into what the actor's project hands out: false only where `draw` could draw nothing."""
    return bool(_mixing_queues(actor.project_id))


def _of_next(actor: Actor, queue: Queue | None, rated: dict[int, Queue]) -> Queue | None:
    asker = dialect.Asker(actor.pk, actor.project_id, queue.pk if queue else None, sensitive.serves(actor))
    waiting = dialect.next_waiting(asker)
    row = rated.get(waiting.lane.queue_id) if waiting else None
    return row if row and _may_take(actor, row) else None


def _mixing_queues(project_id: int) -> list[Queue]:
    until, rows = _mixing.get(project_id, (0.0, []))
    if time.monotonic() >= until:
        mixed = Q(gold_rate__gt=0) | Q(qualifies_for__isnull=False)
        rows = list(Queue.objects.filter(mixed, project_id=project_id, state=Queue.State.RUNNING))
        _mixing[project_id] = (time.monotonic() + settings.QUEUE_CACHE_SECONDS, rows)
    return rows


def forget_settings(project_id: int) -> None:
    """A queue changed: this process looks again at once, others within `QUEUE_CACHE_SECONDS`."""
    _mixing.pop(project_id, None)


def _may_take(actor: Actor, queue: Queue) -> bool:
    mine = GroupMember.objects.filter(actor=actor)
    if queue.group_id is not None and not mine.filter(group=queue.group_id).exists():
        return False
    if queue.is_test and mine.filter(group=queue.qualifies_for_id).exists():
        return False
    return not Standing.objects.filter(actor=actor, queue=queue, state__gte=Standing.State.PAUSED).exists()


def claim(actor: Actor, queue: Queue) -> Claim | None:
    """Lease a gold task the actor has not seen: it gets a slot of the actor's own. None when there is none left."""
    token, now = uuid.uuid4(), clock.now()
    expires = now + timedelta(seconds=settings.SLOT_LEASE_SECONDS)
    with transaction.atomic():
        fresh = unseen(actor, queue)
        if not sensitive.serves(actor):
            all_sensitive = Schema.objects.filter(project=actor.project_id, body__sensitive=True)
            fresh = fresh.exclude(Q(schema__in=all_sensitive.values("pk")) | Q(data__has_key="sensitive"))
        task = fresh.select_for_update(skip_locked=True, of=("self",)).order_by("?").first()
        if task is None:
            return None
        last = Slot.objects.filter(task=task).aggregate(last=Max("ordinal"))["last"]
        slot = Slot.objects.create(
            task=task,
            lane=Router(actor.project).lane(queue=queue, batch_id=None, pool_id=0, priority=task.priority),
            ordinal=0 if last is None else last + 1,
            seq=0,
            state=Slot.State.LEASED,
            actor=actor,
            lease_token=token,
            leased_at=now,
            lease_expires_at=expires,
        )
        Task.objects.filter(pk=task.pk).update(overlap=F("overlap") + 1)
    return Claim(slot.pk, task.pk, 0, token, expires)


def score(annotation: Annotation) -> GoldScore:
    """Compare an answer to gold with the key, once, and draw the consequences. A retried submit finds the first score."""
    task = Task.objects.select_related("gold", "schema", "queue").get(pk=annotation.task_id)
    right = score_against(task.schema.body["questions"], task.gold.answers, annotation.answers)
    with transaction.atomic():
        found, made = GoldScore.objects.get_or_create(
            annotation_id=annotation.pk,
            defaults={"actor_id": annotation.actor_id, "queue": task.queue, "score": right},
        )
        if made:
            judge(_person(annotation.actor_id), task.queue)
    return found


def _person(actor_id: int) -> Actor:
    return Actor.objects.select_related("project").get(pk=actor_id)


def score_missed() -> int:
    """Score answers whose process died between writing them and looking at the key. Returns how many."""
    answered = Annotation.objects.counted().filter(task__purpose=Task.Purpose.GOLD, gold_score=None)
    missed = answered.filter(task__gold__isnull=False).exclude(task__state=Task.State.ARCHIVED)
    return sum(bool(score(annotation)) for annotation in missed.order_by("pk")[:SWEPT])


def unscore(annotation: Annotation) -> None:
    """The answer was taken back: its score counts no more, and its author's standing follows. In the caller's transaction."""
    judge(_person(annotation.actor_id), annotation.task.queue)


def was_told(annotation: Annotation) -> bool:
    """Whether the author was told at once how a gold answer did; then it cannot be taken back."""
    return annotation.task.is_gold and annotation.task.queue.gold_feedback
