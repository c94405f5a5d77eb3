"""What a schema may be: every error names the path and the remedy, and all are told at once."""

from typing import Any

import pytest

from annotation.questions import Needs, Shown, needs, needs_shown
from annotation.schemas import check_answers, check_data, check_schema, labels_schema, pairwise_schema, schema_errors
from tests.annotation.questions.asking import question, schema

OPTIONS = [{"value": "a", "text": "A"}, {"value": "b", "text": "B"}]
ASPECTS = [{"name": "x", "text": "X"}]
FIELD = {"name": "text", "text": "Text"}


def paths(body: Any) -> list[str]:
    return [path for path, _told in schema_errors(body)]


@pytest.mark.parametrize(
    ("asked", "path"),
    [
        (question("pairwise", strength="much"), "strength"),
        (question("pairwise", tie="no"), "tie"),
        (question("pairwise", aspects=[]), "aspects"),
        (question("pairwise", aspects=[{"name": "x y", "text": "X"}]), "aspects[0].name"),
        (question("pairwise", aspects=[*ASPECTS, *ASPECTS]), "aspects[1].name"),
        (question("pairwise", candidate_flags=[{"value": "", "text": "X"}]), "candidate_flags[0].value"),
        (question("pairwise", reason="maybe"), "reason"),
        (question("pairwise", required=1), "required"),
        (question("pairwise", help=" "), "help"),
        (question("pairwise", scale=3), "scale"),
        (question("rating"), "aspects"),
        (question("rating", aspects=ASPECTS, scale=11), "scale"),
        (question("rating", aspects=ASPECTS, each="all"), "each"),
        (question("rating", aspects=ASPECTS, field="text"), "field"),
        (question("rating", aspects=ASPECTS, each="turns", field="text"), "field"),
        (question("rating", aspects=[{**ASPECTS[0], "anchors": {"6": "best"}}]), "aspects[0].anchors.6"),
        (question("rating", aspects=[{**ASPECTS[0], "anchors": {"5": ""}}]), "aspects[0].anchors.5"),
        (question("rating", aspects=[{**ASPECTS[0], "anchors": ["bad"]}]), "aspects[0].anchors"),
        (question("labels"), "options"),
        (question("labels", options=OPTIONS[:1]), "options"),
        (question("labels", options=[*OPTIONS, OPTIONS[0]]), "options[2].value"),
        (question("labels", options=[{**OPTIONS[0], "children": []}, OPTIONS[1]]), "options[0].children"),
        (question("labels", options=[{**OPTIONS[0], "children": [OPTIONS[1]]}, OPTIONS[1]]), "options[1].value"),
        (question("labels", options=OPTIONS, min=1), "min"),
        (question("labels", options=OPTIONS, multiple=True, min=2, max=1), "min"),
        (question("labels", options=OPTIONS, multiple=True, max=-1), "max"),
        (question("spans", options=OPTIONS), "field"),
        (question("spans", options=OPTIONS, field="none"), "field"),
        (question("relations", options=OPTIONS, spans="q"), "spans"),
        (question("text", unit="lines"), "unit"),
        (question("text", enforce=True), "enforce"),
        (question("text", min=3, max=2), "min"),
        (question("demonstration", turns=3), "turns"),
        (question("demonstration", turns={"least": 1}), "turns.least"),
        (question("correction"), "of"),
        (question("correction", of="none"), "of"),
        (question("flags"), "options"),
        (question("flags", options=[{"value": "a", "text": "A", "review": "x"}]), "options[0].review"),
        (question("chat"), "models"),
        (question("chat", models=["a", "b", "c"]), "models"),
        (question("labels", options=OPTIONS, when={"question": "q", "is": "a"}), "when.question"),
    ],
    ids=lambda part: str(part)[:70],
)
def test_a_wrong_question_is_told_with_its_path(asked: dict[str, Any], path: str) -> None:
    assert paths(schema(asked)) == [f"questions[0].{path}"]


