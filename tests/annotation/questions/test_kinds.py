"""Each kind: an answer it takes, in its canonical form, and each answer it refuses, with the path."""

from typing import Any

import pytest

from annotation.questions import KINDS, Shown
from annotation.schemas import check_answers, schema_errors
from tests.annotation.questions.asking import SHOWN, question, said, schema

ASPECTS = [{"name": "clear", "text": "Clear"}, {"name": "true", "text": "True"}]
FRUIT = [{"value": "apple", "text": "Apple"}, {"value": "pear", "text": "Pear"}, {"value": "plum", "text": "Plum"}]
TREE = [
    {
        "value": "animal",
        "text": "Animal",
        "children": [{"value": "cat", "text": "Cat"}, {"value": "dog", "text": "Dog"}],
    },
    {"value": "plant", "text": "Plant"},
]
CHAT = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}, {"role": "user", "content": "Ha"}]

PAIRWISE = question("pairwise", strength=True, rewrite=True)
BY_ASPECT = question("pairwise", aspects=ASPECTS)
STRICT = question("pairwise", tie=False, neither=False)
RANKING = question("ranking", all_bad=True, rewrite=True)
RATING = question("rating", aspects=ASPECTS, notes=True)
EACH = question("rating", aspects=ASPECTS[:1], each="candidates", scale=3, notes=True)
TURNS = question("rating", aspects=ASPECTS[:1], each="turns")
LABEL = question("labels", options=FRUIT)
LABELS = question("labels", options=FRUIT, multiple=True, min=1, max=2)
LEAF = question("labels", options=TREE, multiple=True)
SPANS = question("spans", field="text", options=FRUIT, notes=True)
APART = question("spans", field="text", options=FRUIT, overlap=False)
WORDS = question("text", min=2, max=4, enforce=True)
LETTERS = question("text", max=3, unit="characters", enforce=True)
REPLY = question("demonstration")
DIALOGUE = question("demonstration", turns={"min": 1, "max": 2})
FIX = question("correction", of="text")
FLAGS = question("flags", options=[{"value": "rude", "text": "Rude"}, {"value": "false", "text": "False"}])
QUIET = question("flags", options=[{"value": "rude", "text": "Rude"}], note=False)
CONVERSATION = question("chat", models=["one", "two"])


def span(start: int, end: int, label: str = "apple", name: str = "a", **more: Any) -> dict[str, Any]:
    return {"id": name, "start": start, "end": end, "label": label, **more}


def message(role: str, content: str = "x") -> dict[str, str]:
    return {"role": role, "content": content}


