"""Gold tasks, mixed in silently: drawn, handed out, scored, and what follows for whoever answered."""

import random
import time
import uuid
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, Max, Q
from django.utils.translation import gettext as _

from accounts.models import Actor
from accounts.services import record_event
from annotation.data import Claim
from annotation.errors import Barred
from annotation.filing import Router
from annotation.models import Annotation, GoldScore, GroupMember, Queue, Slot, Standing, Task
from annotation.scoring import likeness
from ground import clock

LEAST_GOLD = 5
"""Gold answers below which nobody is warned, paused or blocked."""

_chance = random.SystemRandom()
_mixing: dict[int, tuple[float, list[Queue]]] = {}


def draw(actor: Actor, queue: Queue | None = None) -> Queue | None:
    """The queue whose gold the actor's next task is to come from, or None: a test not passed yet, else by the gold rate.

    What queues ask for is looked up at most every `QUEUE_CACHE_SECONDS`, so that a claim does not pay for it.
    """
    mixing = [row for row in _mixing_queues(actor.project_id) if queue is None or row.pk == queue.pk]
    if not mixing:
        return None
    tests = [row for row in mixing if row.is_test]
    open_test = next((row for row in tests if _may_take(actor, row)), None) if tests else None
    if open_test is not None:
        return open_test
    rated = [row for row in mixing if not row.is_test and _chance.random() < row.gold_rate]
    return next((row for row in rated if _may_take(actor, row)), None)


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
        task = _unseen(actor, queue)
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


def _unseen(actor: Actor, queue: Queue) -> Task | None:
    gold = Task.objects.filter(queue=queue, purpose=Task.Purpose.GOLD, state=Task.State.OPEN, gold__isnull=False)
    seen = Slot.objects.filter(actor=actor).values("task_id")
    answered = Annotation.objects.filter(actor=actor).values("task_id")
    fresh = gold.exclude(pk__in=seen).exclude(gold__promoted_from__in=answered)
    return fresh.select_for_update(skip_locked=True, of=("self",)).order_by("?").first()


def score(annotation: Annotation) -> GoldScore:
    """Compare an answer to gold with the key, and draw the consequences. Called once for an annotation."""
    task = Task.objects.select_related("gold", "schema", "queue").get(pk=annotation.task_id)
    alike = likeness(task.schema.body["questions"], annotation.answers, task.gold.answers)
    with transaction.atomic():
        found, _made = GoldScore.objects.get_or_create(
            annotation=annotation,
            defaults={"actor_id": annotation.actor_id, "queue": task.queue, "score": alike or 0.0},
        )
        judge(Actor.objects.select_related("project").get(pk=annotation.actor_id), task.queue)
    return found


def judge(actor: Actor, queue: Queue) -> Standing:
    """Look at the actor's latest gold answers and move its standing. Whoever is paused or blocked stays so until a manager acts."""
    standing, _made = Standing.objects.select_for_update().get_or_create(
        actor=actor, queue=queue, defaults={"changed_at": clock.now()}
    )
    scores = GoldScore.objects.filter(actor=actor, queue=queue, annotation__counted=True, pk__gt=standing.counted_after)
    latest = list(scores.order_by("-pk").values_list("score", flat=True)[: queue.judged_over])
    standing.right, standing.answered = sum(latest), len(latest)
    state = _tested(queue, standing) if queue.is_test else _standing_of(queue, standing)
    if state != standing.state and standing.state < Standing.State.PAUSED:
        standing.state, standing.changed_at = state, clock.now()
        standing.reason = _("%(right)s of the last %(all)d gold answers were right.") % {
            "right": f"{standing.right:g}",
            "all": standing.answered,
        }
        _tell(actor, queue, standing)
    standing.save()
    return standing


def _standing_of(queue: Queue, standing: Standing) -> int:
    if standing.answered < min(LEAST_GOLD, queue.judged_over):
        return Standing.State.GOOD
    share = standing.right / standing.answered
    for below, state in (
        (queue.block_below, Standing.State.BLOCKED),
        (queue.pause_below, Standing.State.PAUSED),
        (queue.warn_below, Standing.State.WARNED),
    ):
        if below is not None and share < below:
            return state
    return Standing.State.GOOD


def _tested(queue: Queue, standing: Standing) -> int:
    if standing.answered < queue.pass_after:
        return Standing.State.GOOD
    passed = standing.right / standing.answered >= queue.pass_share
    return Standing.State.PASSED if passed else Standing.State.FAILED


def _tell(actor: Actor, queue: Queue, standing: Standing) -> None:
    if standing.state == Standing.State.PASSED and queue.qualifies_for is not None:
        GroupMember.objects.get_or_create(group=queue.qualifies_for, actor=actor, defaults={"by_queue": queue})
    data: dict[str, Any] = {"queue": queue.public_id, "state": Standing.State(standing.state).name.lower()}
    record_event(
        project=actor.project,
        actor=None,
        verb="standing.changed",
        object_id=actor.public_id,
        data={**data, "right": standing.right, "answered": standing.answered},
    )


def was_told(annotation: Annotation) -> bool:
    """Whether the author was told at once how a gold answer did; then it cannot be taken back."""
    return annotation.task.is_gold and annotation.task.queue.gold_feedback


def refuse_barred(actor: Actor) -> None:
    """Errors: Barred when there is nothing for the actor because a queue paused or blocked it."""
    barred = Standing.objects.filter(
        actor=actor, queue__state=Queue.State.RUNNING, state__in=(Standing.State.PAUSED, Standing.State.BLOCKED)
    ).first()
    if barred is not None:
        raise Barred(
            _("You are %(state)s in this queue. %(reason)s")
            % {"state": barred.get_state_display(), "reason": barred.reason},
            hint=_("Read the guidelines again and ask a manager of the project to let you go on."),
        )
