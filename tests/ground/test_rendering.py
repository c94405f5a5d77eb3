"""Text from people and models reaches the page as text: nothing in it can run, load or hide."""

from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ground import clock, formats, rendering
from ground.rendering import MARKDOWN_LIMIT, render_markdown, render_plain
from tests.ground.effort import effort, effort_of_prose

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<p style='position:fixed;inset:0'>over everything</p>",
    "[click](javascript:alert(1))",
    "[click](JaVaScRiPt:alert(1))",
    "[click](java\tscript:alert(1))",
    "[click](&#106;avascript:alert(1))",
    "[click](data:text/html;base64,PHNjcmlwdD4=)",
    "[click](data:image/png;base64,AAAA)",
    "[click](vbscript:msgbox(1))",
    "<javascript:alert(1)>",
    "![x](javascript:alert(1))",
    '![x" onerror="alert(1)](https://example.org/a.png)',
    '[a](https://example.org "x\\" onmouseover=\\"alert(1)")',
    "```html\n</code></pre><script>alert(1)</script>\n```",
    '``` "><script>alert(1)</script>\nx\n```',
    "<!--><img src=x onerror=alert(1)>-->",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "<iframe src='https://example.org'></iframe><form action=/x><input name=q></form>",
    "<a href='https://example.org' id='main' class='toast'>x</a>",
    "<base href='https://example.org/'><meta http-equiv=refresh content='0;url=https://example.org'>",
]
ALLOWED = {
    "p": set(),
    "a": {"href", "title", "rel"},
    "pre": {"tabindex"},
    "div": {"class", "tabindex", "role", "aria-label"},
    "span": {"class", "data-u", "title"},
    "ol": {"start", "dir"},
    **{tag: {"dir"} for tag in ("ul", "blockquote", "table")},
}


class Inventory(HTMLParser):
    """Reads HTML the way a browser would, and keeps every element with its attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def assert_harmless(html: str) -> None:
    for tag, attributes in Inventory(html).elements:
        assert tag not in {"script", "style", "img", "svg", "iframe", "form", "input", "base", "meta", "math", "link"}
        assert set(attributes) <= ALLOWED.get(tag, set()), (tag, attributes)
        target = attributes.get("href") or "https:"
        assert target.split(":")[0] in {"https", "http", "mailto"} or ":" not in target, target


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_becomes_harmless_html(text: str) -> None:
    assert_harmless(render_markdown(text))
    assert_harmless(render_plain(text))


@pytest.mark.parametrize("text", HOSTILE)
def test_the_cleaner_alone_would_stop_raw_html_too(text: str) -> None:
    assert_harmless(rendering._CLEANER.clean(text))


@given(
    st.lists(st.sampled_from([*HOSTILE, *"[]()<>`*_#|!\\\"'\n\t :/&;", "](", "javascript:", "> ", "- "]), max_size=30)
)
@settings(max_examples=150, deadline=None)
def test_no_mixture_of_hostile_pieces_gets_through(pieces: list[str]) -> None:
    assert_harmless(render_markdown("".join(pieces)))


def test_raw_html_is_shown_to_the_reader_not_swallowed() -> None:
    assert "<b>bold?</b>" in Inventory(render_markdown("Use <b>bold?</b> here")).text


def test_markdown_makes_the_marks_it_stands_for() -> None:
    html = render_markdown("1. **Ask** for `it`\n2. ~~Pay~~\n\n| a | b |\n|---|---|\n| 1 | 2 |")
    tags = {tag for tag, _attributes in Inventory(html).elements}
    assert {"ol", "li", "strong", "code", "s", "table", "th", "td"} <= tags


def test_a_line_end_the_writer_made_is_kept() -> None:
    assert len(Inventory(render_markdown("Roses are red\nViolets are blue")).of("br")) == 1


def test_a_bare_address_becomes_a_link_that_tells_nobody_where_it_was_found() -> None:
    (link,) = Inventory(render_markdown("see https://example.org/a for more")).of("a")
    assert link == {"href": "https://example.org/a", "rel": "noopener noreferrer nofollow"}


def test_a_picture_becomes_a_link_and_is_not_loaded() -> None:
    page = Inventory(render_markdown("![the hob](https://example.org/hob.png)"))
    assert page.of("img") == []
    assert page.of("a")[0]["href"] == "https://example.org/hob.png"
    assert page.text.strip() == "Picture: the hob"


def test_headings_start_at_three_and_skip_no_level() -> None:
    """# then ### is one step deeper: h3, h4. ## after it is also one below #: h4. A lone ##### is a first heading."""
    levels = [tag for tag, _a in Inventory(render_markdown("# a\n### b\n## c\n#### d\n# e")).elements if tag[0] == "h"]
    assert levels == ["h3", "h4", "h4", "h5", "h3"]
    assert "<h3>" in render_markdown("##### alone")


