"""Text that people or models wrote, as HTML that can do nothing.

Two walls, each enough by itself: the parser escapes raw HTML, and the cleaner lets only the tags and attributes
listed here through. The strict content security policy is the third.
"""

import json
import re
from collections.abc import Iterator, MutableMapping, Sequence
from functools import lru_cache
from typing import Any

import nh3
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

from ground.characters import escape_code, escape_text
from ground.formulas import formulas
from ground.highlighting import CLASSES, highlight
from ground.mathematics import to_mathml

MARKDOWN_LIMIT = 40_000
"""Characters. Longer text is shown as it is written: parsing costs about 3 ms per 1,000 characters."""
DEEPEST_NESTING = 12
TOP_HEADING = 3
"""Judged text stands under the page's own h1 and h2."""

PART = 8_000
"""Characters, about. Long plain text stands in parts of this size, so that a browser lays out only those near the eye."""

_TAGS = {
    *("p", "br", "hr", "em", "strong", "s", "code", "pre", "blockquote", "ul", "ol", "li", "a", "div", "span"),
    *("h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td"),
}
_ATTRIBUTES = {
    "a": {"href", "title"},
    "ol": {"start"},
    "div": {"tabindex", "role", "aria-label"},
    "span": {"data-u", "title"},
}
_CLEANER = nh3.Cleaner(
    tags=_TAGS,
    attributes=_ATTRIBUTES,
    url_schemes={"http", "https", "mailto"},
    link_rel="noopener noreferrer nofollow",
    allowed_classes={"div": {"scroll"}, "span": {"ctl", "formula", *CLASSES}},
    set_tag_attribute_values={
        "pre": {"tabindex": "0"},
        **{tag: {"dir": "auto"} for tag in ("ul", "ol", "blockquote", "table")},
    },
)


_PLACE = re.compile('<span class="formula">([0-9]+)</span>')


def _picture(self: RendererHTML, tokens: Sequence[Token], at: int, options: Any, env: MutableMapping[str, Any]) -> str:
    """A picture becomes a link to it: loading it would tell a stranger's server who is reading."""
    token = tokens[at]
    words = self.renderInlineAsText(token.children, options, env) if token.children else ""
    label = _("Picture: %(words)s") % {"words": words} if words else _("Picture")
    return format_html('<a href="{}">{}</a>', token.attrGet("src") or "", label)


def _table_open(
    self: RendererHTML, tokens: Sequence[Token], at: int, options: Any, env: MutableMapping[str, Any]
) -> str:
    env["tables"] = env.get("tables", 0) + 1
    label = _("Table %(number)d") % {"number": env["tables"]}
    return format_html('<div class="scroll" role="group" tabindex="0" aria-label="{}"><table>', label)


def _table_close(self: RendererHTML, *args: Any) -> str:
    return "</table></div>"


def _text(self: RendererHTML, tokens: Sequence[Token], at: int, options: Any, env: MutableMapping[str, Any]) -> str:
    return escape_text(tokens[at].content)


def _code_inline(self: RendererHTML, tokens: Sequence[Token], at: int, *args: Any) -> str:
    return f"<code>{escape_code(tokens[at].content)}</code>"


def _code_block(self: RendererHTML, tokens: Sequence[Token], at: int, *args: Any) -> str:
    words = tokens[at].info.split(maxsplit=1)
    return f"<pre><code>{highlight(tokens[at].content, words[0] if words else '')}</code></pre>\n"


def _formula(self: RendererHTML, tokens: Sequence[Token], at: int, options: Any, env: MutableMapping[str, Any]) -> str:
    """A place for the formula, or its source where it is none. The cleaner sees only the place: see `_with_formulas`."""
    token = tokens[at]
    made = to_mathml(token.content, display=bool(token.info))
    if made is None:
        source = f"<code>{escape_code(token.meta['source'])}</code>"
        return f"<p>{source}</p>" if token.block else source
    made_before: list[str] = env.setdefault("formulas", [])
    made_before.append(f'<span class="scroll">{made}</span>' if token.info else made)
    place = f'<span class="formula">{len(made_before) - 1}</span>'
    return f"<p>{place}</p>" if token.block else place


def _with_formulas(html: str, made: Sequence[str]) -> str:
    """Formulas put into cleaned HTML. No text can imitate a place: its brackets and its quotes are escaped by now."""
    return _PLACE.sub(lambda place: f'<span class="formula">{made[int(place[1])]}</span>', html) if made else html


def _parser() -> MarkdownIt:
    options = {"html": False, "linkify": True, "breaks": True, "maxNesting": DEEPEST_NESTING}
    parser = MarkdownIt("commonmark", options).enable(["table", "strikethrough", "linkify"]).use(formulas)
    assert parser.linkify is not None
    parser.linkify.set({"fuzzy_link": False, "fuzzy_email": False, "fuzzy_ip": False})
    rules = {
        "image": _picture,
        "table_open": _table_open,
        "table_close": _table_close,
        "text": _text,
        "code_inline": _code_inline,
        "code_block": _code_block,
        "fence": _code_block,
        "formula": _formula,
        "formula_block": _formula,
    }
    for name, rule in rules.items():
        parser.add_render_rule(name, rule)
    return parser


_PARSER = _parser()


def _fit_headings(tokens: Sequence[Token]) -> None:
    """Number headings by depth, from h3, so that no level is ever skipped, whatever the author wrote."""
    above: list[str] = []
    for token in tokens:
        if token.type not in ("heading_open", "heading_close"):
            continue
        if token.type == "heading_open":
            above = [*(tag for tag in above if tag < token.tag), token.tag]
        token.tag = f"h{min(6, TOP_HEADING - 1 + len(above))}"


def render_markdown(text: str) -> SafeString:
    """Markdown as safe HTML. Raw HTML is shown, not obeyed; line ends stay; over MARKDOWN_LIMIT all of it stays plain."""
    if len(text) > MARKDOWN_LIMIT:
        return render_plain(text)
    return _rendered(text, get_language() or "")


@lru_cache(maxsize=512)
def _rendered(text: str, language: str) -> SafeString:
    tokens = _PARSER.parse(text)
    _fit_headings(tokens)
    env: dict[str, Any] = {}
    html = _CLEANER.clean(_PARSER.renderer.render(tokens, _PARSER.options, env))
    return mark_safe(_with_formulas(html, env.get("formulas", [])))  # noqa: S308 - this is what the cleaner is for


def render_plain(text: str) -> SafeString:
    """The text exactly as written, spaces and line ends kept by the style sheet."""
    if len(text) <= MARKDOWN_LIMIT:
        inner = escape_text(text)
    else:
        inner = "".join(f"<div>{escape_text(part)}</div>" for part in _parts(text))
    return mark_safe(f'<div class="plain">{inner}</div>')  # noqa: S308 - escaped


def _parts(text: str) -> Iterator[str]:
    """The text in pieces that end with a line."""
    start = 0
    while start < len(text):
        end = text.find("\n", start + PART) + 1 or len(text)
        yield text[start:end]
        start = end


def render_code(text: str, language: str = "") -> SafeString:
    """Source code exactly as written, coloured where the language is known. It can be scrolled by keyboard."""
    return mark_safe(f'<pre tabindex="0"><code>{highlight(text, language)}</code></pre>')  # noqa: S308 - escaped


def render_json(value: Any) -> SafeString:
    """What a tool was called with, or said, as JSON that can be read; a text that is no JSON as it is."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return render_code(value)
    return render_code(json.dumps(value, indent=2, ensure_ascii=False), "json")