@pytest.mark.parametrize(
    ("field", "path"),
    [
        ({"name": "text"}, "text"),
        ({"name": "1st", "text": "x"}, "name"),
        ({"name": "sensitive", "text": "x"}, "name"),
        ({**FIELD, "kind": "table"}, "kind"),
        ({**FIELD, "language": "python"}, "language"),
        ({**FIELD, "collapsed": "yes"}, "collapsed"),
        ({**FIELD, "size": 3}, "size"),
        ({**FIELD, "hint": ""}, "hint"),
    ],
    ids=str,
)
def test_a_wrong_field_is_told_with_its_path(field: dict[str, Any], path: str) -> None:
    assert paths(schema(question("text"), fields=[field])) == [f"fields[0].{path}"]


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ([], "schema"),
        ({}, "questions"),
        ({"questions": []}, "questions"),
        ({"questions": "x"}, "questions"),
        ({"questions": [3]}, "questions[0]"),
        ({"questions": [{"kind": ["text"], "name": "q", "text": "?"}]}, "questions[0].kind"),
        ({"questions": [question("text")], "fields": {}}, "fields"),
        ({"questions": [question("text")], "layout": "grid"}, "layout"),
        ({"questions": [question("text")], "sensitive": "yes"}, "sensitive"),
        ({"questions": [question("text")], "schema_version": 2}, "schema_version"),
        ({"questions": [question("text")], "title": "x"}, "title"),
    ],
    ids=str,
)
def test_a_wrong_whole_is_told_with_its_path(body: Any, path: str) -> None:
    assert paths(body) == [path]


def test_all_that_is_wrong_is_told_at_once_and_the_check_raises_the_first() -> None:
    body = schema(question("rating"), {**question("labels"), "name": "r"}, fields=[{"name": "a"}])
    assert paths(body) == ["fields[0].text", "questions[0].aspects", "questions[1].options"]
    with pytest.raises(ValueError, match=r"^fields\[0\]\.text: needs the words"):
        check_schema(body)


def test_questions_that_need_different_numbers_of_responses_cannot_go_together() -> None:
    pair, fix = question("pairwise"), {**question("correction", of="candidate"), "name": "fix"}
    assert schema_errors(schema(pair, fix)) == [
        ("questions", "q, fix need different numbers of responses; ask them in schemas of their own")
    ]


@pytest.mark.parametrize(
    ("asked", "needed"),
    [
        ([question("pairwise")], Needs(True, 2, 2)),
        ([question("ranking")], Needs(True, 2, 9)),
        ([question("pairwise"), question("ranking")], Needs(True, 2, 2)),
        ([question("rating", aspects=ASPECTS, each="candidates")], Needs(True, 1, 9)),
        ([question("rating", aspects=ASPECTS, each="candidates"), question("ranking")], Needs(True, 2, 9)),
        ([question("rating", aspects=ASPECTS, each="turns")], Needs(True)),
        ([question("rating", aspects=ASPECTS, each="turns", field="talk")], Needs()),
        ([question("correction", of="candidate")], Needs(True, 1, 1)),
        ([question("correction", of="text")], Needs()),
        ([question("demonstration")], Needs(True)),
        ([question("chat", models=["m"])], Needs(opening=True)),
        ([question("labels", options=OPTIONS)], Needs()),
    ],
    ids=str,
)
def test_what_a_task_must_bring_follows_from_the_questions(asked: list[dict[str, Any]], needed: Needs) -> None:
    assert needs({"questions": asked}) == needed


def test_what_was_shown_is_read_only_for_kinds_that_need_it() -> None:
    assert not needs_shown(pairwise_schema(text="?"))
    assert not needs_shown(labels_schema(text="?", options=["a", "b"]))
    assert not needs_shown(schema(question("rating", aspects=ASPECTS), {**question("text"), "name": "t"}))
    assert needs_shown(schema(question("ranking")))


# Optional questions, and questions asked only after certain answers.

FIRST = {**question("labels", options=OPTIONS), "name": "first"}
MARKS = question("rating", aspects=[{"name": "x", "text": "X"}, {"name": "y", "text": "Y"}])


def after(when: dict[str, Any], first: dict[str, Any] = FIRST) -> dict[str, Any]:
    return schema(first, {**question("text"), "name": "why", "when": {"question": first["name"], **when}})


