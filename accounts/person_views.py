"""A person's own settings, the same in every project: language, time zone, keys."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from accounts import services
from accounts.keymap import ACTIONS, PRESETS, listed
from accounts.locales import activate_for, languages, zones
from accounts.models import User
from ground import clock
from ground.errors import DomainError


@login_required
def person(request: HttpRequest) -> HttpResponse:
    """Language and time zone."""
    assert isinstance(request.user, User)
    if request.method != "POST":
        return _person_page(request)
    try:
        services.set_locale(
            user=request.user,
            locale=request.POST.get("locale", ""),
            time_zone=request.POST.get("time_zone", "").strip(),
        )
    except DomainError as error:
        return _person_page(request, error=error)
    activate_for(request.user)  # the answer already speaks the new language
    messages.success(request, _("Saved. Every page follows from now on, on every device."))
    return redirect("person")


def _person_page(request: HttpRequest, error: DomainError | None = None) -> HttpResponse:
    assert isinstance(request.user, User)
    said = request.POST if error else {"locale": request.user.locale, "time_zone": request.user.time_zone}
    context = {
        "languages": languages(),
        "zones": zones(),
        "chosen": said,
        "read": translation.get_language(),
        "zone_now": timezone.get_current_timezone_name(),
        "now": timezone.localtime(clock.now()),
        "error": error,
    }
    return render(request, "accounts/person.html", context, status=error.status if error else 200)


@login_required
def keys(request: HttpRequest) -> HttpResponse:
    """Every action with its key: change, trade, take a preset, put back, switch off."""
    assert isinstance(request.user, User)
    if request.method != "POST":
        return _keys_page(request, request.user.keys)
    wanted = _wanted(request)
    try:
        services.set_keys(user=request.user, keys=wanted)
    except DomainError as error:
        return _keys_page(request, wanted, error)
    messages.success(request, _("Saved. Your keys follow you to every device."))
    return redirect("person-keys")


def _wanted(request: HttpRequest) -> dict[str, Any]:
    assert isinstance(request.user, User)
    asked, off = request.POST, "off" in request.POST
    if "reset" in asked:
        return {"off": off, "map": {}}
    if asked.get("preset", "") in PRESETS:
        return {"off": off, "map": dict(PRESETS[asked["preset"]].keys)}
    typed = {name: asked.get(f"key-{name}", name).strip() for name in ACTIONS}
    return {"off": off, "map": {name: key for name, key in typed.items() if key != name}}


def _keys_page(request: HttpRequest, shown: dict[str, Any], error: DomainError | None = None) -> HttpResponse:
    context = {"groups": listed(shown), "off": shown.get("off", False), "presets": PRESETS.values(), "error": error}
    return render(request, "accounts/keys.html", context, status=error.status if error else 200)
