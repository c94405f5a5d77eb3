"""Source code with its parts in a few classes. Pygments is loaded when the first piece of code is shown, a language at a time."""

import re
import time
from functools import lru_cache
from typing import Any

from ground.characters import escape_code

LONGEST = 10_000
"""Characters. Longer code is shown in one colour."""
MOST_SECONDS = 0.5
"""Of this thread's processor. Code that takes a lexer longer is shown in one colour too."""

# Lexers look ahead over such a run again from each of its characters: 20,000 line ends kept the one for C busy for 20 s.
_RUN = re.compile(r"\s{200}|(.)\1{400}")

# Names that people write after the three backticks. Only these are coloured.
_NAMES = (
    "bash c c# c++ clojure cmake cpp cs csharp css dart diff docker dockerfile elixir erlang f# fortran fsharp go golang graphql "
    "haskell hs html ini java javascript js json jsx julia kotlin lua make makefile matlab nginx objective-c ocaml octave "
    "pascal perl php postgresql powershell protobuf ps1 py py3 python python3 r rb rs ruby rust scala sh shell solidity sql swift "
    "toml ts tsx typescript vbnet xml yaml yml zsh"
)
LANGUAGES = frozenset(_NAMES.split())
# The beginning of a token's type, and the class it gets. The longest that fits wins.
_CLASSES = {
    "Keyword": "k",
    "Keyword.Type": "t",
    "Operator.Word": "k",
    "Literal.String": "s",
    "Literal.Number": "m",
    "Comment": "c",
    "Comment.Preproc": "t",
    "Name.Function": "f",
    "Name.Class": "f",
    "Name.Tag": "f",
    "Name.Builtin": "t",
    "Name.Attribute": "t",
    "Name.Decorator": "t",
    "Name.Variable": "t",
    "Name.Entity": "t",
    "Generic.Inserted": "i",
    "Generic.Deleted": "d",
    "Generic.Heading": "f",
    "Generic.Subheading": "f",
}
CLASSES = frozenset(_CLASSES.values())


def highlight(text: str, language: str) -> str:
    """Escaped HTML whose text is `text`, character for character; in one colour for a language that is not known."""
    name = language.strip().lower()
    if name not in LANGUAGES or len(text) > LONGEST or _RUN.search(text):
        return escape_code(text)
    pieces = _pieces(text, name)
    if pieces is None or "".join(value for _class, value in pieces) != text:
        return escape_code(text)
    return "".join(_piece(class_, value) for class_, value in pieces)


def _piece(class_: str, value: str) -> str:
    marked = escape_code(value)
    return f'<span class="{class_}">{marked}</span>' if class_ and not value.isspace() else marked


def _pieces(text: str, language: str) -> list[tuple[str, str]] | None:
    """The text in runs of one class each; None where it takes too long."""
    runs: list[tuple[str, str]] = []
    until = time.thread_time() + MOST_SECONDS
    for _at, kind, value in _lexer(language).get_tokens_unprocessed(text):
        if time.thread_time() > until:
            return None
        class_ = _class_of(kind)
        if runs and (runs[-1][0] == class_ or value.isspace()):
            runs[-1] = (runs[-1][0], runs[-1][1] + value)
        else:
            runs.append((class_, value))
    return runs


@lru_cache(maxsize=500)
def _class_of(kind: Any) -> str:
    parts = list(kind)
    while parts:
        found = _CLASSES.get(".".join(parts))
        if found is not None:
            return found
        parts.pop()
    return ""


@lru_cache(maxsize=40)
def _lexer(language: str) -> Any:
    from pygments.lexers import get_lexer_by_name

    return get_lexer_by_name(language)