GOOD: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    (PAIRWISE, {"choice": "first", "strength": 2}, {"choice": "first", "strength": 2}),
    (PAIRWISE, {"choice": "tie"}, {"choice": "tie", "strength": None}),
    (
        PAIRWISE,
        {"choice": "neither", "rewrite": {"of": "", "text": "New"}},
        {"choice": "neither", "strength": None, "rewrite": {"of": "", "text": "New"}},
    ),
    (PAIRWISE, {"choice": "second", "rewrite": {"of": "first", "text": " "}}, {"choice": "second", "strength": None}),
    (
        BY_ASPECT,
        {"choice": "first", "aspects": {"true": {"choice": "tie"}, "clear": {"choice": "second", "strength": 1}}},
        {
            "choice": "first",
            "strength": None,
            "aspects": {"clear": {"choice": "second", "strength": 1}, "true": {"choice": "tie", "strength": None}},
        },
    ),
    (RANKING, {"ranks": [2, 1, 2]}, {"ranks": [2, 1, 2]}),
    (RANKING, {"ranks": [1, 1, 1], "all_bad": True}, {"ranks": [1, 1, 1], "all_bad": True}),
    (
        RANKING,
        {"ranks": [1, 2, 3], "all_bad": False, "rewrite": {"of": "third", "text": "New"}},
        {"ranks": [1, 2, 3], "rewrite": {"of": "third", "text": "New"}},
    ),
    (
        RATING,
        {"ratings": {"true": 1, "clear": 5}, "notes": {"true": "no", "clear": " "}},
        {"ratings": {"clear": 5, "true": 1}, "notes": {"true": "no"}},
    ),
    (
        EACH,
        {"ratings": [{"clear": 1}, {"clear": 3}, {"clear": 2}], "notes": [None, {"clear": "why"}, {}]},
        {"ratings": [{"clear": 1}, {"clear": 3}, {"clear": 2}], "notes": [None, {"clear": "why"}, None]},
    ),
    (LABEL, {"labels": ["pear"]}, {"labels": ["pear"]}),
    (LABELS, {"labels": ["plum", "apple"]}, {"labels": ["apple", "plum"]}),
    (LEAF, {"labels": ["plant", "dog"]}, {"labels": ["dog", "plant"]}),
    (LEAF, {"labels": []}, {"labels": []}),
    (
        SPANS,
        {"spans": [span(4, 7, "pear", "b", note="n"), span(0, 7, "plum", "c"), span(0, 3)]},
        {"spans": [span(0, 3), span(0, 7, "plum", "c"), span(4, 7, "pear", "b", note="n")]},
    ),
    (APART, {"spans": [span(0, 3), span(3, 7, name="b")]}, {"spans": [span(0, 3), span(3, 7, name="b")]}),
    (SPANS, {"spans": []}, {"spans": []}),
    (WORDS, {"text": "two words"}, {"text": "two words"}),
    (LETTERS, {"text": "日本語"}, {"text": "日本語"}),
    (REPLY, {"messages": [message("assistant")]}, {"messages": [message("assistant")]}),
    (
        DIALOGUE,
        {"messages": [message("assistant"), message("user"), message("assistant")]},
        {"messages": [message("assistant"), message("user"), message("assistant")]},
    ),
    (FIX, {"text": "one two three"}, {"text": "one two three"}),
    (FIX, {"text": "one two"}, {"unchanged": True}),
    (FIX, {"unchanged": True}, {"unchanged": True}),
    (
        FLAGS,
        {"raised": [{"value": "false", "note": "n"}, {"value": "rude"}]},
        {"raised": [{"value": "rude", "note": ""}, {"value": "false", "note": "n"}]},
    ),
    (FLAGS, {"raised": []}, {"raised": []}),
    (CONVERSATION, {"conversation": "cnv_0190"}, {"conversation": "cnv_0190"}),
]

