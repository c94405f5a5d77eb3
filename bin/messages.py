"""The catalogues of what annotators read: `python -m bin.messages` brings them up to the sources, `... compile` makes them usable.

Django's own makemessages needs GNU gettext, which nobody should have to install for `make setup`. Here Django turns templates into
calls (`templatize`), and Babel reads those of Python, keeps the .po files and writes the .mo
files. Why so: docs/decisions/0005-languages.md
"""

import ast
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_file
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.utils.translation.template import templatize

ROOT = Path(__file__).resolve().parent.parent
LANGUAGES = ("de", "fr", "es", "ar", "zh_Hans")

_PARTS = """
answer_entries barred candidates case_content chat controls conversation empty feedback field fields guideline_changes keys
own_share questions reading rulings_badge sensitive_standing shown_candidate task turn veil work_tabs
"""

# Everything somebody reads whose role is annotator, and what signs them in. Pages of managers stay English for now.
SOURCES = (
    "templates/*.html",
    "templates/components/*.html",
    "templates/registration/login.html",
    "templates/accounts/home.html",
    "templates/accounts/keys.html",
    "templates/accounts/person.html",
    "templates/annotation/label.html",
    "templates/annotation/guidelines.html",
    "templates/annotation/own_*.html",
    "templates/annotation/rulings.html",
    "templates/annotation/sensitive.html",
    "templates/annotation/questions/*.html",
    "templates/annotation/_fields/*.html",
    *(f"templates/annotation/_{name}.html" for name in _PARTS.split()),
    "accounts/keymap.py",
    "accounts/locales.py",
    "accounts/models.py",
    "accounts/person_views.py",
    "accounts/selectors.py",
    "annotation/answer_words.py",
    "annotation/display.py",
    "annotation/models/queue.py",
    "annotation/models/review.py",
    "annotation/models/said.py",
    "annotation/page_form.py",
    "annotation/questions/[!f]*.py",
    "annotation/questions/flags.py",
    "annotation/schemas.py",
    "annotation/selectors/history.py",
    "annotation/selectors/notes.py",
    "annotation/selectors/own_work.py",
    "annotation/selectors/queue.py",
    "annotation/selectors/reading.py",
    "annotation/services/editing.py",
    "annotation/services/notes.py",
    "annotation/services/sensitive.py",
    "annotation/services/slots/*.py",
    "annotation/services/standings.py",
    "annotation/showing.py",
    "annotation/views/chat.py",
    "annotation/views/history.py",
    "annotation/views/label.py",
    "annotation/views/notes.py",
    "annotation/views/own_work.py",
    "annotation/why.py",
    "ground/api.py",
    "ground/formats.py",
    "ground/templatetags/plumbline.py",
)

_PYTHON: dict[str, Any] = {
    "_": None,
    "gettext": None,
    "gettext_lazy": None,
    "ngettext": (1, 2),
    "ngettext_lazy": (1, 2),
    "pgettext": ((1, "c"), 2),
    "pgettext_lazy": ((1, "c"), 2),
    "npgettext": ((1, "c"), 2, 3),
}
_STRING = r"""[ub]?('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
_CALL = re.compile(
    rf"\b(npgettext|ngettext|pgettext|gettext|_)\(\s*{_STRING}(?:\s*,\s*{_STRING})?(?:\s*,\s*{_STRING})?"
)

Message = tuple[Any, str | None]
"""What is translated (a text, or singular and plural) and its context."""


def files() -> list[Path]:
    """Every source once. Errors: ValueError for a pattern that matches nothing: what it named has moved."""
    found = {pattern: [path for path in ROOT.glob(pattern) if path.is_file()] for pattern in SOURCES}
    if gone := [pattern for pattern, paths in found.items() if not paths]:
        raise ValueError(f"bin/messages.py names what is not there: {', '.join(gone)}")
    return sorted({path for paths in found.values() for path in paths})


def messages_in(path: Path) -> Iterator[Message]:
    if path.suffix == ".html":
        yield from in_template(path.read_text())
        return
    for _line, text, _comments, context in extract_from_file("python", str(path), keywords=_PYTHON):
        yield text, context


def in_template(source: str) -> Iterator[Message]:
    """Django blanks out all but the calls, so what is left is read by their shape; it is no program."""
    for found in _CALL.finditer(templatize(source)):
        name, *quoted = found.groups()
        said = [ast.literal_eval(text) for text in quoted if text is not None]
        context = said.pop(0) if name.endswith("pgettext") else None
        yield (tuple(said[:2]) if name in ("ngettext", "npgettext") else said[0]), context


def template() -> Catalog:
    """Every message once, with the files that say it."""
    catalog = Catalog(project="Plumbline", charset="utf-8")
    for path in files():
        for message, context in messages_in(path):
            catalog.add(message, context=context, locations=[(str(path.relative_to(ROOT)), 0)])
    return catalog


def po_of(language: str) -> Path:
    return ROOT / "locale" / language / "LC_MESSAGES" / "django.po"


def read(language: str) -> Catalog:
    path = po_of(language)
    if not path.exists():
        return Catalog(locale=language, project="Plumbline", charset="utf-8")
    with path.open("rb") as stream:
        return read_po(stream, locale=language)


def update() -> None:
    """New messages come in empty, unknown ones go; nothing is guessed from a message that looks alike."""
    fresh = template()
    for language in LANGUAGES:
        catalog = read(language)
        catalog.update(fresh, no_fuzzy_matching=True)
        catalog.obsolete.clear()
        _head(catalog)
        po_of(language).parent.mkdir(parents=True, exist_ok=True)
        with po_of(language).open("wb") as stream:
            write_po(stream, catalog, width=120, include_lineno=False, sort_output=True, omit_header=False)
        known = [message for message in catalog if message.id]
        done = sum(is_translated(message) for message in known)
        sys.stdout.write(f"{language}: {done} of {len(known)} translated\n")


def _head(catalog: Catalog) -> None:
    """A head that stays the same, so that a second run changes nothing."""
    catalog.fuzzy = False
    catalog.header_comment = (
        "# What annotators read in Plumbline. `make messages` keeps it; docs/decisions/0005-languages.md"
    )
    catalog.creation_date = catalog.revision_date = datetime(2026, 11, 21, tzinfo=UTC)
    catalog.last_translator = catalog.msgid_bugs_address = "the Plumbline authors"
    catalog.version = "1"


def is_translated(message: Any) -> bool:
    strings = message.string if isinstance(message.string, (tuple, list)) else (message.string,)
    return not message.fuzzy and all(strings)


def compile_all() -> None:
    for language in LANGUAGES:
        if not po_of(language).exists():
            continue
        with po_of(language).with_suffix(".mo").open("wb") as stream:
            write_mo(stream, read(language))


if __name__ == "__main__":
    compile_all() if sys.argv[1:] == ["compile"] else update()
