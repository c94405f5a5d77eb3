"""What goes back: an answer taken back by its author or a manager, a task passed over, a skip undone."""

import uuid

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import Actor
from accounts.services import MANAGERS, record_event, require_role
from annotation import dialect
from annotation.data import Claim
from annotation.errors import NothingToUndo
from annotation.filing import reopen
from annotation.models import Annotation, Case, PastLease, Skip, Slot, Task, Withdrawal
from annotation.placing import lock_task
from annotation.services import gold, routing, sensitive
from annotation.services.slots.claiming import free_for
from annotation.services.slots.leases import as_claim, lease_again, lease_time, require_lease
from ground import clock
from ground.errors import Invalid, NotFound
from jobs.models import Outbox

UPSETTING = "upsetting"
REVIEWED = "reviewed"


def undo(*, actor: Actor, annotation: Annotation) -> Claim:
    """Take an answer of one's own back: the row stays, uncounted, and its slot is leased to the author again."""
    if annotation.actor_id != actor.pk or annotation.slot is None:
        raise NotFound(_("There is no such answer of yours."))
    if gold.was_told(annotation):
        raise NothingToUndo(_("This answer was checked and you were told the result."))
    if annotation.rulings.filter(case__state=Case.State.SETTLED).exists():
        raise NothingToUndo(_("This answer was reviewed; it stays as the reviewer saw it."))
    with transaction.atomic():
        slot = Slot.objects.select_for_update(of=("self",)).select_related("task").get(annotations=annotation)
        if Annotation.objects.filter(pk=annotation.pk, counted=True).update(counted=False) != 1:
            raise NothingToUndo(_("This answer was already taken back, or never counted."))
        Withdrawal.objects.create(annotation=annotation, actor=actor, kind=Withdrawal.Kind.UNDO)
        claim = lease_again(slot)
        if claim is None:
            raise NothingToUndo(_("This task was taken away meanwhile."))
        dialect.count_answer(annotation.task_id, -1)
        Outbox.objects.create(consumer="preferences", topic="annotation.withdrawn", object_id=annotation.pk)
        routing.look_again(annotation.task_id)
        if slot.task.is_gold:
            gold.unscore(annotation)
    return claim


def retract(*, actor: Actor, annotation: Annotation, reason: str) -> None:
    """A manager takes somebody's answer out of everything that will be built from now on; its slot opens for somebody else."""
    require_role(actor, *MANAGERS)
    if not reason.strip():
        raise Invalid(_("Say why this answer is retracted."))
    with transaction.atomic():
        if annotation.settlement:
            # The last word goes, so the router looks at the task anew. Task before annotation, as whoever settles locks them.
            Task.objects.filter(pk=annotation.task_id).update(resolution=Task.Resolution.NONE)
        slot = (
            Slot.objects.select_for_update(of=("self",)).select_related("task__project").filter(annotations=annotation)
        )
        held = slot.first()
        if Annotation.objects.filter(pk=annotation.pk, counted=True).update(counted=False) != 1:
            raise NothingToUndo(_("This answer does not count any more."))
        Withdrawal.objects.create(annotation=annotation, actor=actor, kind=Withdrawal.Kind.RETRACTION, reason=reason)
        if held is not None:
            reopen(held, PastLease.Ending.RETRACTED)
            dialect.count_answer(annotation.task_id, -1)
        Outbox.objects.create(consumer="preferences", topic="annotation.withdrawn", object_id=annotation.pk)
        routing.look_again(annotation.task_id)
        if annotation.task.is_gold:
            gold.unscore(annotation)
        record_event(
            project=annotation.project,
            actor=actor,
            verb="annotation.retracted",
            object_id=annotation.public_id,
            data={"reason": reason},
        )


def skip(*, actor: Actor, slot: Slot, token: uuid.UUID, reason: str = "") -> None:
    """Pass a task over: it goes back to the others and does not return to this actor. One that upsets is no mark on anybody."""
    with transaction.atomic():
        require_lease(actor, slot, token)
        Skip.objects.get_or_create(task=slot.task, actor=actor, defaults={"reason": reason[:2000]})
        reopen(slot, PastLease.Ending.UPSET if reason == UPSETTING else PastLease.Ending.SKIPPED)
        sensitive.forget_unopened(actor.pk, slot.task_id)


def unskip(*, actor: Actor, slot: Slot) -> Claim:
    """Take a skip back: the task is leased to the same actor again, if a place of it is still free. Errors: NothingToUndo.

    The skip goes, so that the task can come again if this lease runs out; the lease it ended stays on record.
    """
    with transaction.atomic():
        task = lock_task(slot.task_id)
        skipped = Skip.objects.filter(task=task, actor=actor).exclude(reason=REVIEWED)
        if task.state == Task.State.ARCHIVED or not skipped.exists():
            raise NothingToUndo(_("There is no skip of yours to take back."))
        claim = _place_again(actor, task)
        if claim is None:
            raise NothingToUndo(_("Somebody else has this task now."), hint=_("Take the next one."))
        skipped.delete()
    sensitive.note_handed_out(actor, claim)
    return claim


def _place_again(actor: Actor, task: Task) -> Claim | None:
    """A place of a task that this actor passed over, under a new lease. Gold has one that is this actor's alone."""
    now, token = clock.now(), uuid.uuid4()
    leased = {
        "state": Slot.State.LEASED,
        "lease_token": token,
        "leased_at": now,
        "lease_expires_at": now + lease_time(),
    }
    mine = Slot.objects.filter(task=task, actor=actor)
    # Who answered late after all fills a place already.
    places = mine.filter(state=Slot.State.CLOSED) if task.is_gold else free_for(actor, task.pk)
    if not task.is_gold and mine.exists():
        return None
    for slot in places.select_related("task"):
        if Slot.objects.filter(pk=slot.pk, state=slot.state, lease_token=None).update(actor=actor, **leased):
            return as_claim(slot, token, now + lease_time())
    return None