BAD: list[tuple[dict[str, Any], Any, str]] = [
    (PAIRWISE, {"choice": "third"}, "choice: 'third' is not one of first, second, tie, neither"),
    (PAIRWISE, {"choice": ["first"]}, "choice: "),
    (PAIRWISE, {"choice": "tie", "strength": 1}, "strength: "),
    (PAIRWISE, {"choice": "first", "strength": True}, "strength: "),
    (PAIRWISE, {"choice": "first", "strength": 4}, "strength: "),
    (PAIRWISE, {"choice": "first", "aspects": {"clear": {"choice": "first"}}}, "aspects: "),
    (PAIRWISE, {"choice": "first", "rewrite": {"of": "third", "text": "x"}}, "rewrite.of: "),
    (PAIRWISE, {"choice": "first", "rewrite": {"of": ["first"], "text": "x"}}, "rewrite.of: "),
    (PAIRWISE, {"choice": "first", "rewrite": "x"}, "rewrite: is {of, text}"),
    (PAIRWISE, {"choice": "first", "rewrite": {"of": "first", "text": 3}}, "rewrite.text: "),
    (PAIRWISE, {"choice": "first", "bogus": 1}, "bogus: unknown; known are choice, "),
    (STRICT, {"choice": "tie"}, "choice: 'tie' is not one of first, second"),
    (STRICT, {"choice": "first", "rewrite": {"of": "", "text": "x"}}, "rewrite: "),
    (BY_ASPECT, {"choice": "first"}, "aspects: needs a choice for each of clear, true"),
    (BY_ASPECT, {"choice": "first", "aspects": {"clear": {"choice": "first"}}}, "aspects.true: is required"),
    (BY_ASPECT, {"choice": "first", "aspects": {"new": {}}}, "aspects.new: unknown"),
    (RANKING, {}, "ranks: needs one rank from 1 for each of the 3 candidates"),
    (RANKING, {"ranks": [1, 2]}, "ranks: needs one rank"),
    (RANKING, {"ranks": [1, 3, 3]}, "ranks: leaves a rank out"),
    (RANKING, {"ranks": [1, True, 2]}, "ranks: needs one rank"),
    (RANKING, {"ranks": [0, 1, 2]}, "ranks: needs one rank"),
    (RANKING, {"ranks": [1, 2, 3], "all_bad": 1}, "all_bad: "),
    (question("ranking"), {"ranks": [1, 2, 3], "all_bad": True}, "all_bad: "),
    (question("ranking", tie=False), {"ranks": [1, 2, 2]}, "ranks: ties"),
    (RATING, {"ratings": {"clear": 5}}, "ratings.true: needs a whole number from 1 to 5"),
    (RATING, {"ratings": {"clear": 6, "true": 1}}, "ratings.clear: "),
    (RATING, {"ratings": {"clear": 1.5, "true": 1}}, "ratings.clear: "),
    (RATING, {"ratings": {"new": 1}}, "ratings.new: unknown"),
    (RATING, {"ratings": [1]}, "ratings: needs a mark for each of clear, true"),
    (RATING, {"ratings": {"clear": 1, "true": 1}, "notes": {"clear": 3}}, "notes.clear: "),
    (RATING, {"ratings": {"clear": 1, "true": 1}, "notes": "x"}, "notes: "),
    (question("rating", aspects=ASPECTS), {"ratings": {"clear": 1, "true": 1}, "notes": {"clear": "x"}}, "notes: "),
    (EACH, {"ratings": [{"clear": 1}]}, "ratings: needs a list of 3"),
    (EACH, {"ratings": [{"clear": 1}, None, {"clear": 2}]}, "ratings[1]: needs a mark"),
    (EACH, {"ratings": [{"clear": 4}, {"clear": 1}, {"clear": 1}]}, "ratings[0].clear: "),
    (EACH, {"ratings": [{"clear": 1}] * 3, "notes": [None]}, "notes: needs a list of 3"),
    (LABEL, {"labels": ["kiwi"]}, "labels: is a list of apple, pear, plum"),
    (LABEL, {"labels": []}, "labels: needs exactly one label"),
    (LABEL, {"labels": ["apple", "pear"]}, "labels: needs exactly one label"),
    (LABEL, {"labels": "apple"}, "labels: is a list"),
    (LABEL, {"labels": [["apple"]]}, "labels: is a list"),
    (LABELS, {"labels": ["apple", "apple"]}, "labels: names a label twice"),
    (LABELS, {"labels": []}, "labels: needs 1 to 2 labels"),
    (LABELS, {"labels": ["apple", "pear", "plum"]}, "labels: needs 1 to 2 labels"),
    (SPANS, {"spans": {}}, "spans: is a list"),
    (SPANS, {"spans": [1]}, "spans[0]: needs an object"),
    (SPANS, {"spans": [span(0, 8)]}, "spans[0].end: is after start and at most 7"),
    (SPANS, {"spans": [span(3, 3)]}, "spans[0].end: "),
    (SPANS, {"spans": [span(-1, 3)]}, "spans[0].start: "),
    (SPANS, {"spans": [span(0, 3, "kiwi")]}, "spans[0].label: is one of apple, pear, plum"),
    (SPANS, {"spans": [{**span(0, 3), "label": ["apple"]}]}, "spans[0].label: "),
    (SPANS, {"spans": [{**span(0, 3), "id": "a b"}]}, "spans[0].id: "),
    (SPANS, {"spans": [{**span(0, 3), "id": "a" * 21}]}, "spans[0].id: "),
    (SPANS, {"spans": [span(0, 3), span(4, 7)]}, "spans[1].id: 'a' is used twice"),
    (SPANS, {"spans": [span(0, 3), span(0, 3, name="b")]}, "spans[1]: marks the same place"),
    (SPANS, {"spans": [span(0, 3, text="one")]}, "spans[0].text: unknown"),
    (APART, {"spans": [span(0, 3), span(2, 7, "pear", "b")]}, "spans: a and b overlap"),
    (APART, {"spans": [span(0, 3, note="x")]}, "spans[0].note: "),
    (WORDS, {"text": "one"}, "text: needs 2 to 4 words; it has 1"),
    (WORDS, {"text": " "}, "text: is required"),
    (WORDS, {"text": None}, "text: "),
    (WORDS, {"text": "a b\x00"}, "text: holds a NUL character"),
    (WORDS, {"text": "a \ud83d"}, "text: holds half a surrogate pair"),
    (question("text"), {"text": "x" * 1_000_001}, "text: is text of at most 1000000 characters; this has 1000001"),
    (LETTERS, {"text": "four"}, "text: needs 0 to 3 characters; it has 4"),
    (REPLY, {}, "messages: needs a list"),
    (REPLY, {"messages": [message("user")]}, "messages[0].role: is assistant here"),
    (REPLY, {"messages": [message("assistant", " ")]}, "messages[0].content: is required"),
    (REPLY, {"messages": [message("assistant"), message("user")]}, "messages: ends with the user"),
    (REPLY, {"messages": [message("assistant"), message("assistant")]}, "messages[1].role: is user here"),
    (REPLY, {"messages": [message("assistant"), message("user"), message("assistant")]}, "messages: needs 1 to 1"),
    (REPLY, {"messages": ["x"]}, "messages[0]: "),
    (FIX, {}, "text: "),
    (FIX, {"text": "  "}, "text: is required"),
    (FIX, {"text": "x", "unchanged": True}, "give the corrected text or unchanged, not both"),
    (FIX, {"unchanged": "yes"}, "unchanged: is true or false"),
    (FLAGS, {}, "raised: is a list"),
    (FLAGS, {"raised": [{"value": "new"}]}, "raised[0].value: is one of rude, false"),
    (FLAGS, {"raised": [{"value": "rude"}, {"value": "rude"}]}, "raised[1].value: 'rude' is raised twice"),
    (FLAGS, {"raised": ["rude"]}, "raised[0]: "),
    (QUIET, {"raised": [{"value": "rude", "note": "x"}]}, "raised[0].note: "),
    (CONVERSATION, {"conversation": "hello"}, "conversation: "),
    (CONVERSATION, {"conversation": "cnv_1", "turns": 1}, "turns: is a list"),
    (PAIRWISE, None, " is required"),
    (PAIRWISE, ["first"], " is required"),
    (LABEL, {"labels": ["apple"], "reason": 3}, "reason: is text"),
    (LABEL, {"labels": ["apple"], "reason": "x" * 10_001}, "reason: is text of at most 10000"),
    (LABEL, {"labels": ["apple"], "flags": "review"}, "flags: is a list"),
    (LABEL, {"labels": ["apple"], "flags": ["x\x00"]}, "flags: is a list"),
    (question("labels", options=FRUIT, reason="required"), {"labels": ["apple"]}, "reason: is required; say why"),
]


