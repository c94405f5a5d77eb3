"""Checks of text and JSON from outside, before they meet a database that would refuse them less kindly."""

import math
from typing import Any

from django.utils.translation import gettext as _

from models_registry.data import ROLES

LONGEST_TEXT = 200_000
"""Characters in one message."""
MOST_MESSAGES = 500
DEEPEST_JSON = 20


def shown(name: object) -> str:
    """A name from outside, fit to stand in an error: short, and encodable."""
    return str(name)[:100].encode("utf-8", "replace").decode()


def check_text(value: Any, where: str) -> str:
    """`value`, known to be text a database can hold. Errors: ValueError that names `where`."""
    if not isinstance(value, str):
        raise ValueError(_("%(where)s: expected text.") % {"where": where})
    if len(value) > LONGEST_TEXT:
        raise ValueError(_("%(where)s: longer than %(n)d characters.") % {"where": where, "n": LONGEST_TEXT})
    if "\x00" in value:
        raise ValueError(_("%(where)s: holds a NUL character.") % {"where": where})
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(_("%(where)s: holds half a surrogate pair.") % {"where": where}) from error
    return value


def check_json(value: Any, where: str, depth: int = 0) -> Any:
    """`value`, known to fit a JSON column: clean text, finite numbers, no deep nesting."""
    if depth > DEEPEST_JSON:
        raise ValueError(_("%(where)s: nested too deeply.") % {"where": where})
    if isinstance(value, dict):
        for key, inner in value.items():
            check_json(inner, f"{where}.{check_text(key, where)}", depth + 1)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            check_json(inner, f"{where}[{index}]", depth + 1)
    elif isinstance(value, str):
        check_text(value, where)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(_("%(where)s: not a finite number.") % {"where": where})
    return value


def check_messages(value: Any) -> list[dict[str, str]]:
    """A conversation that ends with the user, as `[{role, content}]`. Parts of type text are joined."""
    if not isinstance(value, list) or not value:
        raise ValueError(_("messages: give a list with at least one message."))
    if len(value) > MOST_MESSAGES:
        raise ValueError(_("messages: more than %d messages.") % MOST_MESSAGES)
    messages = [_check_message(message, f"messages[{index}]") for index, message in enumerate(value)]
    if messages[-1]["role"] != "user":
        raise ValueError(_("messages: the last message must be from the user."))
    return messages


def _check_message(message: Any, where: str) -> dict[str, str]:
    if not isinstance(message, dict):
        raise ValueError(_("%s: expected an object with role and content.") % where)
    unknown = sorted(str(key) for key in set(message) - {"role", "content", "name"})
    if unknown:
        raise ValueError(
            _("%(where)s.%(key)s: unknown. Known: content, role.") % {"where": where, "key": shown(unknown[0])}
        )
    role = "system" if message.get("role") == "developer" else message.get("role")
    if role not in ROLES:
        raise ValueError(_("%(where)s.role: one of %(roles)s.") % {"where": where, "roles": ", ".join(ROLES)})
    content = _check_content(message.get("content"), f"{where}.content")
    if role == "user" and not content.strip():
        raise ValueError(_("%s.content: empty.") % where)
    return {"role": role, "content": content}


def _check_content(content: Any, where: str) -> str:
    if not isinstance(content, list):
        return check_text(content, where)
    texts = []
    for index, part in enumerate(content):
        if not isinstance(part, dict) or part.get("type") != "text":
            raise ValueError(
                _("%(where)s[%(i)d]: only parts of type text are understood.") % {"where": where, "i": index}
            )
        texts.append(check_text(part.get("text"), f"{where}[{index}].text"))
    return check_text("".join(texts), where)
