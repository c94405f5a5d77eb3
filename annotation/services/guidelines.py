"""How to judge, published in versions."""

from django.db import transaction
from django.db.models import Max
from django.utils.translation import gettext as _

from accounts.models import Actor, Project
from accounts.services import EVERYBODY, MANAGERS, record_event, require_role
from annotation.models import Guideline, GuidelineRead
from ground.errors import Invalid


def publish_guideline(*, actor: Actor, body: str) -> Guideline:
    """A new version of the guidelines. The old ones stay: annotations point at the one they were made under."""
    require_role(actor, *MANAGERS)
    if not body.strip():
        raise Invalid(_("The guidelines are empty."), hint=_("Write how a good judgement is made."))
    with transaction.atomic():
        Project.objects.select_for_update().get(pk=actor.project_id)
        last = Guideline.objects.filter(project=actor.project).aggregate(last=Max("version"))["last"] or 0
        guideline = Guideline.objects.create(project=actor.project, version=last + 1, body=body)
        record_event(project=actor.project, actor=actor, verb="guideline.published", object_id=guideline.public_id)
    return guideline


def mark_read(*, actor: Actor, guideline: Guideline) -> None:
    """The actor opened this version; the first time is kept."""
    require_role(actor, *EVERYBODY)
    if guideline.project_id == actor.project_id:
        GuidelineRead.objects.get_or_create(actor=actor, guideline=guideline)