@pytest.mark.parametrize(("asked", "answer", "stored"), GOOD, ids=lambda part: str(part)[:60])
def test_a_good_answer_is_stored_in_its_canonical_form(
    asked: dict[str, Any], answer: dict[str, Any], stored: dict[str, Any]
) -> None:
    assert schema_errors(schema(asked)) == []
    assert said(asked, answer) == stored
    assert said(asked, stored) == stored


@pytest.mark.parametrize(("asked", "answer", "told"), BAD, ids=lambda part: str(part)[:60])
def test_a_bad_answer_is_refused_with_its_path(asked: dict[str, Any], answer: Any, told: str) -> None:
    assert schema_errors(schema(asked)) == []
    with pytest.raises(ValueError) as caught:
        said(asked, answer)
    path = "answers.q:" if told.startswith((" ", "give")) else "answers.q."
    assert str(caught.value).startswith(f"{path}{told}" if path[-1] == "." else f"{path} {told.strip()}")


def test_every_kind_is_among_the_good_answers_and_the_bad_ones() -> None:
    assert {asked["kind"] for asked, _answer, _stored in GOOD} == set(KINDS) - {"relations"}
    assert {asked["kind"] for asked, _answer, _told in BAD} == set(KINDS) - {"relations"}


def test_only_the_assistants_turns_are_rated() -> None:
    shown = Shown(prompt=CHAT)
    assert said(TURNS, {"ratings": [None, {"clear": 4}, None]}, shown) == {"ratings": [None, {"clear": 4}, None]}
    for wrong, told in (
        ([{"clear": 1}, {"clear": 4}, None], "ratings[0]: only the"),
        ([None, None, None], "ratings[1]"),
    ):
        with pytest.raises(ValueError, match=r"answers\.q\.ratings") as caught:
            said(TURNS, {"ratings": wrong}, shown)
        assert told in str(caught.value)


