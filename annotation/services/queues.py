"""Queues made, changed, paused, resumed, archived."""

import re
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import Actor, Project
from accounts.services import MANAGERS, record_event, require_role
from annotation.filters import check_conditions
from annotation.models import Group, Queue
from annotation.models.task import MOST_OVERLAP
from annotation.services.gold import forget_settings
from annotation.services.refiling import start_refiling
from ground.errors import Conflict, Invalid, NotFound
from models_registry.texts import check_text

FILES = {
    "filter", "position", "order", "order_key", "descending", "breadth_first", "reserved_group", "reserved_slots", "qualifies_for",
}  # fmt: skip
"""Settings that decide where tasks are filed: a change files them anew."""
GROUPS = ("group", "reserved_group", "qualifies_for")
SHARES = ("gold_rate", "warn_below", "pause_below", "block_below", "pass_share", "review_below", "review_rate")
MAY_BE_NONE = ("warn_below", "pause_below", "block_below", "review_below")
NUMBERS = {
    "position": (0, 32_767),
    "judged_over": (1, 1000),
    "pass_after": (1, 1000),
    "reserved_slots": (0, MOST_OVERLAP),
}
SWITCHES = ("descending", "breadth_first", "gold_feedback", "review_flags")
SETTINGS = ("name", "filter", "order", "order_key", *GROUPS, *SHARES, *NUMBERS, *SWITCHES)
NAME = re.compile(r"[-a-zA-Z0-9_]{1,80}\Z")


def create_queue(*, actor: Actor, name: str, **settings: Any) -> Queue:
    """A running queue. What of the waiting tasks passes its filter is moved into it by a job."""
    require_role(actor, *MANAGERS)
    queue = Queue(project=actor.project)
    _fill(queue, {"name": name, **settings})
    with transaction.atomic():
        _refuse_taken(actor, queue)
        queue.save()
        _record(actor, queue, "queue.created", {"name": name, **settings})
        if queue.filter["all"] and not queue.is_test:
            start_refiling(actor=actor)
    forget_settings(actor.project_id)
    return queue


def update_queue(*, actor: Actor, queue: Queue, **settings: Any) -> bool:
    """Change settings; True when a job files waiting tasks anew.

    Errors: Invalid for a setting that makes no sense, with its name; Conflict for a name that is taken.
    """
    require_role(actor, *MANAGERS)
    with transaction.atomic():
        now = Queue.objects.select_for_update(no_key=True).get(pk=queue.pk, project=actor.project)
        before = {name: getattr(now, name) for name in settings if name in SETTINGS}
        _fill(now, settings)
        changed = {name for name, value in before.items() if getattr(now, name) != value}
        if "name" in changed:
            _refuse_taken(actor, now)
        now.save()
        if changed:
            _record(actor, now, "queue.updated", {name: settings[name] for name in changed})
        files = bool(changed & FILES)
        if files:
            start_refiling(actor=actor)
    forget_settings(actor.project_id)
    queue.refresh_from_db()
    return files


def _fill(queue: Queue, settings: dict[str, Any]) -> None:
    unknown = sorted(set(settings) - set(SETTINGS))
    if unknown:
        raise Invalid(_("A queue has no setting %s.") % unknown[0][:60])
    is_main = queue.pk is not None and queue.name == Queue.MAIN
    for name, value in settings.items():
        setattr(queue, name, value)
    _check_name(queue, is_main)
    _check_values(queue)
    _check_groups(queue)
    _check_together(queue, is_main)


def _check_name(queue: Queue, is_main: bool) -> None:
    if not isinstance(queue.name, str) or not NAME.match(queue.name):
        raise Invalid(_("A queue's name is made of letters, digits, - and _."))
    if is_main != (queue.name == Queue.MAIN):
        raise Conflict(_("The name main belongs to the queue that takes what no other takes."))


def _check_values(queue: Queue) -> None:
    for name in SHARES:
        value = getattr(queue, name)
        if not (value is None and name in MAY_BE_NONE) and not (_is_number(value) and 0 <= value <= 1):
            raise Invalid(_("%s is a share from 0 to 1.") % name)
    for name, (least, most) in NUMBERS.items():
        value = getattr(queue, name)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise Invalid(
                _("%(name)s is a whole number from %(least)d to %(most)d.")
                % {"name": name, "least": least, "most": most}
            )
    for name in SWITCHES:
        if not isinstance(getattr(queue, name), bool):
            raise Invalid(_("%s is true or false.") % name)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_groups(queue: Queue) -> None:
    for name in GROUPS:
        group = getattr(queue, name)
        if group is not None and group.project_id != queue.project_id:
            raise NotFound(_("%s: there is no such group here.") % name)


