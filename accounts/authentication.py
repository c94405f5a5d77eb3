"""How the API knows who asks: a bearer token, or the browser's session."""

from datetime import timedelta
from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed

from accounts.models import Actor, ApiToken
from accounts.services import digest_of_token
from ground import clock

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
        scheme, _space, secret = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        token = find_token(secret.strip())
        if token is None:
            raise AuthenticationFailed(_("This token is unknown, expired or revoked."))
        return TokenPrincipal(token.actor), token

    def authenticate_header(self, request: Any) -> str:
        return "Bearer"


class BrowserAuthentication(SessionAuthentication):
    """Django's session with CSRF protection, for the pages' own scripts and the API's documentation."""


def find_token(secret: str) -> ApiToken | None:
    """The live token with this secret. Its last use is noted at most every few minutes: reading must not write."""
    tokens = ApiToken.objects.select_related("actor__project", "actor__membership", "project")
    token = tokens.filter(digest=digest_of_token(secret)).first()
    if token is None or not token.is_live():
        return None
    now = clock.now()
    if token.last_used_at is None or now - token.last_used_at > LAST_USED_PRECISION:
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
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