def test_turns_of_a_field_are_rated_where_the_question_names_one() -> None:
    asked = question("rating", aspects=ASPECTS[:1], each="turns", field="talk")
    body = schema(asked, fields=[{"name": "talk", "text": "Talk", "kind": "chat"}])
    assert schema_errors(body) == []
    found = check_answers(body, {"q": {"ratings": [None, {"clear": 2}, None]}}, Shown({"talk": CHAT}))
    assert found["q"]["ratings"] == [None, {"clear": 2}, None]


def test_a_demonstration_goes_on_from_whoever_spoke_last() -> None:
    after_reply = Shown(prompt=CHAT[:2])
    messages = [message("user"), message("assistant")]
    assert said(REPLY, {"messages": messages}, after_reply) == {"messages": messages}


def test_a_correction_of_a_response_is_compared_with_that_response() -> None:
    asked, shown = question("correction", of="candidate"), Shown(candidates=["alpha"])
    assert said(asked, {"text": "alpha"}, shown) == {"unchanged": True}
    assert said(asked, {"text": "Alpha"}, shown) == {"text": "Alpha"}


def test_a_raised_flag_that_asks_for_review_flags_the_answer() -> None:
    asked = question("flags", options=[{"value": "harm", "text": "Harm", "review": True}])
    found = check_answers(schema(asked), {"q": {"raised": [{"value": "harm", "note": ""}]}})
    assert found["q"]["flags"] == ["review"]
    assert check_answers(schema(asked), {"q": {"raised": []}})["q"]["flags"] == []


MARKED = question("spans", field="text", options=FRUIT)
LINKED = {
    "name": "links",
    "kind": "relations",
    "text": "?",
    "spans": "q",
    "options": [
        {"value": "of", "text": "of", "subject": ["apple"], "object": ["pear", "plum"]},
        {"value": "near", "text": "near"},
    ],
}
SPANS_SAID = {"spans": [span(0, 3), span(4, 7, "pear", "b")]}


def relate(*relations: tuple[str, str, str]) -> dict[str, Any]:
    parts = [dict(zip(("subject", "predicate", "object"), one, strict=True)) for one in relations]
    return check_answers(schema(MARKED, LINKED), {"q": SPANS_SAID, "links": {"relations": parts}}, SHOWN)["links"]