def _check_together(queue: Queue, is_main: bool) -> None:
    _check_filter(queue, is_main)
    _check_order(queue)
    if (queue.reserved_group is None) != (queue.reserved_slots == 0):
        raise Invalid(_("A reserve needs both a group and how many slots of each task are kept for it."))
    limits = [limit for limit in (queue.block_below, queue.pause_below, queue.warn_below) if limit is not None]
    if limits != sorted(limits):
        raise Invalid(_("The limits stand in the order block_below ≤ pause_below ≤ warn_below."))
    if queue.is_test and is_main:
        raise Invalid(_("The main queue takes what no other takes, so it can be no test."))
    if queue.is_test and queue.qualifies_for_id == queue.group_id:
        raise Invalid(_("Only people of this group may take the test that lets them into it. Choose another group."))


def _check_filter(queue: Queue, is_main: bool) -> None:
    body = queue.filter
    try:
        if not isinstance(body, dict) or body.get("schema_version") != 1:
            raise ValueError(_("needs an object with schema_version 1 and all"))
        check_conditions(body)
    except ValueError as error:
        raise Invalid(_("filter: %s") % error) from error
    if is_main and body["all"]:
        raise Invalid(_("The main queue takes what no other takes, so it has no filter."))


def _check_order(queue: Queue) -> None:
    if queue.order not in Queue.Order.values:
        raise Invalid(_("order is one of: %s.") % ", ".join(Queue.Order.values))
    try:
        check_text(queue.order_key, "order_key")
    except ValueError as error:
        raise Invalid(str(error)) from error
    if len(queue.order_key) > 80:
        raise Invalid(_("order_key has at most 80 characters."))
    if queue.order == Queue.Order.METADATA and not queue.order_key:
        raise Invalid(_("To order by a metadata value, say in order_key which one."))


def _refuse_taken(actor: Actor, queue: Queue) -> None:
    Project.objects.select_for_update(no_key=True).get(pk=actor.project_id)  # two requests with one name: one waits
    if Queue.objects.filter(project=actor.project, name=queue.name).exclude(pk=queue.pk).exists():
        raise Conflict(_("There is a queue named %s already.") % queue.name, hint=_("Choose another name."))


def _record(actor: Actor, queue: Queue, verb: str, settings: dict[str, Any]) -> None:
    told = {name: value.public_id if isinstance(value, Group) else value for name, value in settings.items()}
    record_event(project=actor.project, actor=actor, verb=verb, object_id=queue.public_id, data=told)


def pause_queue(*, actor: Actor, queue: Queue) -> None:
    """Hand nothing out of it any more; what is in hand can be finished."""
    _turn(actor, queue, Queue.State.PAUSED, "queue.paused", Queue.State.RUNNING)


def resume_queue(*, actor: Actor, queue: Queue) -> None:
    """Hand out again; an archived queue takes its tasks back by a job."""
    _turn(actor, queue, Queue.State.RUNNING, "queue.resumed", Queue.State.PAUSED, Queue.State.ARCHIVED)


def archive_queue(*, actor: Actor, queue: Queue) -> None:
    """Put it away; a job files its tasks in the queues that take them now. Its gold waits for it."""
    if queue.name == Queue.MAIN:
        raise Conflict(_("The main queue takes what no other takes; it cannot be archived."), hint=_("Pause it."))
    _turn(actor, queue, Queue.State.ARCHIVED, "queue.archived", Queue.State.RUNNING, Queue.State.PAUSED)


def _turn(actor: Actor, queue: Queue, state: int, verb: str, *before: int) -> None:
    """Twice is as good as once."""
    require_role(actor, *MANAGERS)
    with transaction.atomic():
        now = Queue.objects.select_for_update(no_key=True).get(pk=queue.pk, project=actor.project)
        if now.state != state and now.state not in before:
            raise Conflict(_("The queue %(name)s is %(state)s.") % {"name": now, "state": now.get_state_display()})
        if now.state != state:
            Queue.objects.filter(pk=now.pk).update(state=state)
            record_event(project=actor.project, actor=actor, verb=verb, object_id=now.public_id)
            if Queue.State.ARCHIVED in (state, now.state):
                start_refiling(actor=actor)
    forget_settings(actor.project_id)
    queue.refresh_from_db()
