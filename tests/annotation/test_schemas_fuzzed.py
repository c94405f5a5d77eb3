"""Whatever JSON a client sends as a schema, as data or as an answer: it is taken, or refused with a path. Nothing else happens."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from annotation.questions import KINDS, Shown
from annotation.schemas import check_answers, check_data, check_schema, schema_errors

OPTIONS = [{"value": "a", "text": "A"}, {"value": "b", "text": "B"}]
FIELDS: list[dict[str, Any]] = [
    {"name": kind, "text": kind, "kind": kind}
    for kind in ("text", "markdown", "code", "chat", "passages", "image", "audio", "video")
]
QUESTIONS: dict[str, dict[str, Any]] = {
    "pairwise": {"strength": True, "aspects": [{"name": "a", "text": "A"}], "rewrite": True},
    "ranking": {"all_bad": True, "rewrite": True},
    "rating": {"aspects": [{"name": "a", "text": "A"}], "each": "candidates", "notes": True},
    "labels": {"options": OPTIONS, "multiple": True},
    "spans": {"options": OPTIONS, "field": "text", "notes": True},
    "text": {"enforce": True, "min": 2},
    "demonstration": {},
    "correction": {"of": "text"},
    "flags": {"options": OPTIONS},
    "chat": {"models": ["champion"]},
}
SHOWN = Shown(
    data={"text": "one two 🙂", "chat": [{"role": "user", "content": "hello"}]},
    prompt=[{"role": "user", "content": "hello"}],
    candidates=["one", "two"],
)
WORDS = sorted(
    {key for kind in KINDS.values() for key in (*kind.keys, *kind.answers)}
    | {
        "name",
        "kind",
        "text",
        "when",
        "required",
        "question",
        "is",
        "at_least",
        "aspect",
        "value",
        "children",
        "id",
        "start",
    }
    | {
        "end",
        "label",
        "note",
        "of",
        "first",
        "choice",
        "reason",
        "flags",
        "subject",
        "predicate",
        "object",
        "role",
        "content",
    }
    | {"questions", "fields", "layout", "sensitive", "schema_version", "a", "b", "upload", "tool_calls", "url", *KINDS}
)
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 12), st.floats(), st.text(max_size=8), st.sampled_from(WORDS), st.just("\ud800")
)  # fmt: skip
KEYS = st.one_of(st.sampled_from(WORDS), st.text(max_size=5))
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=5)),
    max_leaves=24,
)


@contextmanager
def taken_or_refused(path: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        if not str(error).startswith(path):
            raise


def schema_of(kind: str, more: dict[str, Any]) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "fields": FIELDS,
        "questions": [{"name": "asked", "kind": kind, "text": "What?", **QUESTIONS[kind], **more}],
    }


@given(body=ANYTHING)
def test_any_schema_is_taken_or_refused(body: Any) -> None:
    for path, problem in schema_errors(body):
        assert path
        assert problem


@given(kind=st.sampled_from(sorted(KINDS)), more=st.dictionaries(KEYS, ANYTHING, max_size=4))
def test_any_question_is_taken_or_refused(kind: str, more: dict[str, Any]) -> None:
    schema_errors(schema_of("text", {}) | {"questions": [{"name": "q", "kind": kind, "text": "What?", **more}]})


@given(data=ANYTHING, name=st.sampled_from([field["name"] for field in FIELDS]), whole=st.booleans())
def test_any_data_is_taken_or_refused(data: Any, name: str, whole: bool) -> None:
    with taken_or_refused("data"):
        check_data(schema_of("text", {}), data if whole else {name: data})


@given(kind=st.sampled_from(sorted(QUESTIONS)), said=ANYTHING, required=st.booleans())
def test_any_answer_is_taken_or_refused(kind: str, said: Any, required: bool) -> None:
    body = schema_of(kind, {"required": required})
    check_schema(body)
    with taken_or_refused("answers.asked"):
        check_answers(body, {"asked": said}, SHOWN)


@given(kind=st.sampled_from(sorted(QUESTIONS)), key=st.integers(0, 9), value=ANYTHING)
def test_a_part_of_an_answer_may_be_anything(kind: str, key: int, value: Any) -> None:
    parts = (*KINDS[kind].answers, "reason", "flags")
    with taken_or_refused("answers.asked"):
        check_answers(schema_of(kind, {}), {"asked": {**GOOD.get(kind, {}), parts[key % len(parts)]: value}}, SHOWN)


@given(span=st.dictionaries(st.sampled_from(["id", "start", "end", "label", "note"]), ANYTHING))
def test_a_span_may_hold_anything(span: dict[str, Any]) -> None:
    good = {"id": "s1", "start": 0, "end": 3, "label": "a"}
    with taken_or_refused("answers.asked"):
        check_answers(schema_of("spans", {}), {"asked": {"spans": [{**good, **span}]}}, SHOWN)


@given(link=st.dictionaries(st.sampled_from(["subject", "predicate", "object"]), ANYTHING))
def test_a_relation_may_hold_anything(link: dict[str, Any]) -> None:
    body = schema_of("spans", {})
    body["questions"].append({"name": "links", "kind": "relations", "text": "?", "spans": "asked", "options": OPTIONS})
    spans = [{"id": "s1", "start": 0, "end": 3, "label": "a"}, {"id": "s2", "start": 4, "end": 7, "label": "b"}]
    good = {"subject": "s1", "predicate": "a", "object": "s2"}
    with taken_or_refused("answers.links"):
        check_answers(body, {"asked": {"spans": spans}, "links": {"relations": [{**good, **link}]}}, SHOWN)


GOOD: dict[str, dict[str, Any]] = {
    "pairwise": {"choice": "first", "strength": 1, "aspects": {"a": {"choice": "tie", "strength": None}}},
    "ranking": {"ranks": [1, 2]},
    "rating": {"ratings": [{"a": 1}, {"a": 2}]},
    "labels": {"labels": ["a"]},
    "spans": {"spans": []},
    "text": {"text": "two words"},
    "demonstration": {"messages": [{"role": "assistant", "content": "hello"}]},
    "correction": {"text": "another"},
    "flags": {"raised": []},
    "chat": {"conversation": "cnv_1"},
}
