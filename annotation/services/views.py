"""Queries of the data browser that somebody gave a name."""

from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts.models import Actor
from accounts.services import MANAGERS, REVIEWERS, record_event, require_role, role_of
from annotation.browsing import SORTS, check_query
from annotation.models import SavedView
from ground.errors import Conflict, Forbidden, Invalid

MOST_COLUMNS = 20
MOST_VIEWS = 100


@transaction.atomic
def save_view(
    *,
    actor: Actor,
    name: str,
    query: Any,
    sort: str = "-id",
    columns: list[str] | None = None,
    shared: bool = False,
) -> SavedView:
    """Keep a query under a name. Errors: Invalid; Conflict for a name one has used; Forbidden to share for who is no manager."""
    require_role(actor, *REVIEWERS)
    if shared and role_of(actor) not in MANAGERS:
        raise Forbidden(_("Only managers share views."))
    checked = check_query(query)
    columns = columns or []
    if not name.strip() or len(name) > 80 or "\x00" in name:
        raise Invalid(_("A view needs a name of 1 to 80 characters."))
    if sort not in SORTS or len(columns) > MOST_COLUMNS or any(len(column) > 200 for column in columns):
        raise Invalid(_("sort: is one of %s.") % ", ".join(SORTS))
    if SavedView.objects.filter(actor=actor).count() >= MOST_VIEWS:
        raise Conflict(_("You have %d views already.") % MOST_VIEWS, hint=_("Delete one first."))
    kept = {**checked, "sort": sort, "columns": columns}
    try:
        with transaction.atomic():
            view = SavedView.objects.create(
                project=actor.project, actor=actor, name=name.strip(), query=kept, shared=shared
            )
    except IntegrityError as error:
        raise Conflict(
            _("You have a view of that name."), hint=_("Delete it first, or choose another name.")
        ) from error
    record_event(project=actor.project, actor=actor, verb="view.saved", object_id=view.public_id)
    return view


@transaction.atomic
def delete_view(*, actor: Actor, view: SavedView) -> None:
    """Its owner may, and a manager where it is shared."""
    if view.actor_id != actor.pk:
        require_role(actor, *MANAGERS)
    record_event(project=actor.project, actor=actor, verb="view.deleted", object_id=view.public_id)
    view.delete()
