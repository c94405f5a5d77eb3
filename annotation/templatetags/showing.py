"""What a task shows, for templates that have its rows as they are stored."""

from collections.abc import Mapping, Sequence
from typing import Any

from django import template

from annotation import showing

register = template.Library()


@register.simple_tag
def shown_fields(fields: Sequence[Mapping[str, Any]], data: Mapping[str, Any]) -> list[dict[str, Any]]:
    return showing.shown_fields(fields, data)


@register.filter
def shown_turns(messages: Sequence[Mapping[str, Any]] | None) -> list[dict[str, Any]]:
    return showing.shown_turns(messages or [])
