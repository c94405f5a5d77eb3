"""What of a task's data is shown: kinds of fields, and the values they hold."""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from django.utils.translation import gettext as _

from annotation.questions.base import (
    LONGEST_TEXT,
    LONGEST_VALUE,
    TEXTS,
    Problem,
    check_named,
    check_words,
    check_yes_no,
    read_text,
    refuse_unknown,
)

MEDIA = ("image", "audio", "video")
FIELD_KINDS = (*TEXTS, "chat", "passages", *MEDIA)
ROLES = ("system", "user", "assistant", "tool")
RESERVED = ("schema_version", "sensitive")
KEYS = ("name", "text", "kind", "language", "collapsed", "required", "hint")
MOST_TURNS, MOST_PASSAGES, MOST_CALLS = 500, 200, 50
_UPLOAD = re.compile(r"upl_[A-Za-z0-9-]{1,60}")
_LANGUAGE = re.compile(r"[A-Za-z0-9+#._-]{1,40}")


def check_field(field: Any, path: str, seen: set[str]) -> Iterator[Problem]:
    yield from check_named(field, path, seen, KEYS)
    if not isinstance(field, dict):
        return
    if field.get("name") in RESERVED:
        yield f"{path}.name", _("is reserved; choose another name")
    kind = field.get("kind", "text")
    if kind not in FIELD_KINDS:
        told = {"kind": repr(kind)[:60], "kinds": ", ".join(FIELD_KINDS)}
        yield f"{path}.kind", _("%(kind)s is not one of %(kinds)s") % told
    if "language" in field and (kind != "code" or not _is_language(field["language"])):
        yield f"{path}.language", _("is the name of a programming language, and goes with kind code")
    yield from check_yes_no(field, path, "collapsed", "required")
    if "hint" in field:
        yield from check_words(field["hint"], f"{path}.hint", _("needs words, or leave it out"))


def _is_language(value: Any) -> bool:
    return isinstance(value, str) and _LANGUAGE.fullmatch(value) is not None


def check_value(field: Mapping[str, Any], value: Any, path: str) -> None:
    """Refuse a value that a field of its kind cannot show. Errors: ValueError with the path."""
    kind = field.get("kind", "text")
    if value is None and not field.get("required", True):
        return
    if kind in TEXTS:
        if not isinstance(value, str):
            raise ValueError(f"{path}: " + _("needs a text"))
        if len(value) > LONGEST_TEXT:
            read_text(value, path)
    else:
        _READERS[kind](value, path)


def _check_chat(value: Any, path: str) -> None:
    if not isinstance(value, list) or not 1 <= len(value) <= MOST_TURNS:
        raise ValueError(f"{path}: " + _("needs a list of 1 to %d messages, each {role, content}") % MOST_TURNS)
    for place, message in enumerate(value):
        _check_message(message, f"{path}[{place}]")


def _check_message(message: Any, path: str) -> None:
    if not isinstance(message, dict):
        raise ValueError(f"{path}: " + _("needs an object {role, content}"))
    refuse_unknown(message, path, ("role", "content", "tool_calls", "name"))
    if message.get("role") not in ROLES:
        raise ValueError(f"{path}.role: " + _("is one of %s") % ", ".join(ROLES))
    read_text(message.get("content"), f"{path}.content")
    if "name" in message:
        read_text(message["name"], f"{path}.name", 200)
    calls = message.get("tool_calls", [])
    if not isinstance(calls, list) or len(calls) > MOST_CALLS:
        raise ValueError(f"{path}.tool_calls: " + _("is a list of at most %d, each {name, arguments}") % MOST_CALLS)
    for place, call in enumerate(calls):
        here = f"{path}.tool_calls[{place}]"
        if not isinstance(call, dict):
            raise ValueError(f"{here}: " + _("needs an object {name, arguments}"))
        refuse_unknown(call, here, ("name", "arguments"))
        read_text(call.get("name"), f"{here}.name", 200)
        if not isinstance(call.get("arguments", {}), (dict, list, str)):
            raise ValueError(f"{here}.arguments: " + _("is an object, or the text of one"))


def _check_passages(value: Any, path: str) -> None:
    if not isinstance(value, list) or not 1 <= len(value) <= MOST_PASSAGES:
        raise ValueError(f"{path}: " + _("needs a list of 1 to %d passages, each {id, text}") % MOST_PASSAGES)
    seen: set[str] = set()
    for place, passage in enumerate(value):
        _check_passage(passage, f"{path}[{place}]", seen)


def _check_passage(passage: Any, path: str, seen: set[str]) -> None:
    if not isinstance(passage, dict):
        raise ValueError(f"{path}: " + _("needs an object {id, text}"))
    refuse_unknown(passage, path, ("id", "title", "text", "url"))
    name = passage.get("id")
    if not isinstance(name, str) or not 1 <= len(name) <= LONGEST_VALUE:
        raise ValueError(f"{path}.id: " + _("needs 1 to %d characters") % LONGEST_VALUE)
    if name in seen:
        raise ValueError(f"{path}.id: " + _("%s is used twice") % repr(name))
    seen.add(read_text(name, f"{path}.id"))
    read_text(passage.get("text"), f"{path}.text")
    if "title" in passage:
        read_text(passage["title"], f"{path}.title", 1_000)
    if "url" in passage and not _is_web(read_text(passage["url"], f"{path}.url", 2_000)):
        raise ValueError(f"{path}.url: " + _("needs an address that begins with http:// or https://"))


def _is_web(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc)


def _check_media(value: Any, path: str) -> None:
    upload = value
    if isinstance(value, dict):
        refuse_unknown(value, path, ("upload", "alt", "captions"))
        upload = value.get("upload")
        captions = value.get("captions", "")
        if captions and (not isinstance(captions, str) or not _UPLOAD.fullmatch(captions)):
            raise ValueError(f"{path}.captions: " + _("needs the id of an upload of WebVTT captions, as upl_…"))
        if "alt" in value:
            read_text(value["alt"], f"{path}.alt", 2_000)
    if not isinstance(upload, str) or not _UPLOAD.fullmatch(upload):
        raise ValueError(f"{path}: " + _("needs the id of an upload, as upl_…, or {upload, alt}"))


def check_sensitive(value: Any, path: str) -> None:
    """`data.sensitive`: true, or a few words on what is sensitive."""
    if isinstance(value, bool) or value is None:
        return
    if not isinstance(value, str) or not 1 <= len(value.strip()) <= LONGEST_VALUE or len(value) > LONGEST_VALUE:
        raise ValueError(f"{path}: " + _("is true, or at most %d characters on what is sensitive") % LONGEST_VALUE)
    read_text(value, path)


_READERS = {"chat": _check_chat, "passages": _check_passages, **dict.fromkeys(MEDIA, _check_media)}