@pytest.mark.parametrize(
    ("when", "path"),
    [
        ({"is": "c"}, "when.is"),
        ({"is": []}, "when.is"),
        ({"is": 3}, "when.is"),
        ({"answered": False}, "when.answered"),
        ({"at_least": 1}, "when"),
        ({}, "when"),
        ({"is": "a", "answered": True}, "when"),
        ({"is": "a", "was": 1}, "when.was"),
    ],
    ids=str,
)
def test_a_wrong_condition_is_told_with_its_path(when: dict[str, Any], path: str) -> None:
    assert paths(after(when)) == [f"questions[1].{path}"]


@pytest.mark.parametrize(
    ("when", "path"),
    [
        ({"at_least": 1}, "when.aspect"),
        ({"at_least": 6, "aspect": "x"}, "when.at_least"),
        ({"at_least": 1, "aspect": "z"}, "when.aspect"),
        ({"aspect": "x"}, "when"),
        ({"is": "x"}, "when.is"),
    ],
    ids=str,
)
def test_a_wrong_condition_on_a_mark_is_told_with_its_path(when: dict[str, Any], path: str) -> None:
    assert paths(after(when, MARKS)) == [f"questions[1].{path}"]


def test_a_question_whose_condition_holds_is_required_and_any_other_must_be_left_out() -> None:
    body = after({"is": ["b"]})
    assert list(check_answers(body, {"first": {"labels": ["a"]}})) == ["first"]
    assert list(check_answers(body, {"first": {"labels": ["a"]}, "why": None})) == ["first"]
    assert check_answers(body, {"first": {"labels": ["b"]}, "why": {"text": "so"}})["why"]["text"] == "so"
    with pytest.raises(ValueError, match=r"answers\.why: is required"):
        check_answers(body, {"first": {"labels": ["b"]}})
    with pytest.raises(ValueError, match=r"answers\.why: is not asked after these answers; leave it out"):
        check_answers(body, {"first": {"labels": ["a"]}, "why": {"text": "so"}})


@pytest.mark.parametrize(("mark", "asked"), [(1, False), (2, True), (4, True), (5, False)])
def test_marks_within_both_bounds_hold(mark: int, asked: bool) -> None:
    body = after({"aspect": "y", "at_least": 2, "at_most": 4}, MARKS)
    answers: dict[str, Any] = {"q": {"ratings": {"x": 3, "y": mark}}, **({"why": {"text": "so"}} if asked else {})}
    assert ("why" in check_answers(body, answers)) == asked


def test_a_child_label_answers_for_its_parents() -> None:
    tree = [{"value": "animal", "text": "Animal", "children": [{"value": "cat", "text": "Cat"}]}, *OPTIONS]
    body = after({"is": "animal"}, {**FIRST, "options": tree})
    assert "why" in check_answers(body, {"first": {"labels": ["cat"]}, "why": {"text": "so"}})


def test_a_raised_flag_and_an_unanswered_question_decide_too() -> None:
    flags = {**question("flags", options=OPTIONS), "required": False}
    assert "why" in check_answers(after({"is": "a"}, flags), {"q": {"raised": [{"value": "a"}]}, "why": {"text": "so"}})
    body = after({"answered": True}, flags)
    assert check_answers(body, {}) == {}
    assert list(check_answers(body, {"q": {"raised": []}, "why": {"text": "so"}})) == ["q", "why"]


def test_what_hangs_on_a_question_that_was_not_asked_is_not_asked() -> None:
    third = {**question("text"), "name": "third", "when": {"question": "why", "answered": True}}
    body = after({"is": "b"})
    body["questions"].append(third)
    assert list(check_answers(body, {"first": {"labels": ["a"]}})) == ["first"]


def test_an_optional_question_may_be_absent_null_or_blank() -> None:
    optional = {**question("text"), "required": False}
    for answers in ({}, {"q": None}, {"q": {"text": " "}}, {"q": {"text": ""}}):
        assert check_answers(schema(optional), answers) == {}


def test_entries_no_question_has_are_refused() -> None:
    with pytest.raises(ValueError, match=r"answers\.more: unknown; known are q"):
        check_answers(schema(question("text")), {"q": {"text": "x"}, "more": {}})
    with pytest.raises(ValueError, match=r"answers: needs an object"):
        check_answers(schema(question("text")), [])


