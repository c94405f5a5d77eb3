"""Targets: every write, the gated reads, and the end of what still runs on one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils.text import slugify
from django.utils.translation import gettext as _

from accounts.models import Actor, Project, Role
from accounts.services import record_event, require_role
from ground import clock
from ground.errors import Conflict, Invalid, NotFound
from jobs.models import Job
from training import staging
from training.clusters import SHAPES, Hosts
from training.engine.fields import SpecError, describe, read_object
from training.models import Run, Target
from training.plan import plan

JSON = dict[str, Any]
OURS = ("kind", "run_dir", "master_port")
"""Settings of a plan that are each run's own."""


def kinds() -> list[JSON]:
    """Every kind with its settings: name, type, default, help, bounds."""
    return [
        {
            "kind": kind,
            "label": str(Target.Kind(kind).label),
            "settings": [row for row in describe(shape) if row["name"] not in OURS],
        }
        for kind, shape in SHAPES.items()
    ]


def targets_of(project: Project) -> QuerySet[Target]:
    return Target.objects.filter(project=project, retired_at=None)


def get_target_for(actor: Actor, name: str) -> Target:
    """By its name or its id. Errors: NotFound, for another project's and a retired one too."""
    found = targets_of(actor.project).filter(Q(public_id=name) | Q(name=name)).first()
    if found is None:
        raise NotFound(_("There is no target %s here.") % name)
    return found


@transaction.atomic
def create_target(*, actor: Actor, project: Project, name: str, kind: str, settings: JSON) -> Target:
    """Owners only: a target says on which machines commands run, and as whom. Errors: Invalid with `problems`, Conflict."""
    _require_owner(actor, project)
    slug = slugify(name)[:80]
    if kind not in SHAPES or not slug:
        raise Invalid(_("A target needs a name and a kind."), hint=_("Kinds: %s.") % ", ".join(SHAPES))
    _check(kind, settings)
    target = Target(project=project, name=slug, kind=kind, settings={"schema_version": 1, **settings})
    try:
        with transaction.atomic():
            target.save()
    except IntegrityError as error:
        raise Conflict(_("There is a target %s already.") % slug, hint=_("Choose another name.")) from error
    record_event(project=project, actor=actor, verb="target.created", object_id=target.public_id, data={"kind": kind})
    return target


@transaction.atomic
def change_target(*, actor: Actor, target: Target, settings: JSON) -> Target:
    """All its settings anew; runs that wait go by the new ones. Owners only. Errors: Invalid with `problems`."""
    _require_owner(actor, target.project)
    _check(target.kind, settings)
    target.settings = {"schema_version": 1, **settings}
    target.save(update_fields=["settings"])
    record_event(project=target.project, actor=actor, verb="target.changed", object_id=target.public_id)
    return target


@transaction.atomic
def retire_target(*, actor: Actor, target: Target) -> None:
    """No new run goes there; its name is free again. Those at work stay. Owners only."""
    _require_owner(actor, target.project)
    free = f"{target.name[:40]}-{target.public_id[-30:]}"
    Target.objects.filter(pk=target.pk, retired_at=None).update(retired_at=clock.now(), name=slugify(free))
    record_event(project=target.project, actor=actor, verb="target.retired", object_id=target.public_id)


def _require_owner(actor: Actor, project: Project) -> None:
    require_role(actor, Role.OWNER)
    if actor.project_id != project.pk:
        raise NotFound(_("There is no target here."))


def _check(kind: str, given: JSON) -> None:
    """The plan's own checks, for a run that fits the target's size."""
    problems = {name: _("is each run's own") for name in OURS if name in given}
    try:
        if problems:
            raise SpecError(problems)
        target = {**staging.paths(Path(settings.RUNS) / "run"), **given, "kind": kind}
        place = read_object(SHAPES[kind], target, "target")
        plan(_sample(place), target)
    except SpecError as error:
        named = {name.removeprefix("target."): text for name, text in error.problems.items()}
        raise Invalid(_("These settings do not fit: %s.") % error, problems=named) from error


def _sample(place: Any) -> JSON:
    """One process on each machine, or what a host file asks for."""
    size = getattr(place, "nodes", 1)
    if isinstance(place, Hosts):
        counts = [line.rpartition("slots=")[2] for line in place.hosts if isinstance(line, str)]
        size = sum(int(count) for count in counts if count.isdecimal()) or 1
    return {
        "schema_version": 1,
        "run": "run",
        "method": "sft",
        "base": {"path": "/base"},
        "data": {"train": {"path": "data/train.jsonl"}},
        "hyperparameters": {"batch_size": size},
        "parallelism": {"world_size": size, "zero_stage": 2},
    }


def end_remote(job: Job) -> None:
    """After a job's last state: nothing of it may go on elsewhere. In a process of its own, as clusters take their time."""
    run = Run.objects.filter(job=job).only("folder").first()
    if run is None or not (Path(run.folder) / "remote.json").exists():
        return
    with (Path(run.folder) / "launcher.log").open("ab") as log:
        subprocess.Popen(
            [sys.executable, "-m", "training.follow", "--cancel", run.folder], cwd=settings.BASE_DIR,
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
