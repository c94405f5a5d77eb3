"""Offsets of spans are code points: what a Python slice takes, whatever stands in the text."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.questions import Shown
from tests.annotation.questions.asking import question, said

PIECES = (
    "a",
    "e\u0301",
    "👩‍👩‍👧",
    "🇩🇪",
    "👍🏽",
    "שלום",
    "مرحبا",
    "\u202e",
    "日本",
    "**b**",
    "[x](y)",
    "\n",
    " ",
    "\u200d",
    "ﬁ",
    "𝄞",
)
TEXTS = st.one_of(
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=30).map("".join),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=60),
)
SPANS = question("spans", field="text", options=[{"value": "x", "text": "X"}])


@given(text=TEXTS, data=st.data())
def test_a_span_holds_the_slice_it_was_made_of(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    sent = json.loads(json.dumps({"spans": [{"id": "a", "start": start, "end": end, "label": "x"}]}))
    shown = Shown(json.loads(json.dumps({"text": text})))
    found = said(SPANS, sent, shown)["spans"][0]
    assert text[found["start"] : found["end"]] == text[start:end]
    assert len(shown.data["text"]) == len(text)


@given(text=TEXTS, beyond=st.integers(1, 5))
def test_a_span_that_ends_behind_the_last_code_point_is_refused(text: str, beyond: int) -> None:
    sent = {"spans": [{"id": "a", "start": 0, "end": len(text) + beyond, "label": "x"}]}
    with pytest.raises(ValueError, match=f"at most {len(text)}"):
        said(SPANS, sent, Shown({"text": text}))


@given(text=TEXTS, data=st.data())
def test_spans_come_sorted_and_complete(text: str, data: st.DataObject) -> None:
    place = st.integers(0, len(text) - 1).flatmap(
        lambda start: st.tuples(st.just(start), st.integers(start + 1, len(text)))
    )
    places = data.draw(st.lists(place, unique=True, max_size=8))
    sent = [{"id": f"s{n}", "start": start, "end": end, "label": "x"} for n, (start, end) in enumerate(places)]
    found = said(SPANS, {"spans": sent}, Shown({"text": text}))["spans"]
    assert [(one["start"], one["end"]) for one in found] == sorted(places)
