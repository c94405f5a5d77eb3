"""Sensitive tasks: who is spared them, how many one person is handed, what was opened."""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import Actor
from accounts.services import EVERYBODY, MANAGERS, record_event, require_role
from annotation.data import Claim
from annotation.filing import reopen
from annotation.models import Exposure, Lane, PastLease, Schema, SensitiveChoice, SensitiveLimit, Slot, Task
from annotation.sensitive import is_sensitive, kind_of
from ground import clock
from ground.errors import Invalid

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MOST = 10_000
HELD = (Slot.State.LEASED, Slot.State.PARKED)

_any: dict[int, tuple[float, bool]] = {}


@dataclass(frozen=True)
class Standing:
    """How it is with a person and sensitive tasks. `until`: no more before then; `seen` tasks in `span`, of `limit`."""

    spared: bool = False
    until: datetime | None = None
    seen: int = 0
    limit: int | None = None
    span: str = ""

    @property
    def serves(self) -> bool:
        return not self.spared and self.until is None


def are_there(project_id: int) -> bool:
    """Whether a project has lanes of sensitive tasks; looked up at most every `QUEUE_CACHE_SECONDS`, as a claim pays for it."""
    until, found = _any.get(project_id, (0.0, False))
    if time.monotonic() >= until:
        found = Lane.objects.filter(project_id=project_id, sensitive=True).exists()
        _any[project_id] = (time.monotonic() + settings.QUEUE_CACHE_SECONDS, found)
    return found


def serves(actor: Actor) -> bool:
    """Whether the queue may hand this person a sensitive task now. One look at a cache in projects that have none."""
    return not are_there(actor.project_id) or standing_of(actor).serves


def standing_of(actor: Actor) -> Standing:
    if SensitiveChoice.objects.filter(actor=actor, spared=True).exists():
        return Standing(spared=True)
    limit = SensitiveLimit.objects.filter(project=actor.project_id).first()
    spans = ((HOUR, limit.per_hour, "hour"), (DAY, limit.per_day, "day")) if limit else ()
    found = Standing()
    for span, most, name in spans:
        if most is None:
            continue
        times = _handed(actor, span)
        if len(times) >= most:
            # The place that frees first: the oldest of the last `most`. A limit of none stands until it is changed.
            until = times[most - 1] + span if most else clock.now() + span
            if found.until is None or until > found.until:
                found = Standing(until=until, seen=len(times), limit=most, span=name)
    return found


def _handed(actor: Actor, span: timedelta) -> list[datetime]:
    """When this actor's sensitive tasks of the last `span` were handed out, newest first."""
    recent = Exposure.objects.filter(actor=actor, at__gt=clock.now() - span)
    return list(recent.order_by("-at").values_list("at", flat=True)[:MOST])


def note_handed_out(actor: Actor, claim: Claim | None) -> None:
    """Count a sensitive task from the moment it is in the person's hands: a page may show it at any time."""
    if claim is None or not are_there(actor.project_id):
        return
    if claim.content is not None:
        sensitive = kind_of(Schema.body_of(claim.content.schema_id), claim.content.data) is not None
    else:
        sensitive = is_sensitive(Task.objects.only("schema_id", "data").get(pk=claim.task_id))
    if sensitive:
        Exposure.objects.get_or_create(actor=actor, task_id=claim.task_id, defaults={"at": clock.now()})


def forget_unopened(actor_id: int, task_id: int) -> None:
    """The task went back before anybody looked: that was no exposure. In the caller's transaction."""
    Exposure.objects.filter(actor_id=actor_id, task_id=task_id, opened_at=None).delete()


def open_task(*, actor: Actor, task: Task) -> None:
    """The person asked to see it. The first time counts."""
    require_role(actor, *EVERYBODY)
    exposure, _made = Exposure.objects.get_or_create(actor=actor, task=task, defaults={"at": clock.now()})
    Exposure.objects.filter(pk=exposure.pk, opened_at=None).update(opened_at=clock.now())


def choose(*, actor: Actor, spared: bool) -> list[int]:
    """Work on sensitive tasks of this project, or not at all. What is held unopened goes back; its slots are returned."""
    require_role(actor, *EVERYBODY)
    SensitiveChoice.objects.update_or_create(actor=actor, defaults={"spared": spared, "at": clock.now()})
    return give_back_unopened(actor) if spared else []


def give_back_unopened(actor: Actor) -> list[int]:
    """Hand back every sensitive task this person holds and has not opened."""
    unopened = Exposure.objects.filter(actor=actor, opened_at=None).values("task_id")
    held = Slot.objects.filter(actor=actor, state__in=HELD, task__in=unopened).select_related("task__project")
    return [slot.pk for slot in held if _give_back(slot)]


def _give_back(slot: Slot) -> bool:
    with transaction.atomic():
        task_id, actor_id = slot.task_id, slot.actor_id
        done = reopen(slot, PastLease.Ending.RELEASED)
        if actor_id is not None:
            forget_unopened(actor_id, task_id)
    return done


def set_limit(*, actor: Actor, per_hour: int | None, per_day: int | None) -> SensitiveLimit:
    """How many sensitive tasks one person is handed at most; None: no limit. Errors: Invalid."""
    require_role(actor, *MANAGERS)
    for name, value in (("per_hour", per_hour), ("per_day", per_day)):
        if value is not None and not 0 <= value <= MOST:
            raise Invalid(_("%(name)s: is a number from 0 to %(most)d, or empty.") % {"name": name, "most": MOST})
    limit, _made = SensitiveLimit.objects.update_or_create(
        project=actor.project, defaults={"per_hour": per_hour, "per_day": per_day}
    )
    record_event(
        project=actor.project,
        actor=actor,
        verb="sensitive.limited",
        object_id=actor.project.public_id,
        data={"per_hour": per_hour, "per_day": per_day},
    )
    return limit


def limits_of(project_id: int) -> tuple[int | None, int | None]:
    found = SensitiveLimit.objects.filter(project=project_id).first()
    return (found.per_hour, found.per_day) if found else (None, None)