def test_relations_join_spans_of_the_same_answer() -> None:
    found = relate(("b", "near", "a"), ("a", "of", "b"))["relations"]
    assert found == [
        {"subject": "a", "predicate": "of", "object": "b"},
        {"subject": "b", "predicate": "near", "object": "a"},
    ]
    assert relate()["relations"] == []


@pytest.mark.parametrize(
    ("relations", "told"),
    [
        ([("a", "of", "c")], "relations[0].object: is no span of q"),
        ([("b", "of", "a")], "relations[0].subject: needs a span labelled apple"),
        ([("a", "of", "a")], "relations[0]: relates a span to itself"),
        ([("a", "to", "b")], "relations[0].predicate: is one of of, near"),
        ([("a", "of", "b"), ("a", "of", "b")], "relations[1]: says the same again"),
    ],
)
def test_a_relation_that_does_not_fit_is_refused_with_its_path(relations: Any, told: str) -> None:
    with pytest.raises(ValueError) as caught:
        relate(*relations)
    assert str(caught.value).startswith(f"answers.links.{told}")


def test_relations_without_marks_can_only_be_none() -> None:
    body = schema({**MARKED, "required": False}, LINKED)
    assert check_answers(body, {"links": {"relations": []}}, SHOWN)["links"]["relations"] == []
    parts = [{"subject": "a", "predicate": "of", "object": "b"}]
    with pytest.raises(ValueError, match=r"links\.relations\[0\]\.subject: is no span"):
        check_answers(body, {"links": {"relations": parts}}, SHOWN)


def test_a_text_of_200_kb_is_an_answer() -> None:
    text = "é" * 100_000
    assert len(text.encode()) == 200_000
    assert said(question("text"), {"text": text}) == {"text": text}


@pytest.mark.parametrize(
    ("asked", "one", "other", "alike"),
    [
        (PAIRWISE, {"choice": "tie"}, {"choice": "tie"}, 1.0),
        (RANKING, {"ranks": [1, 2, 3]}, {"ranks": [1, 3, 2]}, 2 / 3),
        (RANKING, {"ranks": [1, 1, 2]}, {"ranks": [1, 1, 2]}, 1.0),
        (RATING, {"ratings": {"clear": 1, "true": 3}}, {"ratings": {"clear": 5, "true": 3}}, 0.5),
        (EACH, {"ratings": [{"clear": 1}, None]}, {"ratings": [{"clear": 2}, {"clear": 3}]}, 0.5),
        (LABELS, {"labels": ["apple", "pear"]}, {"labels": ["pear"]}, 0.5),
        (LEAF, {"labels": ["cat"]}, {"labels": ["dog"]}, 1 / 3),
        (SPANS, {"spans": [span(0, 3), span(4, 7)]}, {"spans": [span(0, 3)]}, 2 / 3),
        (SPANS, {"spans": []}, {"spans": []}, 1.0),
        (WORDS, {"text": "a b"}, {"text": "a b"}, None),
        (WORDS, {"text": "a b"}, {"text": "a c"}, None),
        (FIX, {"unchanged": True}, {"text": "x"}, 0.0),
        (FIX, {"text": "y"}, {"text": "x"}, None),
        (FLAGS, {"raised": [{"value": "rude", "note": "a"}]}, {"raised": [{"value": "rude", "note": ""}]}, 1.0),
        (CONVERSATION, {"conversation": "cnv_1"}, {"conversation": "cnv_2"}, None),
    ],
    ids=lambda part: str(part)[:40],
)
def test_likeness_by_hand(asked: dict[str, Any], one: Any, other: Any, alike: float | None) -> None:
    """Ranks: of the pairs 12, 13, 23 two agree. Marks of a scale of 5: distances 4/4 and 0; of 3: 1/2, the null left out.

    Of a tree {animal, cat} and {animal, dog} share one of three. Spans: one of 2 + 1, doubled.
    """
    kind = KINDS[asked["kind"]]
    assert kind.likeness(asked, one, other) == (pytest.approx(alike) if alike is not None else None)
    assert kind.likeness(asked, other, one) == (pytest.approx(alike) if alike is not None else None)


