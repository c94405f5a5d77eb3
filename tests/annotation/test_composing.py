"""A schema as a form, and back; what its buttons do."""

import pytest

from annotation.composing import NEW, OWN, act_on, body_of, fits_form, form_of, plain, sample_for
from annotation.questions import KINDS, needs
from annotation.schema_templates import TEMPLATES, taken
from annotation.schemas import check_data, labels_schema, pairwise_schema, schema_errors


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.name)
def test_every_template_can_be_edited_in_the_form_without_loss(template):
    body = taken(template)["body"]
    assert plain(body_of(form_of(body))) == plain(body)
    assert fits_form(body)


@pytest.mark.parametrize("body", [pairwise_schema(text="?"), labels_schema(text="?", options=["a", "b"])])
def test_what_projects_have_already_can_be_edited_too(body):
    assert fits_form(body)


def test_what_lines_cannot_say_is_edited_as_text():
    body = labels_schema(text="?", options=["a", "b"])
    body["questions"][0]["options"][0]["text"] = "a | b"
    assert not fits_form(body)
    assert not fits_form({"questions": [{"kind": "none"}]})


def test_every_key_of_every_kind_has_its_place_in_the_form():
    for name, kind in KINDS.items():
        shown = {item.name for item in OWN[name]}
        shown |= {"turns"} if "turns_min" in shown else set()
        assert set(kind.keys) <= shown, name


def test_lines_say_values_words_hints_and_children():
    lines = "animal | Animal\n  cat | Cat | hint=It purrs\n  dog\nplant | Plant\n\n"
    form = {"questions": "1", "questions-0-kind": "labels", "questions-0-options": lines}
    assert body_of(form)["questions"][0]["options"] == [
        {
            "value": "animal",
            "text": "Animal",
            "children": [{"value": "cat", "text": "Cat", "hint": "It purrs"}, {"value": "dog", "text": "dog"}],
        },
        {"value": "plant", "text": "Plant"},
    ]


def test_aspects_say_their_marks_and_a_bare_word_names_itself():
    form = {
        "questions": "1",
        "questions-0-kind": "rating",
        "questions-0-aspects": "Says it all\nx | X | 1=bad | 5=good | required=no",
    }
    assert body_of(form)["questions"][0]["aspects"] == [
        {"name": "says_it_all", "text": "Says it all"},
        {"name": "x", "text": "X", "anchors": {"1": "bad", "5": "good"}, "required": False},
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_question_of_each_kind_is_right_at_once(kind):
    form, _where = act_on({}, "add-field")
    form["fields-0-text"] = "Text"
    if kind == "relations":
        form, _where = act_on(form, "add-question:spans")
    form, where = act_on(form, f"add-question:{kind}")
    body = body_of(form)
    assert schema_errors(body) == []
    assert where == f"questions-{len(body['questions']) - 1}-text"
    needed = needs(body)
    sample = sample_for(body, needed.least, needed.prompt)
    check_data(body, sample["data"])
    assert len(sample["responses"]) == needed.least
    assert set(NEW) == set(KINDS)


def test_parts_are_moved_and_removed_and_nothing_else_changes():
    form = {}
    for kind in ("text", "flags", "text"):
        form, _where = act_on(form, f"add-question:{kind}")
    names = lambda form: [question["name"] for question in body_of(form)["questions"]]  # noqa: E731
    assert names(form) == ["text", "flags", "text_2"]
    form["questions-0-help"] = "kept"
    form, where = act_on(form, "down:questions:0")
    assert (names(form), where) == (["flags", "text", "text_2"], "questions-1-down")
    assert form["questions-1-help"] == "kept"
    form, where = act_on(form, "remove:questions:0")
    assert (names(form), where) == (["text", "text_2"], "questions-0-text")
    assert act_on(form, "up:questions:0")[0] == form
    for odd in (
        "",
        "remove",
        "remove:questions:9",
        "remove:x:0",
        "up:questions:x",
        "add-question:none",
        "jump:questions:1",
    ):
        assert names(act_on(form, odd)[0]) == ["text", "text_2"]


@pytest.mark.parametrize(
    "junk", [{"questions": "x"}, {"questions": "-1"}, {"questions": "9" * 99}, {"questions": "2"}, {"fields": "51"}]
)
def test_a_form_of_nonsense_is_a_schema_with_errors(junk):
    assert schema_errors(body_of(junk))
