"""A run once more: on from where it stopped, or a new one with the same inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import Actor
from accounts.services import MANAGERS, require_role
from ground.errors import Conflict, Invalid, NotFound
from jobs import services as job_services
from training.engine.checkpoints import MANIFEST
from training.models import Run
from training.services import ensure_run


@transaction.atomic
def go_on(*, actor: Actor, run: Run) -> Run:
    """Queue a stopped or failed run once more: it resumes from its newest checkpoint, with all its attempts anew.

    Managers only. Errors: Conflict while it works, after it succeeded, and when it left no checkpoint.
    """
    require_role(actor, *MANAGERS)
    if run.project_id != actor.project_id:
        raise NotFound(_("There is no run %s here.") % run.public_id)
    if run.job.is_final and newest_step(run) is None:
        raise Conflict(_("Run %d left no checkpoint.") % run.number, hint=_("Start it again."))
    job_services.go_on(actor=actor, job=run.job)
    return run


def refuse_settings(asked: Any) -> None:
    """Errors: Invalid, always: a checkpoint fits the settings it was written with, the number of processes above all."""
    names = ", ".join(sorted(asked))[:200] if isinstance(asked, dict) else _("what was sent")
    raise Invalid(
        _("A run goes on with the settings it was started with: %s cannot change.") % names,
        hint=_(
            "Resume it without a body, or start a new run with other settings; that begins with its base, at the first step."
        ),
    )


def newest_step(run: Run) -> int | None:
    """The step of the newest sealed checkpoint in the run's folder; whether all of it is whole is checked on resume."""
    sealed = sorted((Path(run.folder) / "checkpoints").glob(f"step-*/{MANIFEST}"))
    return int(sealed[-1].parent.name.removeprefix("step-")) if sealed else None


@transaction.atomic
def start_again(*, actor: Actor, run: Run) -> Run:
    """Queue a new run with the inputs and settings of one that is over. Managers only. Errors: Conflict while it works."""
    require_role(actor, *MANAGERS)
    if run.project_id != actor.project_id:
        raise NotFound(_("There is no run %s here.") % run.public_id)
    if not run.job.is_final:
        raise Conflict(_("Run %d is not over yet.") % run.number, hint=_("Stop it first."))
    job = job_services.submit(actor=actor, project=run.project, kind=run.job.kind, spec=run.job.spec)
    return ensure_run(job)
