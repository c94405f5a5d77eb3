"""What annotators read is found in every source, a catalogue is kept without guessing, and all of them are complete."""

import re

import pytest
from babel.messages.catalog import Catalog

from bin import messages

TEMPLATE = """{% load i18n %}{% translate "Skip" %} {% translate 'new' context "guidelines" %} {{ title|default:_("None") }}
{% blocktranslate count n=3 trimmed %}
  {{ n }} answer
{% plural %}
  {{ n }} answers
{% endblocktranslate %} gettext("not me") {% if a == "Skip me" %}{% endif %}"""


def test_every_form_of_a_template_is_read_and_nothing_else():
    assert list(messages.in_template(TEMPLATE)) == [
        ("Skip", None),
        ("new", "guidelines"),
        ("None", None),
        (("%(n)s answer", "%(n)s answers"), None),
    ]


def test_the_sources_are_there_and_say_something():
    paths = {str(path.relative_to(messages.ROOT)) for path in messages.files()}
    assert {"templates/annotation/label.html", "annotation/questions/flags.py", "templates/404.html"} <= paths
    for pattern in messages.SOURCES:
        assert list(messages.ROOT.glob(pattern)), f"{pattern} matches no file"


def test_a_second_run_changes_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(messages, "po_of", lambda language: tmp_path / language / "django.po")
    messages.update()
    path = tmp_path / "ar" / "django.po"
    first = path.read_bytes()
    messages.update()
    assert path.read_bytes() == first


def test_what_was_translated_stays_and_what_is_gone_goes(tmp_path, monkeypatch):
    monkeypatch.setattr(messages, "po_of", lambda language: tmp_path / language / "django.po")
    messages.update()
    path = tmp_path / "de" / "django.po"
    path.write_text(
        path.read_text().replace('msgid "Skip"\nmsgstr ""', 'msgid "Skip"\nmsgstr "Überspringen"')
        + '\nmsgid "Gone"\nmsgstr "Fort"\n'
    )
    messages.update()
    kept: Catalog = messages.read("de")
    assert kept.get("Skip").string == "Überspringen"
    assert kept.get("Gone") is None


PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%[sd]|\{\w*\}")
TAG = re.compile(r"</?[a-z]+")


@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_a_catalogue_is_up_to_the_sources_and_complete(language, tmp_path, monkeypatch):
    kept = messages.po_of(language).read_bytes()
    path = tmp_path / language / "django.po"
    path.parent.mkdir()
    path.write_bytes(kept)
    monkeypatch.setattr(messages, "LANGUAGES", (language,))
    monkeypatch.setattr(messages, "po_of", lambda language: path)
    messages.update()
    # Lines as sets: the difference of two catalogues, shown whole, keeps a machine busy for minutes.
    assert set(path.read_text().splitlines()) ^ set(kept.decode().splitlines()) == set(), "run `make messages`"
    assert (path.read_bytes() == kept) is True
    assert [
        message.id for message in messages.read(language) if message.id and not messages.is_translated(message)
    ] == []


@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_what_is_filled_in_stands_in_every_translation(language):
    """A name that is missing or misspelt would be an error on the page; a straight quote would end an attribute."""
    for message in messages.read(language):
        if not message.id:
            continue
        plural = isinstance(message.id, tuple)
        forms = message.string if plural else (message.string,)
        source = message.id[1] if plural else message.id
        for form in forms:
            assert sorted(TAG.findall(form)) == sorted(TAG.findall(source)), form
            names, known = sorted(PLACEHOLDER.findall(form)), sorted(PLACEHOLDER.findall(source))
            assert names == known or (plural and set(names) <= set(known)), form
            assert '"' not in form, form
