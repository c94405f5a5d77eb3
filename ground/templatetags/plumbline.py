"""Filters and tags for every template: text, numbers with their doubt, times, and the frame of the page."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django import template
from django.contrib.staticfiles.storage import staticfiles_storage
from django.template.context import Context
from django.templatetags.static import static
from django.urls import NoReverseMatch, reverse
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext_lazy as _

from ground import formats, rendering
from ground.characters import language_of
from ground.modules import reached_from

register = template.Library()

THEMES = ("light", "dark")
NOTE_KINDS = {"success": "good", "warning": "wait", "error": "bad"}
BADGE_KINDS = {
    "good": ("succeeded", "done", "complete", "settled", "passed", "better", "live", "ok", "delivered", "open_gate"),
    "live": ("running", "training", "evaluating", "generating", "serving", "active", "starting"),
    "wait": ("waiting", "queued", "in_review", "review", "undecided", "paused", "pending", "canary", "stopping"),
    "bad": ("failed", "stopped", "lost", "worse", "refused", "stuck", "unhealthy", "cancelled"),
}
SPEAKERS = {"user": _("Person"), "assistant": _("Assistant"), "system": _("System prompt"), "tool": _("Tool")}
PLACES = (
    ("project", _("Overview")),
    ("label", _("Label")),
    ("work", _("Your work")),
    ("queue", _("Queue")),
    ("data", _("Data")),
    ("loop", _("Loop")),
    ("runs", _("Runs")),
    ("models", _("Models")),
    ("settings", _("Settings")),
)
OF_ANNOTATORS = ("project", "label", "work", "loop", "settings")
"""The places an annotator may open; the others open to reviewers and managers."""

QUEUE_TABS = (
    ("queue", _("Now")),
    ("tasks", _("Tasks")),
    ("batches", _("Batches")),
    ("queues", _("Queues")),
    ("groups", _("People")),
    ("review", _("Review")),
    ("gold", _("Gold")),
    ("notes", _("Notes")),
    ("schemas", _("Schemas")),
    ("imports", _("Imports")),
    ("uploads", _("Uploads")),
)
OF_MANAGERS = ("notes",)
"""Tabs of the queue that a reviewer cannot open."""

WORK_TABS = (
    ("work", _("In numbers")),
    ("own-answers", _("Answers")),
    ("own-notes", _("Notes")),
    ("rulings", _("Feedback")),
    ("sensitive", _("Sensitive tasks")),
)


@register.simple_tag
def module_scripts(*names: str | Iterable[str]) -> SafeString:
    """Script tags of modules by static name, each after what asks for all they import at once. A list counts as its names."""
    wanted = [name for part in names for name in ([part] if isinstance(part, str) else part)]
    ahead = [format_html('<link rel="modulepreload" href="{}">', static(name)) for name in _apart(wanted)]
    tags = [format_html('<script type="module" src="{}"></script>', static(name)) for name in wanted]
    return mark_safe("".join([*ahead, *tags]))  # noqa: S308 - made by format_html above


def _apart(names: list[str]) -> list[str]:
    """What these modules import and do not bring along."""
    bundled = getattr(staticfiles_storage, "is_bundled", lambda name: False)
    return [name for name in reached_from([name for name in names if not bundled(name)]) if name not in names]


@register.filter
def markdown(text: str | None) -> SafeString:
    return rendering.render_markdown(text or "")


@register.filter
def plain(text: str | None) -> SafeString:
    return rendering.render_plain(text or "")


@register.filter
def source(text: str | None) -> SafeString:
    """The text itself, for a script to read back: a browser would turn its carriage returns into line ends."""
    return mark_safe(escape(text or "").replace("\r", "&#13;"))  # noqa: S308 - escaped


@register.filter
def code(text: str | None, language: str = "") -> SafeString:
    return rendering.render_code(text or "", language)


@register.filter
def as_json(value: Any) -> SafeString:
    """What a tool was given or gave, laid out to be read."""
    return rendering.render_json(value)


@register.simple_tag
def lang_of(text: Any) -> SafeString:
    """The `lang` of a text whose script says it: Chinese, Japanese and Korean share characters, not their shapes."""
    name = language_of(text) if isinstance(text, str) else ""
    return format_html(' lang="{}"', name) if name else mark_safe("")


@register.filter
def words(text: str | None) -> int:
    return len((text or "").split())


@register.filter
def letter(place: int) -> str:
    """0 is A, as candidates are called."""
    return chr(ord("A") + place % 26) if isinstance(place, int) else str(place)


@register.filter(name="number")
def number_filter(value: float | None, digits: int | None = None) -> str:
    return formats.number(value, digits)


@register.filter
def percent(share: float | None, digits: int = 0) -> str:
    return formats.percent(share, digits)


@register.filter
def interval(value: Any, digits: int = 2) -> str:
    """Of anything that has `estimate`, `low` and `high`, as attributes or keys."""
    estimate, low, high = (_part(value, name) for name in ("estimate", "low", "high"))
    return formats.interval(estimate, low, high, digits)


def _part(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)


@register.simple_tag(name="interval")
def interval_tag(estimate: float | None, low: float | None, high: float | None, digits: int = 2) -> str:
    return formats.interval(estimate, low, high, digits)


@register.filter
def duration(seconds: Any) -> str:
    return formats.duration(seconds)


@register.filter
def relative_time(moment: datetime | None) -> SafeString | str:
    """A <time> that says how long ago, with the exact moment for machines and on hovering."""
    if moment is None:
        return formats.NOTHING
    exact = moment.isoformat(timespec="seconds")
    return format_html('<time datetime="{}" title="{}">{}</time>', exact, exact, formats.relative(moment))


@register.filter(name="bytes")
def bytes_filter(count: float | None) -> str:
    return formats.size(count)


@register.filter
def short_digest(digest: str | None) -> str:
    return formats.short_digest(digest or "")


@register.filter
def note_kind(level: str) -> str:
    """The look of a note for a level of django.contrib.messages."""
    return NOTE_KINDS.get(level, "")


@register.filter
def badge_kind(state: str) -> str:
    """The look of a badge for a state; an unknown state gets the neutral one."""
    return next((kind for kind, states in BADGE_KINDS.items() if str(state).lower() in states), "")


@register.filter
def speaker(role: str) -> str:
    """Who speaks in a turn of a conversation, in the reader's words."""
    return str(SPEAKERS.get(role, role))


