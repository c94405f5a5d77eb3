"""Formulas in TeX as MathML, which browsers show without a script. What is no formula, or a broken one, stays as it was written."""

import re
from functools import lru_cache
from html import escape
from html.parser import HTMLParser
from typing import Any

LONGEST = 2000
DEEPEST = 50
# A command that makes commands can grow without end.
_MACROS = re.compile(r"\\(?:[gex]?def|let|(?:re)?new|provide|DeclareMath|futurelet|csname|input|include)")
# Money and other prose between two dollars: a word of letters between spaces, and nothing that TeX would need.
_PROSE = re.compile(r"(?:^|\s)[^\W\d_]{2,}(?:[\s,.;:!?]|$)")
_TEX = re.compile(r"[\\^_={}<>+|]")

_NAMES = (
    "math mrow mi mn mo ms mtext mspace mfrac msqrt mroot msub msup msubsup mover munder munderover mmultiscripts mprescripts "
    "mtable mtr mtd mstyle mpadded mphantom menclose"
)
_ELEMENTS = frozenset(_NAMES.split())
_ATTRIBUTES: dict[str, re.Pattern[str]] = {
    **dict.fromkeys(
        (
            "stretchy",
            "fence",
            "separator",
            "accent",
            "accentunder",
            "displaystyle",
            "largeop",
            "movablelimits",
            "symmetric",
        ),
        re.compile("true|false"),
    ),
    **dict.fromkeys(
        ("lspace", "rspace", "width", "height", "depth", "voffset", "minsize", "maxsize", "linethickness"),
        re.compile(r"-?\d?(?:\.\d{1,8})?(?:em|ex|px)?|\d{1,3}%"),
    ),
    "mathvariant": re.compile("normal"),
    "form": re.compile("prefix|infix|postfix"),
    "scriptlevel": re.compile("[0-3]"),
    "display": re.compile("block"),
    "columnspan": re.compile("[0-9]{1,2}"),
}
# The converter lays out cells by styles, which the content security policy forbids; the style sheet knows these classes.
_STYLES = (("text-align: left", "ml"), ("text-align: right", "mr"), ("border-right", "mb"), ("width: 50%", "mw"))
_NOTATIONS = {"box": "mx", "updiagonalstrike": "mu", "downdiagonalstrike": "mu", "horizontalstrike": "mu"}


def looks_like_maths(source: str, *, glued: bool = False) -> bool:
    """Whether what stands between two single dollars is a formula and not two prices; `glued`: a letter follows, as in nth."""
    if glued and len(source) > 2 and not _TEX.search(source):
        return False
    if not source or source[0].isspace() or source[-1].isspace():
        return False
    return bool(_TEX.search(source)) or " " not in source.replace("\n", " ") or not _PROSE.search(source)


@lru_cache(maxsize=512)
def to_mathml(source: str, *, display: bool) -> str | None:
    """MathML of listed elements and attributes only; None where the source is no formula that can be shown."""
    if len(source) > LONGEST or _MACROS.search(source) or _depth(source) > DEEPEST or not source.strip():
        return None
    try:
        made = _converter().convert_with_local_state(source, displaystyle=display)
    except Exception:  # whatever is wrong with it: its source is shown
        return None
    copy = _Copy(source, display=display)
    copy.feed(made)
    copy.close()
    return copy.html if not copy.open else None


def _depth(source: str) -> int:
    deepest = depth = 0
    for character in source:
        depth += (character == "{") - (character == "}")
        deepest = max(deepest, depth)
    return deepest


@lru_cache(maxsize=1)
def _converter() -> Any:
    from math_core import LatexToMathML

    return LatexToMathML()


class _Copy(HTMLParser):
    """The converter's output again, through a list of what may be in it. What it makes of a stranger's text is not trusted."""

    def __init__(self, source: str, *, display: bool) -> None:
        super().__init__(convert_charrefs=True)
        self.source, self.display = source, display
        self.html = ""
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _ELEMENTS:
            return
        kept = self._attributes(tag, attrs)
        self.html += f"<{tag}{kept}>"
        self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.open and self.open[-1] == tag:
            self.open.pop()
            self.html += f"</{tag}>"

    def handle_data(self, data: str) -> None:
        self.html += escape(data)

    def _attributes(self, tag: str, attrs: list[tuple[str, str | None]]) -> str:
        kept = {
            name: value for name, value in attrs if value and name in _ATTRIBUTES and _ATTRIBUTES[name].fullmatch(value)
        }
        given = dict(attrs)
        classes = [name for words, name in _STYLES if words in (given.get("style") or "")]
        classes += [_NOTATIONS[given["notation"]]] if given.get("notation") in _NOTATIONS else []  # type: ignore[index]
        if classes:
            kept["class"] = " ".join(classes)
        if tag == "math":
            kept = {"alttext": self.source, **({"display": "block"} if self.display else {})}
        return "".join(f' {name}="{escape(value or "")}"' for name, value in kept.items())
