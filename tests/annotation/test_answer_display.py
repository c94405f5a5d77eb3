"""How answers are shown where words are not enough: by hand, and every template with every kind."""

from django.template.loader import render_to_string
from hypothesis import given
from hypothesis import strategies as st

from annotation.answer_display import LONGEST_WHOLE, display_of, word_diff
from annotation.answer_words import in_words, summary_of
from annotation.questions import KINDS, Shown

SPANS = {
    "name": "marks",
    "kind": "spans",
    "text": "Who?",
    "field": "text",
    "options": [{"value": "who", "text": "Person"}],
}
LINKS = {
    "name": "links",
    "kind": "relations",
    "text": "How?",
    "spans": "marks",
    "options": [{"value": "k", "text": "knows"}],
}
QUESTIONS = [
    {"name": "pair", "kind": "pairwise", "text": "Which?"},
    {"name": "order", "kind": "ranking", "text": "Which order?"},
    {
        "name": "rate",
        "kind": "rating",
        "text": "How good?",
        "each": "candidates",
        "aspects": [{"name": "fact", "text": "Facts"}],
    },
    {"name": "tone", "kind": "labels", "text": "Tone?", "options": [{"value": "kind", "text": "Kind"}]},
    SPANS,
    LINKS,
    {"name": "say", "kind": "text", "text": "Say"},
    {"name": "write", "kind": "demonstration", "text": "Answer"},
    {"name": "mend", "kind": "correction", "text": "Mend", "of": "text"},
    {"name": "flag", "kind": "flags", "text": "Flag", "options": [{"value": "x", "text": "Unsafe"}]},
]
TEXT = "🌧 Ann met Bo."
ANSWERS = {
    "pair": {"choice": "first", "strength": 2, "rewrite": {"of": "second", "text": "Better <b>."}},
    "order": {"ranks": [2, 1, 2], "all_bad": True},
    "rate": {"ratings": [{"fact": 5}, {"fact": 2}], "notes": [None, {"fact": "Wrong year."}]},
    "tone": {"labels": ["kind"]},
    "marks": {
        "spans": [
            {"id": "a", "start": 2, "end": 5, "label": "who", "note": "a guess"},
            {"id": "b", "start": 10, "end": 12, "label": "who"},
        ]
    },
    "links": {"relations": [{"subject": "a", "predicate": "k", "object": "b"}]},
    "say": {"text": "So <i>it</i> is."},
    "write": {"messages": [{"role": "assistant", "content": "Vinegar."}]},
    "mend": {"text": "🌧 Ann saw Bo."},
    "flag": {"raised": [{"value": "x", "note": "rude"}]},
}
SHOWN = Shown({"text": TEXT}, [], ["One.", "Two."])


def test_every_kind_is_shown_and_escaped():
    page = render_to_string("annotation/_answer_entries.html", {"entries": in_words(QUESTIONS, ANSWERS, SHOWN)})
    for words in (
        "Written to be better than B",
        "All bad",
        "Wrong year.",
        "Kind",
        "Person: a guess",
        "knows",
        "Vinegar.",
        "Unsafe (rude)",
    ):
        assert words in page
    assert "<del>met</del><ins>saw</ins>" in page
    assert "Better &lt;b&gt;." in page
    assert "So &lt;i&gt;it&lt;/i&gt; is." in page
    assert {row["kind"] for row in QUESTIONS} | {"chat"} == set(KINDS)


def test_marks_stand_in_the_text_by_code_points():
    pieces = display_of(SPANS, ANSWERS, SHOWN)["pieces"]
    assert [(piece["text"], piece["depth"]) for piece in pieces] == [
        ("🌧 ", 0),
        ("Ann", 1),
        (" met ", 0),
        ("Bo", 1),
        (".", 0),
    ]
    assert pieces[1]["opens"] == [{"label": "Person", "note": "a guess"}]


def test_where_marks_overlap_each_begins_once():
    """0-6 and 4-8 of one word: three pieces, the middle one under both."""
    spans = [{"id": "a", "start": 0, "end": 6, "label": "who"}, {"id": "b", "start": 4, "end": 8, "label": "who"}]
    pieces = display_of(SPANS, {"marks": {"spans": spans}}, Shown({"text": "abcdefgh"}))["pieces"]
    assert [(piece["text"], piece["depth"], len(piece["opens"])) for piece in pieces] == [
        ("abcd", 1, 1),
        ("ef", 2, 1),
        ("gh", 1, 0),
    ]


def test_of_a_long_text_what_stands_around_the_marks_is_shown():
    text = "a" * LONGEST_WHOLE + "X" + "b" * LONGEST_WHOLE
    span = {"id": "a", "start": LONGEST_WHOLE, "end": LONGEST_WHOLE + 1, "label": "who"}
    pieces = display_of(SPANS, {"marks": {"spans": [span]}}, Shown({"text": text}))["pieces"]
    assert [piece["text"] for piece in pieces] == ["…", "a" * 80, "X", "b" * 80, "…"]


def test_relations_are_told_with_the_words_their_spans_mark():
    shown = display_of(LINKS, ANSWERS, SHOWN)["relations"]
    assert shown == [{"subject": "Ann (who)", "predicate": "knows", "object": "Bo (who)"}]


@given(st.text(max_size=200), st.text(max_size=200))
def test_a_word_diff_holds_both_texts(before, after):
    parts = word_diff(before, after)
    assert "".join(part["text"] for part in parts if part["kind"] != "new") == before
    assert "".join(part["text"] for part in parts if part["kind"] != "gone") == after


def test_two_long_texts_are_shown_one_above_the_other():
    assert [part["kind"] for part in word_diff("a " * 3000, "b " * 3000)] == ["gone", "new"]


def test_a_summary_leaves_out_what_was_not_answered():
    assert summary_of(QUESTIONS, {"tone": {"labels": ["kind"]}}) == "Tone? Kind"
    assert summary_of(QUESTIONS[:1], ANSWERS) == "A is better"
    assert summary_of(QUESTIONS, {}) == "no answer"
