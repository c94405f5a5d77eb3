"""The language and the time zone of whoever asks."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone, translation

from accounts.locales import ZONE_COOKIE, activate_for, activate_zone


class PersonMiddleware:
    """After Django's: what the person chose goes before what the browser says (Accept-Language, and a cookie from Intl).

    A page that somebody signed in by a token never passes here with a person; its authentication puts the language in force.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        timezone.deactivate()  # the thread served somebody else before
        activate_zone(request.COOKIES.get(ZONE_COOKIE, ""))
        # Whoever carries no session is nobody yet: looking would only vary the answer by cookie.
        if settings.SESSION_COOKIE_NAME in request.COOKIES and request.user.is_authenticated:
            activate_for(request.user)
            request.LANGUAGE_CODE = translation.get_language() or settings.LANGUAGE_CODE
        response = self.get_response(request)
        response.headers["Content-Language"] = translation.get_language() or settings.LANGUAGE_CODE
        return response
