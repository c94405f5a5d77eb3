"""Languages and time zones a person can choose, and putting them in force for a request."""

import functools
import zoneinfo
from typing import Any

from django.conf import settings
from django.utils import timezone, translation
from django.utils.translation import get_language_info

ZONE_COOKIE = "zone"


def languages() -> list[tuple[str, str]]:
    """Codes with each language's own name: whoever cannot read this page finds theirs."""
    return [(code, get_language_info(code)["name_local"]) for code, _name in settings.LANGUAGES]


@functools.cache
def zones() -> tuple[str, ...]:
    """Names of time zones by place, `UTC` first; without the abbreviations and offsets of old."""
    named = (name for name in zoneinfo.available_timezones() if "/" in name)
    places = (name for name in named if not name.startswith(("Etc/", "SystemV/", "posix/", "right/", "US/")))
    return ("UTC", *sorted(places))


def is_language(code: str) -> bool:
    return code in dict(settings.LANGUAGES)


def is_zone(name: str) -> bool:
    return name in zones()


def activate_for(user: Any) -> None:
    """The person's language and time zone from here on, in this thread. What the person did not choose stays as it is."""
    if is_language(getattr(user, "locale", "")):
        translation.activate(user.locale)
    activate_zone(getattr(user, "time_zone", ""))


def activate_zone(name: str) -> None:
    if is_zone(name):
        timezone.activate(zoneinfo.ZoneInfo(name))