@pytest.mark.parametrize(
    ("asked", "answers", "most"),
    [
        (PAIRWISE, [{"choice": "tie"}, {"choice": "tie"}, {"choice": "first"}], {"choice": "tie", "strength": None}),
        (PAIRWISE, [{"choice": "tie"}, {"choice": "first"}], None),
        (RANKING, [{"ranks": [1, 2]}, {"ranks": [1, 2]}, {"ranks": [2, 1]}], {"ranks": [1, 2]}),
        (
            RATING,
            [
                {"ratings": {"clear": 4, "true": 1}},
                {"ratings": {"clear": 4, "true": 1}},
                {"ratings": {"clear": 5, "true": 2}},
            ],
            {"ratings": {"clear": 4, "true": 1}},
        ),
        (RATING, [{"ratings": {"clear": 4, "true": 1}}, {"ratings": {"clear": 5, "true": 1}}], None),
        (EACH, [{"ratings": [{"clear": 1}, {"clear": 2}]}] * 2, {"ratings": [{"clear": 1}, {"clear": 2}]}),
        (LABELS, [{"labels": ["apple", "pear"]}, {"labels": ["pear"]}], {"labels": ["pear"]}),
        (
            SPANS,
            [{"spans": [span(0, 3, name="x")]}, {"spans": [span(0, 3, name="y"), span(4, 7)]}],
            {"spans": [span(0, 3, name="s1")]},
        ),
        (FLAGS, [{"raised": [{"value": "rude", "note": "a"}]}, {"raised": []}], {"raised": []}),
        (WORDS, [{"text": "a b"}], None),
    ],
    ids=lambda part: str(part)[:40],
)
def test_majority_by_hand(asked: dict[str, Any], answers: Any, most: Any) -> None:
    assert KINDS[asked["kind"]].majority(asked, answers) == most


@pytest.mark.parametrize(
    ("asked", "answer", "words"),
    [
        (PAIRWISE, {"choice": "second", "strength": 3}, "B is much better"),
        (
            BY_ASPECT,
            {"choice": "tie", "strength": None, "aspects": {"true": {"choice": "first", "strength": 1}}},
            "About equal · True: A is slightly better",
        ),
        (RANKING, {"ranks": [2, 1, 2], "all_bad": True}, "B > A = C · All bad"),
        (RATING, {"ratings": {"clear": 4}}, "Clear 4/5"),
        (EACH, {"ratings": [{"clear": 1}, None, {"clear": 3}]}, "A: Clear 1/3 · C: Clear 3/3"),
        (TURNS, {"ratings": [None, {"clear": 1}]}, "turn 2: Clear 1/5"),
        (LEAF, {"labels": ["dog", "plant"]}, "Animal › Dog, Plant"),
        (LEAF, {"labels": []}, "none of the labels"),
        (SPANS, {"spans": [span(0, 3)]}, "0–3 Apple"),
        (SPANS, {"spans": []}, "nothing marked"),
        (LINKED, {"relations": [{"subject": "a", "predicate": "of", "object": "b"}]}, "of"),
        (WORDS, {"text": "x" * 400}, "x" * 299 + "…"),
        (REPLY, {"messages": [message("assistant", "Hi")]}, "Hi"),
        (FIX, {"unchanged": True}, "Right as it is"),
        (FLAGS, {"raised": [{"value": "rude", "note": "very"}]}, "Rude (very)"),
        (FLAGS, {"raised": []}, "nothing to flag"),
    ],
    ids=lambda part: str(part)[:40],
)
def test_an_answer_in_words(asked: dict[str, Any], answer: Any, words: str) -> None:
    assert KINDS[asked["kind"]].words(asked, answer) == words
