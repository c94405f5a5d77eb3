"""Settings that would leave live chat silent, said at start."""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Warning

LOOPBACK = ("127.0.0.1", "localhost", "::1", "[::1]")
HINT = "Set PLUMBLINE_GATEWAY_PUBLIC_URL to the address under which browsers reach the gateway, like https://gateway.example.org."


def check_gateway_is_reachable(**_context: Any) -> list[CheckMessage]:
    """Browsers stream live chat from the gateway: a page of HTTPS asks no HTTP, and another machine no loopback."""
    public = settings.GATEWAY_PUBLIC_URL
    if settings.SESSION_COOKIE_SECURE and public.startswith("http://"):
        return [
            Warning(f"Pages come by HTTPS, but live chat would stream from {public}.", hint=HINT, id="annotation.W001")
        ]
    elsewhere = [host for host in settings.ALLOWED_HOSTS if host not in LOOPBACK]
    if elsewhere and urlsplit(public).hostname in LOOPBACK:
        told = f"Pages are reached as {elsewhere[0]}, but live chat would stream from {public}, which only this machine reaches."
        return [Warning(told, hint=HINT, id="annotation.W002")]
    return []
