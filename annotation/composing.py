"""A schema as a form, and back. Pure: a form is names and texts, so it can be sent as it stands, whatever is wrong with it.

Lists (options, aspects) are lines: `value | words | hint=… | more=…`, a child under its parent with two spaces before it. What a
form cannot say comes back changed; `fits_form` tells, and such a schema is edited as text.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _

from annotation.questions import KINDS
from annotation.questions.fields import FIELD_KINDS

JSON = dict[str, Any]
SEPARATOR = " | "


@dataclass(frozen=True)
class Input:
    """One input of the form. `kind`: text, area, number, check (with the value it has where it says nothing), choice, lines."""

    name: str
    label: Any
    kind: str = "text"
    choices: Sequence[tuple[str, Any]] = ()
    default: bool = False
    hint: Any = ""


LENGTH = (
    Input("min", _("At least"), "number"),
    Input("max", _("At most"), "number"),
    Input("unit", _("Counted in"), "choice", (("", _("words")), ("characters", _("characters")))),
    Input("enforce", _("Hold people to it"), "check"),
)
OPTIONS = Input(
    "options", _("Options, one a line"), "lines", hint=_("value | words | hint=… ; the value is what answers store.")
)
TREE = Input(
    "options",
    _("Labels, one a line"),
    "lines",
    hint=_("value | words | hint=… ; two spaces before a line put it under the one above."),
)
ASPECTS = Input("aspects", _("Aspects, one a line"), "lines", hint=_("name | words"))
REWRITE = Input("rewrite", _("Offer to write a better one"), "check")
FLAGGED = Input(
    "candidate_flags",
    _("Flags for a response, one a line"),
    "lines",
    hint=_("value | words ; nothing: the usual four."),
)
TURNS = (Input("turns_min", _("Replies, at least"), "number"), Input("turns_max", _("Replies, at most"), "number"))
SPANS_HINT = _("value | words | subject=label,label | object=label ; without these any span will do.")
ANCHORS_HINT = _("name | words | 1=worst | 5=best ; required=no where it may be left out.")
STRENGTHS = (("", _("not asked")), ("true", _("on a beam of seven")), ("steps", _("in a second step")))
RATED = (
    ("", _("the task as a whole")),
    ("candidates", _("each response")),
    ("turns", _("each reply of a conversation")),
)

QUESTION = (
    Input("name", _("Name in answers"), hint=_("Letters, digits and underscores.")),
    Input("text", _("Question")),
    Input("help", _("A word of help"), "area"),
    Input("required", _("An answer is required"), "check", default=True),
    Input("reason", _("Reason"), "choice", (("", _("not asked")), ("true", _("offered")), ("required", _("required")))),
)
WHEN = (
    Input("when_question", _("Ask only after"), hint=_("The name of an earlier question; empty: always.")),
    Input("when_is", _("… was answered with"), hint=_("One value or several, with commas; empty: with anything.")),
    Input("when_aspect", _("… or its aspect")),
    Input("when_at_least", _("… is at least"), "number"),
    Input("when_at_most", _("… is at most"), "number"),
)
FIELD = (
    Input("name", _("Name in the data"), hint=_("Letters, digits and underscores.")),
    Input("text", _("Heading")),
    Input("kind", _("Shown as"), "choice", tuple(("" if kind == "text" else kind, kind) for kind in FIELD_KINDS)),
    Input("language", _("Programming language"), hint=_("For code.")),
    Input("hint", _("Hint")),
    Input("collapsed", _("Closed until somebody opens it"), "check"),
    Input("required", _("Every task has it"), "check", default=True),
)
SCHEMA = (
    Input("layout", _("Responses stand"), "choice", (("", _("side by side")), ("stacked", _("below each other")))),
    Input("sensitive", _("Sensitive: shown only to people who take such tasks"), "check"),
)
OWN: dict[str, tuple[Input, ...]] = {
    "pairwise": (
        Input("strength", _("How much better"), "choice", STRENGTHS),
        Input("tie", _("“About equal” is an answer"), "check", default=True),
        Input("neither", _("“Both bad” is an answer"), "check", default=True),
        ASPECTS,
        REWRITE,
        FLAGGED,
    ),
    "ranking": (
        Input("tie", _("Ties are allowed"), "check", default=True),
        Input("all_bad", _("“All bad” can be said"), "check"),
        REWRITE,
        FLAGGED,
    ),
    "rating": (
        Input("scale", _("Marks from 1 to"), "number"),
        Input("aspects", _("Aspects, one a line"), "lines", hint=ANCHORS_HINT),
        Input("each", _("Rated is"), "choice", RATED),
        Input("field", _("Conversation field"), hint=_("Empty: the prompt's.")),
        Input("notes", _("A note to each aspect"), "check"),
    ),
    "labels": (TREE, Input("multiple", _("Several may hold"), "check"), *LENGTH[:2]),
    "spans": (
        Input("field", _("Field that is marked")),
        OPTIONS,
        Input("overlap", _("Marks may overlap"), "check", default=True),
        Input("notes", _("A note to each mark"), "check"),
    ),
    "relations": (
        Input("spans", _("Question whose spans are related")),
        Input("options", _("Relations, one a line"), "lines", hint=SPANS_HINT),
    ),
    "text": (*LENGTH, Input("placeholder", _("Words in the empty box"))),
    "demonstration": (*TURNS, *LENGTH, Input("placeholder", _("Words in the empty box"))),
    "correction": (Input("of", _("What is corrected"), hint=_("candidate, or the name of a field.")), *LENGTH),
    "flags": (
        Input("options", _("Flags, one a line"), "lines", hint=_("value | words | review=yes ; review sends the task to review.")),
        Input("note", _("A note to each flag"), "check", default=True),
    ),
    "chat": (
        Input("models", _("Models, one or two"), hint=_("Names of aliases or versions, with a comma.")),
        *TURNS,
        Input("system", _("Instructions for the models"), "area"),
        Input("strength", _("How much better"), "check"),
    ),
}  # fmt: skip
KIND_WORDS = {
    "pairwise": _("Comparison of two"),
    "ranking": _("Ranking"),
    "rating": _("Rating"),
    "labels": _("Labels"),
    "spans": _("Spans"),
    "relations": _("Relations"),
    "text": _("Free text"),
    "demonstration": _("Demonstration"),
    "correction": _("Correction"),
    "flags": _("Flags"),
    "chat": _("Live chat"),
}
NEW: dict[str, JSON] = {
    "pairwise": {"text": _("Which response is better?")},
    "ranking": {"text": _("Put the responses in order, best first.")},
    "rating": {"text": _("How good is it?"), "aspects": [{"name": "quality", "text": _("Quality")}]},
    "labels": {
        "text": _("Which label fits?"),
        "options": [{"value": "yes", "text": _("Yes")}, {"value": "no", "text": _("No")}],
    },
    "spans": {"text": _("Mark what you find."), "options": [{"value": "here", "text": _("Here")}]},
    "relations": {"text": _("What holds between them?"), "options": [{"value": "of", "text": _("belongs to")}]},
    "text": {"text": _("What do you say?")},
    "demonstration": {"text": _("Write the reply.")},
    "correction": {"text": _("Correct it."), "of": "candidate"},
    "flags": {"text": _("What is wrong with it?"), "options": [{"value": "unsafe", "text": _("Unsafe")}]},
    "chat": {"text": _("Talk with the model."), "models": ["champion"]},
}


def form_of(body: Mapping[str, Any]) -> dict[str, str]:
    """The schema as a form: `fields-0-name`, `questions-1-options`, …, and how many there are of each."""
    fields, questions = body.get("fields", []), body.get("questions", [])
    form = {"fields": str(len(fields)), "questions": str(len(questions)), **_shown(SCHEMA, body, "schema")}
    for place, field in enumerate(fields):
        form |= _shown(FIELD, field, f"fields-{place}")
    for place, question in enumerate(questions):
        here = f"questions-{place}"
        form |= {f"{here}-kind": question["kind"], **_shown(QUESTION, question, here)}
        form |= _shown(WHEN, _flat_when(question.get("when")), here)
        form |= _shown(OWN[question["kind"]], {**question, **_flat_turns(question)}, here)
    return form


def body_of(form: Mapping[str, str]) -> JSON:
    """The schema a form says, right or wrong: `schema_errors` tells what is wrong with it."""
    body: JSON = {"schema_version": 1}
    fields = [_said(FIELD, form, f"fields-{place}") for place in range(_count(form, "fields"))]
    if fields:
        body["fields"] = fields
    body["questions"] = [_question(form, f"questions-{place}") for place in range(_count(form, "questions"))]
    return body | _said(SCHEMA, form, "schema")


def fits_form(body: Mapping[str, Any]) -> bool:
    """Whether the form can say all of a schema."""
    try:
        return plain(body_of(form_of(body))) == plain(body)
    except (KeyError, TypeError, AttributeError):
        return False


def plain(value: Any) -> Any:
    """Without what says no more than its absence, so that two ways to say the same are equal."""
    if isinstance(value, Mapping):
        kept = {
            key: plain(inner)
            for key, inner in value.items()
            if inner not in (None, "", False) or key in _TRUE_UNLESS_SAID
        }
        for key in _TRUE_UNLESS_SAID & kept.keys():
            if kept[key] is True:
                del kept[key]
        for key, usual in (("kind", "text"), ("unit", "words"), ("layout", "side_by_side"), ("fields", [])):
            if kept.get(key) == usual and (key != "kind" or "required" not in kept):
                kept.pop(key) if key != "kind" else None
        if kept.get("kind") == "text" and set(kept) <= {item.name for item in FIELD}:
            del kept["kind"]
        return kept
    return [plain(inner) for inner in value] if isinstance(value, list) else value


_TRUE_UNLESS_SAID = {"required", "tie", "neither", "overlap", "note"}


def _count(form: Mapping[str, str], name: str) -> int:
    given = str(form.get(name, ""))
    return min(int(given), 50) if given.isdecimal() and len(given) < 4 else 0


def _shown(inputs: Iterable[Input], holder: Mapping[str, Any], here: str) -> dict[str, str]:
    return {f"{here}-{item.name}": _text_of(item, holder.get(item.name)) for item in inputs}


def _text_of(item: Input, value: Any) -> str:
    if item.kind == "check":
        return "on" if (item.default if value is None else value) else ""
    if item.kind == "lines":
        return "\n".join(_lines(value or [], "name" if item.name == "aspects" else "value"))
    if (
        (item.name == "kind" and value == "text")
        or (item.name == "layout" and value == "side_by_side")
        or (item.name == "unit" and value == "words")
    ):
        return ""
    if item.name == "models" and isinstance(value, list):
        return ", ".join(value)
    if isinstance(value, bool):
        return "true" if value else ""
    return "" if value is None else str(value)


def _said(inputs: Iterable[Input], form: Mapping[str, str], here: str) -> JSON:
    found = {}
    for item in inputs:
        value = _value_of(item, str(form.get(f"{here}-{item.name}", "")))
        if value is not None:
            found[item.name] = value
    return found


def _value_of(item: Input, given: str) -> Any:
    """None for what says nothing."""
    text = given.replace("\r\n", "\n").strip() if item.kind != "lines" else given.replace("\r\n", "\n")
    if item.kind == "check":
        said = text == "on"
        return None if said == item.default else said
    if item.kind == "lines":
        return _options(text, "name" if item.name == "aspects" else "value") or None
    if item.kind == "number":
        return (int(text) if re.fullmatch(r"-?[0-9]{1,9}", text) else text) if text else None
    if item.kind == "choice" and text == "true":
        return True
    if item.name == "models":
        return [name.strip() for name in text.split(",") if name.strip()]
    return text or ("" if item.name in ("name", "text") else None)


def _question(form: Mapping[str, str], here: str) -> JSON:
    kind = str(form.get(f"{here}-kind", ""))
    said = _said(QUESTION, form, here)
    question: JSON = {"name": said.pop("name"), "kind": kind, **said}
    own = _said(OWN.get(kind, ()), form, here)
    turns = {key: own.pop(f"turns_{key}") for key in ("min", "max") if f"turns_{key}" in own}
    question |= own | ({"turns": turns} if turns else {})
    when = _when(_said(WHEN, form, here))
    return {**question, "when": when} if when else question


def _when(said: Mapping[str, Any]) -> JSON | None:
    asked = said.get("when_question")
    if not asked:
        return None
    marks = {key: said[f"when_{key}"] for key in ("aspect", "at_least", "at_most") if f"when_{key}" in said}
    if said.get("when_is"):
        values = [value.strip() for value in said["when_is"].split(",") if value.strip()]
        return {"question": asked, "is": values[0] if len(values) == 1 else values, **marks}
    return {"question": asked, **(marks or {"answered": True})}


def _flat_when(when: Any) -> JSON:
    if not isinstance(when, Mapping):
        return {}
    values = when.get("is")
    flat = {f"when_{key}": value for key, value in when.items() if key not in ("is", "answered")}
    return flat | ({"when_is": ", ".join(values) if isinstance(values, list) else values} if values else {})


def _flat_turns(question: Mapping[str, Any]) -> JSON:
    turns = question.get("turns")
    return {f"turns_{key}": value for key, value in turns.items()} if isinstance(turns, Mapping) else {}


# Lines.


def _lines(items: Sequence[Mapping[str, Any]], first: str, depth: int = 0) -> list[str]:
    lines = []
    for item in items:
        parts = [str(item.get(first, "")), str(item.get("text", ""))]
        for key, value in item.items():
            if key == "anchors":
                parts += [f"{mark}={words}" for mark, words in value.items()]
            elif key not in (first, "text", "children"):
                parts.append(f"{key}={_word(value)}")
        lines += ["  " * depth + SEPARATOR.join(parts), *_lines(item.get("children", ()), first, depth + 1)]
    return lines


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ",".join(value) if isinstance(value, list) else str(value)


def _options(text: str, first: str) -> list[JSON]:
    """The items that lines say. A line of one part says both the value and its words."""
    found: list[JSON] = []
    above: list[tuple[int, JSON]] = []
    for line in text.split("\n"):
        if not line.strip():
            continue
        indent = len(line) - len(line.lstrip(" "))
        item = _item(line.strip(), first)
        while above and above[-1][0] >= indent:
            above.pop()
        (above[-1][1].setdefault("children", []) if above else found).append(item)
        above.append((indent, item))
    return found


def _item(line: str, first: str) -> JSON:
    value, *rest = (part.strip() for part in line.split("|"))
    item: JSON = {first: value, "text": rest[0] if rest else value}
    if first == "name" and not rest:
        item["name"] = re.sub(r"\W+", "_", value.lower()).strip("_")
    for part in rest[1:]:
        key, _equals, said = part.partition("=")
        key, said = key.strip(), said.strip()
        if key.isdecimal():
            item.setdefault("anchors", {})[key] = said
        elif key in ("review", "required"):
            item[key] = said == "yes"
        elif key in ("subject", "object"):
            item[key] = [label.strip() for label in said.split(",") if label.strip()]
        elif _equals:
            item[key] = said
        else:
            item["hint"] = key
    return item


# What the buttons of the form do.


def act_on(form: Mapping[str, str], act: str) -> tuple[dict[str, str], str]:
    """The form after a button (`add-field`, `add-question:rating`, `remove:questions:1`, `up:fields:2`); and where to go on."""
    verb, _colon, rest = act.partition(":")
    body = body_of(form)
    body.setdefault("fields", [])
    if verb == "add-field":
        name = _fresh("field", body["fields"])
        body["fields"].append({"name": name, "text": ""})
        return form_of(body), f"fields-{len(body['fields']) - 1}-text"
    if verb == "add-question" and rest in KINDS:
        body["questions"].append(_new(rest, body))
        return form_of(body), f"questions-{len(body['questions']) - 1}-text"
    group, _colon, place = rest.partition(":")
    items = body.get(group) if group in ("fields", "questions") else None
    if not isinstance(items, list) or not place.isdecimal() or int(place) >= len(items):
        return dict(form), ""
    at = int(place)
    to = {"up": at - 1, "down": at + 1}.get(verb, at)
    if verb == "remove":
        items.pop(at)
        at = max(min(at, len(items) - 1), 0)
        return form_of(body), f"{group}-{at}-text" if items else "add-field"
    if 0 <= to < len(items):
        items.insert(to, items.pop(at))
    return form_of(body), f"{group}-{to}-{verb}"


def _fresh(name: str, items: Sequence[Mapping[str, Any]]) -> str:
    taken = {item.get("name") for item in items}
    return next(one for one in (name, *(f"{name}_{n}" for n in range(2, 200))) if one not in taken)


def _new(kind: str, body: Mapping[str, Any]) -> JSON:
    question = json.loads(json.dumps(NEW[kind], default=str))
    question = {"name": _fresh(kind, body["questions"]), "kind": kind, **question}
    texts = [field["name"] for field in body["fields"] if field.get("kind", "text") in ("text", "markdown", "code")]
    if kind == "spans":
        question["field"] = texts[0] if texts else ""
    if kind == "correction" and texts:
        question["of"] = texts[0]
    if kind == "relations":
        spans = [one["name"] for one in body["questions"] if one["kind"] == "spans"]
        question["spans"] = spans[0] if spans else ""
    return question


# A task to try a schema on.

_WORDS = _("A short text stands here, so that you see the question at work. Change it below to one of your own.")


def sample_for(body: Mapping[str, Any], responses: int, prompt: bool) -> JSON:
    """A task that fits, where nobody gave one."""
    talk = [{"role": "user", "content": str(_WORDS)}, {"role": "assistant", "content": str(_WORDS)}]
    values: JSON = {"chat": talk, "passages": [{"id": "1", "text": str(_WORDS)}]}
    fields = [field for field in body.get("fields", []) if field.get("kind", "text") not in ("image", "audio", "video")]
    return {
        "data": {field["name"]: values.get(field.get("kind", "text"), str(_WORDS)) for field in fields},
        "prompt": talk[:1] if prompt else [],
        "responses": [f"{number}. {_WORDS}" for number in range(1, responses + 1)],
    }
