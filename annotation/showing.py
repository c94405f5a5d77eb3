"""What a task shows, as the templates read it: fields with their kind and value, conversations with their turns. Pure."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

TEXTS = ("text", "markdown", "code")
MEDIA = ("image", "audio", "video")
CLOSED_FROM = 1500
"""Characters. A tool's longer answer is closed until somebody opens it."""

JSON = Mapping[str, Any]


def shown_fields(
    fields: Iterable[JSON], data: JSON, questions: Iterable[JSON] = (), prompt: Sequence[JSON] = ()
) -> list[dict[str, Any]]:
    """Each field that the task has, ready for `annotation/_field.html`."""
    exact = {question.get("field") for question in questions if question["kind"] == "spans"}
    return [
        _shown(field, data[field["name"]], field["name"] in exact)
        for field in fields
        if data.get(field["name"]) not in (None, "") or field.get("required", True)
    ]


def texts_to_correct(
    fields: Iterable[JSON], data: JSON, questions: Iterable[JSON], candidates: Sequence[str]
) -> dict[str, str]:
    """What is to be corrected and does not stand in the page as it is stored: of a markdown field, of the candidate `first`."""
    corrected = {question["of"] for question in questions if question["kind"] == "correction"}
    found = {
        field["name"]: str(data.get(field["name"]) or "")
        for field in fields
        if field["name"] in corrected and field.get("kind") == "markdown"
    }
    return {**found, "first": candidates[0]} if "candidate" in corrected and candidates else found


def _shown(field: JSON, value: Any, exact: bool) -> dict[str, Any]:
    kind = field.get("kind", "text")
    shown = {
        "name": field["name"],
        "text": field["text"],
        "hint": field.get("hint", ""),
        "kind": kind,
        "language": field.get("language", ""),
        "collapsed": field.get("collapsed", False),
        # Places in a text are counted in its source, so the source is what is marked.
        "exact": exact and kind == "markdown",
        "template": f"annotation/_fields/{kind}.html",
        "value": value,
        "key": f"f.{field['name']}",
    }
    if kind == "chat":
        shown["turns"] = shown_turns(value or [], key=f"f.{field['name']}")
    elif kind in MEDIA:
        shown.update(media(value))
    return shown


def media(value: Any) -> dict[str, str]:
    """The upload that a value names, what it shows in words, and its captions."""
    given = value if isinstance(value, Mapping) else {"upload": value}
    return {name: str(given.get(name) or "") for name in ("upload", "alt", "captions")}


def uploads_in(fields: Iterable[JSON], data: JSON) -> list[tuple[str, str, str]]:
    """Every upload that a task's data names: its path, its id, the kind the field shows."""
    found = []
    for field in fields:
        value = data.get(field["name"])
        if field.get("kind") in MEDIA and value:
            named, path = media(value), f"data.{field['name']}"
            found.append((path, named["upload"], field["kind"]))
            found += [(f"{path}.captions", named["captions"], "captions")] if named["captions"] else []
    return found


def shown_turns(messages: Sequence[JSON], key: str = "p") -> list[dict[str, Any]]:
    """The turns of a conversation, each with its place in it, and its `key` among the texts on the page."""
    return [
        {
            "index": index,
            "key": f"{key}.{index}",
            "role": message["role"],
            "name": message.get("name", ""),
            "content": message.get("content") or "",
            "calls": [
                {**_call(call), "key": f"{key}.{index}.{place}"}
                for place, call in enumerate(message.get("tool_calls") or [])
            ],
            "closed": message["role"] == "tool" and len(message.get("content") or "") > CLOSED_FROM,
        }
        for index, message in enumerate(messages)
    ]


def _call(call: JSON) -> dict[str, Any]:
    """A tool's name and arguments, also where they stand one level deeper, as chat APIs write them."""
    inner = call.get("function") if isinstance(call.get("function"), Mapping) else call
    return {"name": str(inner.get("name", "")), "arguments": inner.get("arguments", {})}  # type: ignore[union-attr]


def sources(
    fields: Iterable[JSON],
    data: JSON,
    prompt: Sequence[JSON] = (),
    candidates: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, str]:
    """The exact source of every text that a task shows, by the key that stands beside it on the page (`data-text`)."""
    found = dict(_turn_sources(prompt, "p"))
    for field in fields:
        kind, key, value = field.get("kind", "text"), f"f.{field['name']}", data.get(field["name"])
        if kind in TEXTS and isinstance(value, str):
            found[key] = value
        elif kind == "chat":
            found.update(_turn_sources(value or [], key))
        elif kind == "passages":
            found.update({f"{key}.{place}": passage["text"] for place, passage in enumerate(value or [])})
    return {**found, **{f"c.{side}": text for side, text in candidates.items()}}


def _turn_sources(messages: Sequence[JSON], key: str) -> Iterator[tuple[str, str]]:
    for turn in shown_turns(messages, key):
        yield turn["key"], turn["content"]
        for call in turn["calls"]:
            given = call["arguments"]
            yield call["key"], given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)


def opens_turns(questions: Iterable[JSON]) -> bool:
    """Whether the turns of the prompt itself are judged, so that none of them may be folded away."""
    return any(question.get("each") == "turns" and not question.get("field") for question in questions)
