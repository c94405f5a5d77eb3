"""Schemas as projects have them: published in versions, and tasks moved from one version to the next."""

import re
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.db.models import Count
from django.utils.translation import gettext as _

from accounts.models import Actor, Project
from accounts.services import MANAGERS, record_event, require_role
from annotation.errors import SchemaOutdated
from annotation.models import Annotation, Schema, Slot, Task
from annotation.placing import file_again, lock_tasks
from annotation.questions import Needs, Problem, needs
from annotation.schemas import check_data, schema_errors
from ground.errors import Conflict, Invalid, NotFound
from models_registry.texts import check_json

AT_ONCE = 500
MOST_MOVED = 20_000
_NAME = re.compile(r"[-a-zA-Z0-9_]{1,80}")


@dataclass
class Moved:
    """What became of tasks that were to move. `more`: some were not looked at yet; move again."""

    moved: int = 0
    answered: int = 0
    gold: int = 0
    unfit: int = 0
    more: bool = False
    reasons: list[dict[str, Any]] = field(default_factory=list)


def publish_schema(*, actor: Actor, name: str, body: Any, based_on: str | None = None) -> tuple[Schema, bool]:
    """A schema under a name: a new version where its body is new, else the version there is. Returns it and whether it is new.

    `based_on` is the id of the version that was edited, empty for none: SchemaOutdated where somebody published another since.
    Errors: Invalid with `errors`, a list of {path, message}.
    """
    require_role(actor, *MANAGERS)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise Invalid(_("A name has 1 to 80 letters without accents, digits, - or _."))
    body = checked_body(body)
    with transaction.atomic():
        Project.objects.select_for_update(no_key=True).get(pk=actor.project_id)  # one publishes at a time
        last = Schema.objects.filter(project=actor.project, name=name).order_by("-version").first()
        if last is not None and last.body == body:
            return last, False
        if based_on is not None and based_on != (last.public_id if last else ""):
            raise _outdated(last)
        version = last.version + 1 if last else 1
        made = Schema.objects.create(project=actor.project, name=name, version=version, body=body)
        data = {"schema": str(made), "questions": [question["kind"] for question in body["questions"]]}
        record_event(project=actor.project, actor=actor, verb="schema.published", object_id=made.public_id, data=data)
    return made, True


def _outdated(last: Schema | None) -> SchemaOutdated:
    if last is None:
        return SchemaOutdated(_("The schema you edited has another name now."), hint=_("Publish it as a new one."))
    return SchemaOutdated(
        _("Version %(version)d of %(name)s was published meanwhile.") % {"version": last.version, "name": last.name},
        hint=_("Look at it, take over what you need, then publish on top of it. What you wrote is still here."),
        schema=last.public_id,
    )


def checked_body(body: Any) -> dict[str, Any]:
    """A schema's body, right in every part. Errors: Invalid with `errors`."""
    try:
        check_json(body, "schema")
    except ValueError as error:
        raise Invalid(str(error)) from error
    body = {"schema_version": 1, **body} if isinstance(body, dict) else body
    wrong = schema_errors(body)
    if wrong:
        raise Invalid(in_one_sentence(wrong), errors=[{"path": path, "message": told} for path, told in wrong])
    return dict(body)


def in_one_sentence(wrong: Sequence[Problem]) -> str:
    path, told = wrong[0]
    first = f"{path}: {told}"
    return first if len(wrong) == 1 else _("%(first)s (and %(n)d more)") % {"first": first, "n": len(wrong) - 1}


def move_tasks(*, actor: Actor, from_schema: Schema, to_schema: Schema) -> Moved:
    """Put open tasks that nobody has answered under a newer version of their schema; the others stay as they are.

    Whoever has one open is told when they submit, and loses nothing: the lease of such a task gets a new token, so that an answer
    that was checked under the old version can no more be written unseen. Errors: Conflict for what is no newer version.
    """
    require_role(actor, *MANAGERS)
    if {from_schema.project_id, to_schema.project_id} != {actor.project_id}:
        raise NotFound(_("There is no such schema here."))
    if from_schema.name != to_schema.name or from_schema.version >= to_schema.version:
        raise Conflict(
            _("Tasks move from a version of a schema to a newer one of the same name."),
            hint=_("Import them again to ask something else about them."),
        )
    result, after, looked_at = Moved(), 0, 0
    while looked_at < MOST_MOVED:
        keys = _next_keys(from_schema, after)
        if not keys:
            break
        _move_some(actor, keys, from_schema, to_schema, result)
        after, looked_at = keys[-1], looked_at + len(keys)
    else:
        result.more = bool(_next_keys(from_schema, after))
    data = {"from": str(from_schema), "to": str(to_schema), "moved": result.moved}
    record_event(
        project=actor.project, actor=actor, verb="schema.tasks_moved", object_id=to_schema.public_id, data=data
    )
    return result


def _next_keys(schema: Schema, after: int) -> list[int]:
    rows = Task.objects.filter(project=schema.project_id, schema=schema, state=Task.State.OPEN, pk__gt=after)
    return list(rows.order_by("pk").values_list("pk", flat=True)[:AT_ONCE])


@transaction.atomic
def _move_some(actor: Actor, keys: list[int], old: Schema, new: Schema, result: Moved) -> None:
    lock_tasks(keys)
    tasks = list(Task.objects.filter(pk__in=keys, schema=old, state=Task.State.OPEN).order_by("pk"))
    answered = set(Annotation.objects.filter(task__in=keys).values_list("task_id", flat=True))
    counts = Counter(dict(Task.objects.filter(pk__in=keys).annotate(n=Count("candidates")).values_list("pk", "n")))
    needed, moving = needs(new.body), []
    for task in tasks:
        if task.is_gold:
            result.gold += 1
        elif task.pk in answered:
            result.answered += 1
        elif told := _why_not(task, counts[task.pk], new.body, needed):
            result.unfit += 1
            if len(result.reasons) < 20:
                result.reasons.append({"task": task.public_id, "message": told})
        else:
            moving.append(task.pk)
    _put(actor.project, moving, old, new)
    result.moved += len(moving)


def _why_not(task: Task, responses: int, body: Mapping[str, Any], needed: Needs) -> str:
    try:
        check_data(body, task.data)
    except ValueError as error:
        return str(error)
    if needed.prompt and task.prompt_id is None:
        return _("It has no prompt.")
    if not needed.least <= responses <= needed.most:
        told = {"least": needed.least, "most": needed.most, "now": responses}
        return _("It needs %(least)d to %(most)d responses and has %(now)d.") % told
    return ""


def _put(project: Project, keys: list[int], old: Schema, new: Schema) -> None:
    Task.objects.filter(pk__in=keys).update(schema=new)
    held = list(Slot.objects.filter(task__in=keys, state=Slot.State.LEASED))
    for slot in held:
        slot.lease_token = uuid.uuid4()
    Slot.objects.bulk_update(held, ["lease_token"])
    if bool(old.body.get("sensitive")) != bool(new.body.get("sensitive")):
        file_again(project, keys)
