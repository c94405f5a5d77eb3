"""The access gate: who is asking, and which project they stand in. Someone else's object answers 404."""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _

from accounts.models import Actor, ApiToken, Membership, Project, User
from accounts.services import require_role, role_of
from ground.errors import Forbidden, NotFound


def get_actor_for(request: HttpRequest | Any, slug: str) -> Actor:
    """The asking actor in project `slug`. Errors: NotFound when the project is not theirs."""
    token = getattr(request, "auth", None)
    actors = Actor.objects.select_related("project", "membership", "user")
    if isinstance(token, ApiToken):
        # The token came with its actor and project: what every request of a client needs costs no second look.
        actor = token.actor if token.actor.project.slug == slug else None
    elif isinstance(request.user, User):
        actor = actors.filter(user=request.user, project__slug=slug, membership__isnull=False).first()
    else:
        actor = None
    if actor is None:
        raise NotFound(_("There is no project %(slug)s here for you.") % {"slug": slug})
    return actor


def get_member_for(request: HttpRequest | Any, slug: str, *roles: str) -> Actor:
    """The asking actor, known to hold one of `roles`."""
    actor = get_actor_for(request, slug)
    # The pages' navigation shows what this role may open.
    setattr(request, "role", role_of(actor))  # noqa: B010  a request has no such attribute to a type checker
    require_role(actor, *roles)
    return actor


def require_scope(request: Any, *scopes: str) -> None:
    """A token must carry one of `scopes`; a signed-in person carries all that their role allows."""
    token = getattr(request, "auth", None)
    if isinstance(token, ApiToken) and not set(token.scopes) & set(scopes):
        raise Forbidden(_("This token lacks the scope %(scope)s.") % {"scope": " / ".join(scopes)})


def projects_for(user: User) -> QuerySet[Project]:
    return Project.objects.for_user(user).open().order_by("name")


def memberships_of(user: User) -> QuerySet[Membership]:
    """Where this person works, and as what."""
    rows = Membership.objects.filter(actor__user=user, project__archived_at=None)
    return rows.select_related("project", "actor").order_by("project__name")