@register.filter
def getitem(mapping: Mapping[str, Any], key: str) -> Any:
    return mapping.get(key)


@register.simple_tag(takes_context=True)
def theme(context: Context) -> str:
    """What the reader chose, from the cookie that theme.mjs writes; empty follows the system."""
    request = context.get("request")
    chosen = request.COOKIES.get("theme", "") if request is not None else ""
    return chosen if chosen in THEMES else ""


@register.simple_tag(takes_context=True)
def keys_attributes(context: Context) -> SafeString:
    """On <html>: the reader's own keys where they differ, and whether they are off. Most readers have none."""
    request = context.get("request")
    keys = getattr(getattr(request, "user", None), "keys", None) or {}
    changed = format_html(' data-keys="{}"', json.dumps(keys["map"])) if keys.get("map") else SafeString("")
    return format_html("{}{}", changed, SafeString(' data-keys-off="1"') if keys.get("off") else "")


@register.simple_tag(takes_context=True)
def places(context: Context) -> list[dict[str, Any]]:
    """The project's line of places. `place` in the context names the current one; what has no URL is not shown."""
    project = context.get("project")
    slug = getattr(project, "slug", None)
    if not slug:
        return []
    role = getattr(context.get("request"), "role", None)
    shown = [place for place in PLACES if role != "annotator" or place[0] in OF_ANNOTATORS]
    return _line(shown, slug, context.get("place"))


@register.simple_tag(takes_context=True)
def queue_tabs(context: Context, tab: str) -> list[dict[str, Any]]:
    """The pages of the labeling queue."""
    role = getattr(context.get("request"), "role", None)
    shown = [row for row in QUEUE_TABS if role != "reviewer" or row[0] not in OF_MANAGERS]
    return _line(shown, getattr(context.get("project"), "slug", ""), tab)


@register.simple_tag(takes_context=True)
def work_tabs(context: Context, tab: str) -> list[dict[str, Any]]:
    """The pages of one's own work."""
    return _line(WORK_TABS, getattr(context.get("project"), "slug", ""), tab)


def _line(names: Iterable[tuple[str, Any]], slug: str, here: Any) -> list[dict[str, Any]]:
    found = ((name, label, _url(name, slug)) for name, label in names)
    return [{"label": label, "url": url, "current": name == here} for name, label, url in found if url]


def _url(name: str, slug: str) -> str:
    try:
        return reverse(name, args=[slug])
    except NoReverseMatch:
        return ""


@register.simple_block_tag(takes_context=True)
def scroll(context: Context, content: str, label: str) -> SafeString:
    """What may be wider than the page: a region that can be scrolled by keyboard and says what it is."""
    return format_html('<div class="scroll" role="region" tabindex="0" aria-label="{}">{}</div>', label, content)
