"""How numbers, times and names are written everywhere: on pages, in chart labels, in tables of numbers."""

import math
from datetime import datetime, timedelta
from typing import TypeGuard

from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.translation import gettext as _

from ground import clock

NOTHING = "–"


def known(value: float | None) -> TypeGuard[float]:
    """Neither missing nor NaN nor infinite."""
    return value is not None and math.isfinite(value)


def number(value: float | None, digits: int | None = None) -> str:
    """In the reader's notation. Without `digits`: three significant figures at most, no idle zeros."""
    if not known(value):
        return NOTHING
    digits = _needed(value) if digits is None else digits
    return str(number_format(round(value, digits), digits, use_l10n=True, force_grouping=True))


def _needed(value: float) -> int:
    """The fewest decimals, six at most, that tell `value` apart at three significant figures."""
    most = 0 if value == 0 else min(6, max(0, 2 - math.floor(math.log10(abs(value)))))
    return next(digits for digits in range(most + 1) if round(value, digits) == round(value, most))


def percent(share: float | None, digits: int = 0) -> str:
    """A share of 1 as per cent, with a narrow no-break space before the sign."""
    return _("%(number)s %%") % {"number": number(share * 100, digits)} if known(share) else NOTHING


def interval(estimate: float | None, low: float | None, high: float | None, digits: int = 2) -> str:
    """`0.64 (0.55 to 0.72)`; without bounds it says so, because a bare number claims too much."""
    if not known(estimate):
        return NOTHING
    if not (known(low) and known(high)):
        return _("%(value)s (too few to tell)") % {"value": number(estimate, digits)}
    values = {"value": number(estimate, digits), "low": number(low, digits), "high": number(high, digits)}
    return _("%(value)s (%(low)s to %(high)s)") % values


def duration(length: float | timedelta | None) -> str:
    """Seconds in two units at most: `0.4 s`, `21 s`, `4 min 12 s`, `2 h 5 min`, `3 d 4 h`."""
    seconds = length.total_seconds() if isinstance(length, timedelta) else length
    if not known(seconds):
        return NOTHING
    if abs(seconds) < 9.95:
        return _("%(n)s s") % {"n": number(seconds, 0 if seconds == round(seconds) else 1)}
    whole = round(seconds)
    for size, small, words in (
        (86400, 3600, _("%(a)d d %(b)d h")),
        (3600, 60, _("%(a)d h %(b)d min")),
        (60, 1, _("%(a)d min %(b)d s")),
    ):
        if whole >= size:
            return words % {"a": whole // size, "b": whole % size // small}
    return _("%(n)s s") % {"n": whole}


def relative(moment: datetime) -> str:
    """`3 s ago`, `5 min ago`, `in 19 min`, `2 h ago`; a date when more than a day lies between."""
    seconds = (clock.now() - moment).total_seconds()
    if abs(seconds) < 2:
        return _("just now")
    if abs(seconds) >= 86400:
        return date_format(timezone.localtime(moment), "j M Y, H:i")
    for size, words in ((3600, _("%(n)d h")), (60, _("%(n)d min")), (1, _("%(n)d s"))):
        if abs(seconds) >= size:
            length = words % {"n": abs(seconds) // size}
            break
    return (_("%(length)s ago") if seconds > 0 else _("in %(length)s")) % {"length": length}


def size(count: float | None) -> str:
    """Bytes in decimal units, as files are sold: `542 MB`."""
    if not known(count):
        return NOTHING
    value, unit = float(count), "B"
    for bigger in ("kB", "MB", "GB", "TB"):
        if abs(value) < 999.5:
            break
        value, unit = value / 1000, bigger
    return f"{number(value, 0 if unit == 'B' or abs(value) >= 9.95 else 1)} {unit}"


def short_digest(digest: str) -> str:
    """`sha256:4be1…` in eight letters: the first four and the last four."""
    letters = digest.rpartition(":")[2]
    return letters if len(letters) <= 9 else f"{letters[:4]}…{letters[-4:]}"
