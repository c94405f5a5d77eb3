"""What a client may send to /v1/chat/completions. Anything else is refused with the known names, never ignored."""

import json
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from models_registry.gateway.refusals import Refusal
from models_registry.texts import check_messages, check_text

KNOWN = (
    *("model", "messages", "n", "stream", "stream_options", "temperature", "top_p", "max_tokens"),
    *("max_completion_tokens", "seed", "stop", "frequency_penalty", "presence_penalty", "user", "metadata"),
)
MOST_CHOICES = 8
MOST_TOKENS = 32_768
LARGEST_SEED = 2**31 - 1 - MOST_CHOICES


@dataclass(frozen=True, kw_only=True)
class ChatRequest:
    """A checked request. `sampling` uses the names that completions are stored with (max_new_tokens, not max_tokens)."""

    model: str
    messages: list[dict[str, str]]
    n: int
    stream: bool
    include_usage: bool
    sampling: dict[str, Any]
    user: str
    metadata: dict[str, str]


def parse(raw: bytes) -> ChatRequest:
    """Errors: Refusal 400 that names the field."""
    data = _object(raw)
    unknown = sorted(str(key) for key in set(data) - set(KNOWN))
    if unknown:
        known = ", ".join(KNOWN)
        _refuse(
            unknown[0][:100],
            _("Unknown field %(name)s. Known: %(known)s.") % {"name": unknown[0][:100], "known": known},
        )
    given = {key: value for key, value in data.items() if value is not None}
    metadata = _metadata(given.get("metadata", {}))
    stream = _flag(given, "stream")
    return ChatRequest(
        model=_text(given, "model", 300, required=True),
        messages=_messages(given.get("messages")),
        n=_whole(given, "n", 1, MOST_CHOICES) or 1,
        stream=stream,
        include_usage=_include_usage(given.get("stream_options"), stream),
        sampling=_sampling(given),
        user=_text(given, "user", 200) or metadata.get("user", "")[:200],
        metadata={key: value for key, value in metadata.items() if key != "user"},
    )


def _refuse(param: str, message: str) -> None:
    raise Refusal(400, "invalid_value", message, param=param)


def _object(raw: bytes) -> dict[str, Any]:
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, "invalid_json", _("The body is not JSON: %s.") % str(error)[:200]) from error
    if not isinstance(data, dict):
        raise Refusal(400, "invalid_json", _("The body must be a JSON object."))
    return data


def _messages(value: Any) -> list[dict[str, str]]:
    try:
        return check_messages(value)
    except ValueError as error:
        raise Refusal(400, "invalid_value", str(error), param="messages") from error


def _text(given: dict[str, Any], name: str, longest: int, *, required: bool = False) -> str:
    if name not in given and not required:
        return ""
    try:
        value = check_text(given.get(name), name)
    except ValueError as error:
        raise Refusal(400, "invalid_value", str(error), param=name) from error
    if not value or len(value) > longest:
        _refuse(name, _("%(name)s: from 1 to %(n)d characters.") % {"name": name, "n": longest})
    return value


def _flag(given: dict[str, Any], name: str) -> bool:
    value = given.get(name, False)
    if not isinstance(value, bool):
        _refuse(name, _("%s: true or false.") % name)
    return bool(value)


def _include_usage(options: Any, stream: bool) -> bool:
    if options is None:
        return False
    if not isinstance(options, dict) or not stream or not set(options) <= {"include_usage", "include_obfuscation"}:
        _refuse("stream_options", _("stream_options: only with stream, and only include_usage."))
    return _flag(options, "include_usage")


def _number(given: dict[str, Any], name: str, low: float, high: float) -> float | None:
    value = given.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        _refuse(name, _("%(name)s: a number from %(low)s to %(high)s.") % {"name": name, "low": low, "high": high})
    return float(value)


def _whole(given: dict[str, Any], name: str, low: int, high: int) -> int | None:
    value = given.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        _refuse(
            name, _("%(name)s: a whole number from %(low)d to %(high)d.") % {"name": name, "low": low, "high": high}
        )
    return int(value)


def _sampling(given: dict[str, Any]) -> dict[str, Any]:
    if "max_tokens" in given and "max_completion_tokens" in given:
        _refuse("max_tokens", _("Give max_tokens or max_completion_tokens, not both."))
    longest = "max_completion_tokens" if "max_completion_tokens" in given else "max_tokens"
    found = {
        "temperature": _number(given, "temperature", 0, 2),
        "top_p": _number(given, "top_p", 0.001, 1),
        "max_new_tokens": _whole(given, longest, 1, MOST_TOKENS),
        "seed": _whole(given, "seed", 0, LARGEST_SEED),
        "stop": _stop(given.get("stop")),
        "frequency_penalty": _number(given, "frequency_penalty", -2, 2) or None,
        "presence_penalty": _number(given, "presence_penalty", -2, 2) or None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _stop(value: Any) -> list[str] | None:
    if value is None:
        return None
    words = [value] if isinstance(value, str) else value
    fits = isinstance(words, list) and 1 <= len(words) <= 4
    if not fits or any(not isinstance(word, str) or not 1 <= len(word) <= 200 for word in words):
        _refuse("stop", _("stop: one to four texts of up to 200 characters."))
    return [_text({"stop": word}, "stop", 200) for word in words]


def _metadata(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or len(value) > 16:
        _refuse("metadata", _("metadata: an object of up to 16 texts."))
    for key, inner in value.items():
        _text({"metadata": key}, "metadata", 64)
        if inner != "":
            _text({"metadata": inner}, "metadata", 512)
    return dict(value)
