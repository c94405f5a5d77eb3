"""Groups of people: teams, skills, languages."""

from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from accounts.models import Actor, Project
from accounts.services import MANAGERS, record_event, require_role
from annotation.models import Group, GroupMember, Queue, Slot, Task
from annotation.placing import WAITING
from ground.errors import Conflict, Invalid, NotFound
from models_registry.texts import check_text

LONGEST_NAME = 80


def create_group(*, actor: Actor, name: str, kind: str = Group.Kind.TEAM) -> Group:
    require_role(actor, *MANAGERS)
    if kind not in Group.Kind.values:
        raise Invalid(_("kind is one of: %s.") % ", ".join(Group.Kind.values))
    name = _checked(name)
    with transaction.atomic():
        _refuse_taken(actor, kind, name)
        group = Group.objects.create(project=actor.project, name=name, kind=kind)
        _record(actor, group, "group.created", {"name": name, "kind": kind})
    return group


def rename_group(*, actor: Actor, group: Group, name: str) -> None:
    require_role(actor, *MANAGERS)
    name = _checked(name)
    with transaction.atomic():
        if name != group.name:
            _refuse_taken(actor, group.kind, name)
        Group.objects.filter(pk=group.pk, project=actor.project).update(name=name)
        _record(actor, group, "group.renamed", {"name": name})
    group.refresh_from_db()


def _checked(name: str) -> str:
    try:
        name = check_text(name, "name").strip()
    except ValueError as error:
        raise Invalid(str(error)) from error
    if not 1 <= len(name) <= LONGEST_NAME:
        raise Invalid(_("A group's name has 1 to %d characters.") % LONGEST_NAME)
    return name


def _refuse_taken(actor: Actor, kind: str, name: str) -> None:
    Project.objects.select_for_update(no_key=True).get(pk=actor.project_id)  # two requests with one name: one waits
    if Group.objects.filter(project=actor.project, kind=kind, name=name).exists():
        raise Conflict(_("There is a group named %s already.") % name, hint=_("Choose another name."))


def _record(actor: Actor, group: Group, verb: str, data: dict[str, Any] | None = None) -> None:
    record_event(project=actor.project, actor=actor, verb=verb, object_id=group.public_id, data=data)


def add_to_group(*, actor: Actor, group: Group, member: Actor) -> bool:
    """Somebody who works in the project joins; False when already in. Counts from the next claim."""
    require_role(actor, *MANAGERS)
    if group.project_id != actor.project_id or not _works_here(actor, member):
        raise NotFound(_("There is no such person here."))
    with transaction.atomic():
        _row, made = GroupMember.objects.get_or_create(group=group, actor=member)
        if made:
            _record(actor, group, "group.joined", {"actor": member.public_id})
    return made


def _works_here(actor: Actor, member: Actor) -> bool:
    return Actor.objects.filter(pk=member.pk, project=actor.project, membership__isnull=False).exists()


def remove_from_group(*, actor: Actor, group: Group, member: Actor) -> bool:
    """False when not in it. What the person has in hand can be finished."""
    require_role(actor, *MANAGERS)
    with transaction.atomic():
        rows = GroupMember.objects.filter(group=group, actor=member, group__project=actor.project)
        removed = bool(rows.delete()[0])
        if removed:
            _record(actor, group, "group.left", {"actor": member.public_id})
    return removed


def delete_group(*, actor: Actor, group: Group) -> None:
    """Errors: Conflict for a group that a queue names or that tasks are kept for; it says where."""
    require_role(actor, *MANAGERS)
    with transaction.atomic():
        row = Group.objects.select_for_update().filter(pk=group.pk, project=actor.project).first()
        if row is None:
            raise NotFound(_("There is no such group here."))
        use = use_of(row)
        if use:
            raise Conflict(_("The group %s is in use.") % row, hint=use)
        _record(actor, row, "group.deleted", {"name": row.name, "kind": row.kind})
        row.delete()


def use_of(group: Group) -> str:
    """What keeps a group from being deleted, as one sentence; empty when nothing does."""
    queue = Queue.objects.filter(Q(group=group) | Q(reserved_group=group) | Q(qualifies_for=group)).first()
    if queue is not None:
        return _("The queue %s names it. Choose another group there first.") % queue
    tasks = Task.objects.filter(project_id=group.project_id, pool_id=group.pk)
    if tasks.exists():
        return _("%d tasks are assigned to it. Assign them to others first.") % tasks.count()
    if Slot.objects.filter(state__in=WAITING, lane__pool_id=group.pk, task__project_id=group.project_id).exists():
        return _("Tasks that were kept for it are being filed anew. Try again in a minute.")
    return ""
