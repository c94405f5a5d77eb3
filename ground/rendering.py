"""Text that people or models wrote, as HTML that can do nothing.

Two walls, each enough by itself: the parser escapes raw HTML, and the cleaner lets only the tags and attributes
listed here through. The strict content security policy is the third.
"""

from collections.abc import MutableMapping, Sequence
from functools import lru_cache
from typing import Any

import nh3
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

MARKDOWN_LIMIT = 40_000
"""Characters. Longer text is shown as it is written: parsing costs about 3 ms per 1,000 characters."""
DEEPEST_NESTING = 12
TOP_HEADING = 3
"""Judged text stands under the page's own h1 and h2."""

_TAGS = {
    *("p", "br", "hr", "em", "strong", "s", "code", "pre", "blockquote", "ul", "ol", "li", "a", "div"),
    *("h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td"),
}
_ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}, "div": {"tabindex"}}
_CLEANER = nh3.Cleaner(
    tags=_TAGS,
    attributes=_ATTRIBUTES,
    url_schemes={"http", "https", "mailto"},
    link_rel="noopener noreferrer nofollow",
    allowed_classes={"div": {"scroll"}},
    set_tag_attribute_values={"pre": {"tabindex": "0"}},
)


def _picture(self: RendererHTML, tokens: Sequence[Token], at: int, options: Any, env: MutableMapping[str, Any]) -> str:
    """A picture becomes a link to it: loading it would tell a stranger's server who is reading."""
    token = tokens[at]
    words = self.renderInlineAsText(token.children, options, env) if token.children else ""
    label = _("Picture: %(words)s") % {"words": words} if words else _("Picture")
    return format_html('<a href="{}">{}</a>', token.attrGet("src") or "", label)


def _table_open(self: RendererHTML, *args: Any) -> str:
    return '<div class="scroll" tabindex="0"><table>'


def _table_close(self: RendererHTML, *args: Any) -> str:
    return "</table></div>"


def _parser() -> MarkdownIt:
    options = {"html": False, "linkify": True, "breaks": True, "maxNesting": DEEPEST_NESTING}
    parser = MarkdownIt("commonmark", options).enable(["table", "strikethrough", "linkify"])
    assert parser.linkify is not None
    parser.linkify.set({"fuzzy_link": False, "fuzzy_email": False, "fuzzy_ip": False})
    parser.add_render_rule("image", _picture)
    parser.add_render_rule("table_open", _table_open)
    parser.add_render_rule("table_close", _table_close)
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


@lru_cache(maxsize=1024)
def render_markdown(text: str) -> SafeString:
    """Markdown as safe HTML. Raw HTML is shown, not obeyed; line ends stay; over MARKDOWN_LIMIT all of it stays plain."""
    if len(text) > MARKDOWN_LIMIT:
        return render_plain(text)
    tokens = _PARSER.parse(text)
    _fit_headings(tokens)
    html = _PARSER.renderer.render(tokens, _PARSER.options, {})
    return mark_safe(_CLEANER.clean(html))  # noqa: S308 - this is what the cleaner is for


def render_plain(text: str) -> SafeString:
    """The text exactly as written, spaces and line ends kept by the style sheet."""
    return format_html('<div class="plain">{}</div>', text)
