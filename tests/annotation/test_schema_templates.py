"""Every template: its schema is right, its sample fits it, the answer to the sample is taken."""

import pytest
from django.utils import translation

from annotation.questions import KINDS, Shown, needs
from annotation.schema_templates import TEMPLATES, Template, taken, template_of
from annotation.schemas import check_answers, check_data, schema_errors


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.name)
def test_a_template_fits_its_own_sample(template: Template) -> None:
    found = taken(template)
    body, sample = found["body"], found["sample"]
    assert schema_errors(body) == []
    check_data(body, sample["data"])
    needed = needs(body)
    assert needed.least <= len(sample["responses"]) <= needed.most
    assert bool(sample["prompt"]) or not needed.prompt
    shown = Shown(sample["data"], sample["prompt"], sample["responses"])
    assert check_answers(body, found["answers"], shown)


def test_templates_have_names_of_their_own_and_use_every_kind() -> None:
    assert len({template.name for template in TEMPLATES}) == len(TEMPLATES)
    kinds = {question["kind"] for template in TEMPLATES for question in template.body["questions"]}
    assert kinds == set(KINDS)
    assert template_of("ranking") is not None
    assert template_of("none") is None


def test_what_is_taken_is_plain_text_in_the_language_of_now() -> None:
    with translation.override("de"):
        found = taken(TEMPLATES[0])
    assert type(found["title"]) is str
    assert type(found["body"]["questions"][0]["text"]) is str
