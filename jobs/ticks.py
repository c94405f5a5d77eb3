"""Periodic duties. Any number of tick processes may run: a row per duty says when it is due, and one of them wins it."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from django.db import DatabaseError, connection

from ground import clock
from jobs.models import Beat

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Duty:
    name: str
    seconds: float
    function: Callable[[], object]


_duties: dict[str, Duty] = {}


def register_beat(name: str, seconds: float, function: Callable[[], object]) -> None:
    """From `AppConfig.ready()`. The function takes nothing, is short, and may be called twice."""
    _duties[name] = Duty(name, seconds, function)


def run_due() -> list[str]:
    """Do what is due and not done by another tick; the names of what was done. One duty's failure stops no other."""
    return [duty.name for duty in list(_duties.values()) if _run_if_due(duty)]


def _run_if_due(duty: Duty) -> bool:
    try:
        if not _won(duty):
            return False
        duty.function()
    except DatabaseError:
        log.exception("%s: the database refused; it is tried again when next due.", duty.name)
        connection.close()
        return False
    except Exception:
        log.exception("%s failed; it is tried again when next due.", duty.name)
        return False
    return True


def _won(duty: Duty) -> bool:
    now = clock.now()
    later = now + timedelta(seconds=duty.seconds)
    if Beat.objects.filter(name=duty.name, due_at__lte=now).update(due_at=later):
        return True
    return Beat.objects.get_or_create(name=duty.name, defaults={"due_at": later})[1]