# What a task's data holds.

CHAT = {"name": "talk", "text": "Talk", "kind": "chat"}
PASSAGES = {"name": "found", "text": "Found", "kind": "passages"}
IMAGE = {"name": "image", "text": "Image", "kind": "image"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (FIELD, ""),
        ({**FIELD, "kind": "markdown"}, "# x"),
        ({**FIELD, "required": False}, None),
        (CHAT, [{"role": "user", "content": "x"}]),
        (CHAT, [{"role": "assistant", "content": "", "tool_calls": [{"name": "f", "arguments": {"a": 1}}]}]),
        (CHAT, [{"role": "tool", "name": "f", "content": "3"}]),
        (PASSAGES, [{"id": "1", "text": "x"}, {"id": "2", "text": "y", "title": "Y", "url": "https://example.org/y"}]),
        (IMAGE, "upl_0190"),
        (IMAGE, {"upload": "upl_0190", "alt": "A cat"}),
    ],
    ids=str,
)
def test_a_value_that_fits_its_field_is_taken(field: dict[str, Any], value: Any) -> None:
    body = schema(question("text"), fields=[field])
    check_schema(body)
    check_data(body, {field["name"]: value})


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        (FIELD, None, "data.text: needs a text"),
        (FIELD, ["x"], "data.text: needs a text"),
        (CHAT, "x", "data.talk: needs a list"),
        (CHAT, [], "data.talk: needs a list"),
        (CHAT, ["x"], "data.talk[0]: needs an object"),
        (CHAT, [{"role": "bot", "content": "x"}], "data.talk[0].role: is one of system, user"),
        (CHAT, [{"role": "user"}], "data.talk[0].content: is text"),
        (CHAT, [{"role": "user", "content": "x", "at": 1}], "data.talk[0].at: unknown"),
        (CHAT, [{"role": "user", "content": "x", "tool_calls": [{}]}], "data.talk[0].tool_calls[0].name: "),
        (CHAT, [{"role": "user", "content": "x", "tool_calls": "f"}], "data.talk[0].tool_calls: "),
        (PASSAGES, [{"text": "x"}], "data.found[0].id: "),
        (PASSAGES, [{"id": "1", "text": "x"}, {"id": "1", "text": "y"}], "data.found[1].id: '1' is used twice"),
        (PASSAGES, [{"id": "1", "text": "x", "url": "javascript:alert(1)"}], "data.found[0].url: "),
        (PASSAGES, [{"id": "1", "text": "x", "url": "http://[x"}], "data.found[0].url: "),
        (IMAGE, "https://example.org/a.png", "data.image: needs the id of an upload"),
        (IMAGE, {"upload": "upl_1", "size": 3}, "data.image.size: unknown"),
    ],
    ids=str,
)
def test_a_value_that_does_not_fit_its_field_is_refused(field: dict[str, Any], value: Any, told: str) -> None:
    with pytest.raises(ValueError) as caught:
        check_data(schema(question("text"), fields=[field]), {field["name"]: value})
    assert str(caught.value).startswith(told)


@pytest.mark.parametrize("value", [True, False, None, "violence"])
def test_what_is_sensitive_is_said_by_true_or_a_few_words(value: Any) -> None:
    check_data(schema(question("text"), fields=[]), {"sensitive": value})


@pytest.mark.parametrize("value", [1, "", " ", "x" * 81, ["violence"]])
def test_anything_else_is_no_word_on_what_is_sensitive(value: Any) -> None:
    with pytest.raises(ValueError, match=r"data\.sensitive: is true, or at most 80"):
        check_data(schema(question("text"), fields=[]), {"sensitive": value})


def test_ranking_without_what_was_shown_is_a_mistake_of_ours() -> None:
    with pytest.raises(TypeError):
        check_answers(schema(question("ranking")), {"q": {"ranks": [1, 2]}})
    assert check_answers(schema(question("ranking")), {"q": {"ranks": [1, 2]}}, Shown(candidates=["a", "b"]))
