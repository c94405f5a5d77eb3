"""How the API knows who asks: a bearer token, or the browser's session."""

from datetime import timedelta
from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed

from accounts.models import Actor, ApiToken, Membership, Project
from accounts.services import digest_of_token
from ground import clock
from ground.rows import Shape, first

LAST_USED_PRECISION = timedelta(minutes=5)


class TokenPrincipal:
    """What `request.user` is under a token: authenticated, and nothing more than its actor."""

    is_authenticated = True
    is_active = True
    is_staff = is_superuser = False

    def __init__(self, actor: Actor) -> None:
        self.actor = actor
        self.pk = f"actor-{actor.pk}"

    def __str__(self) -> str:
        return str(self.actor)


class BearerAuthentication(BaseAuthentication):
    def authenticate(self, request: Any) -> tuple[TokenPrincipal, ApiToken] | None:
        secret = secret_of(request)
        if secret is None:
            return None
        token = find_token(secret)
        if token is None:
            raise AuthenticationFailed(_("This token is unknown, expired or revoked."))
        return TokenPrincipal(token.actor), token

    def authenticate_header(self, request: Any) -> str:
        return "Bearer"


def secret_of(request: Any) -> str | None:
    """What stands behind `Bearer`; None without that word."""
    scheme, _space, secret = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else None


class BrowserAuthentication(SessionAuthentication):
    """Django's session with CSRF protection, for the pages' own scripts and the API's documentation."""


def find_token(secret: str) -> ApiToken | None:
    """The live token with this secret. Its last use is noted at most every few minutes: reading must not write."""
    token = _read_token(digest_of_token(secret))
    if token is None or not token.is_live():
        return None
    now = clock.now()
    if token.last_used_at is None or now - token.last_used_at > LAST_USED_PRECISION:
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
    return token


TOKEN, ACTOR = Shape(ApiToken, "t"), Shape(Actor, "a")
PROJECT, MEMBERSHIP = Shape(Project, "p"), Shape(Membership, "m")
TOKEN_SQL = f"""
SELECT {TOKEN.columns}, {ACTOR.columns}, {PROJECT.columns}, {MEMBERSHIP.columns}
FROM accounts_apitoken t
JOIN accounts_actor a ON a.id = t.actor_id
JOIN accounts_project p ON p.id = t.project_id
LEFT JOIN accounts_membership m ON m.actor_id = a.id
WHERE t.digest = %s"""


def _read_token(digest: str) -> ApiToken | None:
    """The token with its actor, project and membership: every request of a client begins with this read."""
    row = first(TOKEN_SQL, [digest])
    if row is None:
        return None
    token, places = TOKEN.read(row), [len(TOKEN.fields)]
    for shape in (ACTOR, PROJECT):
        places.append(places[-1] + len(shape.fields))
    actor, project, membership = (
        ACTOR.read(row, places[0]),
        PROJECT.read(row, places[1]),
        MEMBERSHIP.read(row, places[2]),
    )
    if token is None or actor is None or project is None:
        return None
    token.actor, token.project, actor.project = actor, project, project
    Actor._meta.get_field("membership").set_cached_value(actor, membership)
    return token


class BearerScheme(OpenApiAuthenticationExtension):
    target_class = BearerAuthentication
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}


class BrowserScheme(OpenApiAuthenticationExtension):
    target_class = BrowserAuthentication
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "apiKey", "in": "cookie", "name": "sessionid"}
