"""Schemas as text: read within limits, and written so that they are read back as they were."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from annotation.schema_templates import TEMPLATES, taken
from annotation.schema_text import DEEPEST, LONGEST, read, write

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12)
AWKWARD = st.sampled_from(
    ["no", "yes", "on", "null", "~", "1", "1.0", "2001-01-01", "0x1f", "12:30", "- a", "a: b", "#", "é", "<<", ""]
)
VALUES = st.recursive(
    TEXT | AWKWARD | st.booleans() | st.none() | st.integers(-(10**12), 10**12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT | AWKWARD, inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("form", ["json", "yaml"])
@pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.name)
def test_a_schema_is_read_back_as_it_was(template, form):
    body = taken(template)["body"]
    assert read(write(body, form), form) == body


@example(body={"": "\x85", "a": "one\u2028two", "b": "one\r\ntwo"})
@given(body=st.dictionaries(TEXT | AWKWARD, VALUES, max_size=4))
def test_whatever_stands_in_it_comes_back_from_yaml(body):
    assert read(write(body, "yaml"), "yaml") == body


def test_only_true_false_null_and_numbers_are_no_text_in_yaml():
    text = "a: no\nb: 2001-01-01\nc: 12:30\nd: 0o17\ne: true\nf: 3\ng: 1.5\nh: ~\ni: .inf\n"
    found = {
        "a": "no",
        "b": "2001-01-01",
        "c": "12:30",
        "d": "0o17",
        "e": True,
        "f": 3,
        "g": 1.5,
        "h": None,
        "i": ".inf",
    }
    assert read(text, "yaml") == found


@pytest.mark.parametrize(
    ("text", "form", "told"),
    [
        ("{", "json", "not JSON: line 1, column 2"),
        ('{"a": 1, "a": 2}', "json", "'a' stands twice"),
        ('{"a": NaN}', "json", "NaN is no number"),
        ("[1]", "json", "needs to be an object"),
        ("[" * 100_000, "json", "nested too deeply"),
        ('{"a": "\\u0000"}', "json", "NUL"),
        ("questions:\n  - name: x\n   kind: y\n", "yaml", "not YAML: line 3"),
        ("a: &x [1]\nb: *x\n", "yaml", "line 2, column 4: aliases"),
        ("a: 1\na: 2\n", "yaml", "line 2, column 1: 'a' stands here twice"),
        ("1: x\n", "yaml", "a key must be text"),
        ("a: !!python/object/apply:os.system [ls]\n", "yaml", "not YAML: line 1"),
        ("- x\n", "yaml", "needs to be an object"),
        ("a: " + "[" * (DEEPEST + 1), "yaml", "nested too deeply"),
        ("x" * (LONGEST + 1), "yaml", "longer than"),
        ("a: \x07", "yaml", "not YAML"),
        ("", "yaml", "needs to be an object"),
    ],
    ids=lambda part: str(part)[:30],
)
def test_what_cannot_be_read_is_told_with_its_place(text, form, told):
    with pytest.raises(ValueError) as caught:
        read(text, form)
    assert told in str(caught.value)
