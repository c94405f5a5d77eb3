"""A run once more."""

from __future__ import annotations

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import Actor
from accounts.services import MANAGERS, require_role
from ground.errors import Conflict, NotFound
from jobs import services as job_services
from training.models import Run
from training.services import ensure_run


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