def test_code_and_tables_can_be_scrolled_by_keyboard() -> None:
    assert Inventory(render_markdown("```\nx\n```")).of("pre") == [{"tabindex": "0"}]
    assert Inventory(render_markdown("| a |\n|---|\n| 1 |")).of("div") == [
        {"class": "scroll", "role": "group", "tabindex": "0", "aria-label": "Table 1"}
    ]


@pytest.mark.parametrize(
    "text",
    [
        "> " * 15_000 + "x",
        "- " * 15_000 + "x",
        "[" * 30_000,
        "![" * 15_000,
        "*" * 30_000,
        "**a *b " * 5_000,
        "`" * 15_000 + "a" + "`" * 14_999,
        "<" * 30_000,
        "[a](" * 8_000,
        "https://" * 4_000,
        "|" * 30_000 + "\n" + "|-" * 10_000,
        "a\n" * 15_000,
        "&" * 30_000,
    ],
    ids=lambda text: text[:8],
)
def test_huge_nested_text_is_done_in_a_moment(text: str) -> None:
    """Thirty thousand characters cost 0.1 s when they are prose; five seconds would be a way to hold the server."""
    assert effort(lambda: render_markdown(text)) < 50 * effort_of_prose()
    assert len(render_markdown(text)) < 60 * len(text)


def test_text_over_the_limit_is_shown_whole_and_plain() -> None:
    text = "**a** " * (MARKDOWN_LIMIT // 6 + 1)
    assert Inventory(render_markdown(text)).text == text


@given(st.text())
@settings(max_examples=100, deadline=None)
def test_plain_text_is_shown_exactly_as_written(text: str) -> None:
    text = text.replace("\r", "").replace("\0", "")
    page = Inventory(render_plain(text))
    assert page.text == text
    assert page.elements[0] == ("div", {"class": "plain"})
    assert all(tag == "span" and given["class"] == "ctl" for tag, given in page.elements[1:]), "but for what is marked"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "0"),
        (0.643, "0.643"),
        (12.34, "12.3"),
        (1865, "1865"),
        (0.00042, "0.00042"),
        (None, "–"),
        (float("nan"), "–"),
    ],
)
def test_a_number_has_three_figures(value: float | None, said: str) -> None:
    assert formats.number(value).replace(",", "") == said


def test_an_interval_is_written_with_its_bounds_or_says_there_are_none() -> None:
    assert formats.interval(0.64, 0.55, 0.72) == "0.64 (0.55 to 0.72)"
    assert formats.interval(0.64, None, None) == "0.64 (too few to tell)"
    assert formats.interval(float("nan"), 0.1, 0.2) == "–"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.42, "0.4 s"),
        (9.96, "10 s"),
        (21, "21 s"),
        (59.6, "1 min 0 s"),
        (252, "4 min 12 s"),
        (7500, "2 h 5 min"),
        (273600, "3 d 4 h"),
        (timedelta(seconds=21), "21 s"),
        (None, "–"),
    ],
)
def test_a_duration_has_two_units_at_most(seconds: float | timedelta | None, said: str) -> None:
    """252 = 4 * 60 + 12; 7,500 = 2 * 3,600 + 5 * 60; 273,600 = 3 * 86,400 + 4 * 3,600."""
    assert formats.duration(seconds) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "just now"),
        (3, "3 s ago"),
        (300, "5 min ago"),
        (7300, "2 h ago"),
        (-1140, "in 19 min"),
        (172800, "18 Nov 2026, 10:02"),
    ],
)
def test_a_moment_is_told_from_now_and_after_a_day_by_its_date(seconds: int, said: str) -> None:
    at = datetime(2026, 11, 20, 10, 2, tzinfo=UTC)
    with clock.stopped(at):
        assert formats.relative(at - timedelta(seconds=seconds)) == said


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (542_300_000, "542 MB"), (999_600, "1.0 MB"), (None, "–")],
)
def test_a_size_is_in_decimal_units(count: float | None, said: str) -> None:
    assert formats.size(count) == said


def test_a_digest_is_shown_by_both_its_ends() -> None:
    assert formats.short_digest("sha256:4be1" + "0" * 56 + "09d2") == "4be1…09d2"
    assert formats.short_digest("") == ""
